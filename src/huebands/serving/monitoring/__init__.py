"""What the service records of its requests: access log, metrics, drift and coverage."""
