"""The model package: one folder that holds all that colorizing needs."""
