"""What the service logs, counts and watches."""
