"""References in NumPy: the network's equations, and functions of one's own."""
