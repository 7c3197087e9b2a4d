"""Common mistakes of ports (PyTorch models of a network fitted in R) in reading the fitted object,
and the search for the mistake that explains a port.
"""
