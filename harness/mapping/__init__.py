"""Maps the parameters of one PyTorch model to those of another: as the user states, by name, or by
trying.
"""
