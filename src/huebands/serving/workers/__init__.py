"""The processes that colorize."""
