"""Trainers other than PyTorch (R, SciPy, gradient descent), and the starts of training."""
