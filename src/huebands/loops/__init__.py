"""Loops over pixels as machine code, and what calls them for whole photos."""
