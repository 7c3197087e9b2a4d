"""Proposes the network that a PyTorch model computes, and writes a test of it."""
