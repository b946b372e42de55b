"""Admission control: which requests are admitted, how fast bodies must arrive, and how much memory they may hold."""
