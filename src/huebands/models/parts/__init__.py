"""Blocks, losses and tables that several networks or objectives are made of."""
