"""Forms in which people write the parts of a PyTorch model: sums, activations, parameters,
outputs, and modules around modules.
"""
