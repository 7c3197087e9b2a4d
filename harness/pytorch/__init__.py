"""PyTorch models: how a module is called, what its parameters mean, devices, torch.compile."""
