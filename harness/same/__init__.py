"""Compares two PyTorch models: the same function, as well computed, with as many digits?"""
