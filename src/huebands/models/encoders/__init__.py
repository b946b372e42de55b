"""Encoders that have learned on ImageNet, and where their weights come from."""
