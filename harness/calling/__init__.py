"""Calls a PyTorch model to get its answers to a problem, in several memory layouts, modes and
copies.
"""
