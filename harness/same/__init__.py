"""Compares two PyTorch models: are they the same function, as well computed, with as many
digits?
"""
