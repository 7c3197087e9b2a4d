"""How the parameters of one PyTorch model follow from those of another: as said, by name, or
found.
"""
