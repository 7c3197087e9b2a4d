"""PyTorch models: how a module is called, what its parameters mean, and what devices there are."""
