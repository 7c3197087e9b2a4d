"""References in NumPy: the network's equations, and a user's own functions."""
