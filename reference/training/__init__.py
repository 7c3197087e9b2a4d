"""Trainers other than PyTorch (R, SciPy, gradient descent), and where training starts."""
