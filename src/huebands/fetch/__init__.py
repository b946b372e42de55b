"""Pinned files from package registries and git, by hash."""
