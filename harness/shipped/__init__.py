"""Judges ports with weights of their own by the fitted object: by its predictions, its loss and its
weights.

A port is a PyTorch model that shall predict the same as an object fitted in R.
"""
