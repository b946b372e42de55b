"""A training on another machine: its export and its import."""
