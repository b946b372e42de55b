"""Intervals, bounds and tests; NumPy and SciPy alone."""
