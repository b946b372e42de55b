"""Encoders that have learned on ImageNet, where their weights come from, and what networks around them share."""
