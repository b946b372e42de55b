"""Colorizers side by side: candidates on the same photos, judged by the same metrics, as tables and a page."""
