"""Admission control: which requests are let in, how fast their bodies must come, and what they may hold."""
