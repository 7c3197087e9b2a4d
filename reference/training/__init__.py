"""Trainers other than PyTorch: R, SciPy and plain gradient descent."""
