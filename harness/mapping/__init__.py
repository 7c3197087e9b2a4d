"""Two PyTorch models made ready to be compared: how the parameters of one follow from those of the
other, as said, by name, or found.
"""
