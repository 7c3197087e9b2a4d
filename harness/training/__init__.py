"""Trains PyTorch models; defines the interface, the data and the results of all trainers."""
