"""The case of two PyTorch models, and its verdicts: are they the same function, as well computed,
with as many digits?
"""
