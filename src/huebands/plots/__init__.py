"""Pictures for the reports."""
