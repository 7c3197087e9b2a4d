"""A built PyTorch model: its tensors, losses and errors, on a device, under settings of torch."""
