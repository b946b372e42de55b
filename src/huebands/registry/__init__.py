"""Runs, models and aliases in MLflow: the only room that imports mlflow."""

import os

# MLflow reads these while it is imported, and every module of this room may be the first to import it.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
