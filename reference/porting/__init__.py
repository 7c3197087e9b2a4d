"""Writes ports: a PyTorch module of a fitted network, its weights, a test and a certificate."""
