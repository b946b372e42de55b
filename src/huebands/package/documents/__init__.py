"""The pages of a model package that people read."""
