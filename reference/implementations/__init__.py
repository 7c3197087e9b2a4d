"""References in NumPy."""
