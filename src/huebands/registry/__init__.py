"""Runs, models and aliases in MLflow: the only room that imports it."""
