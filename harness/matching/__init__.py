"""Evaluates two PyTorch models at the same parameters and data, and compares their answers."""
