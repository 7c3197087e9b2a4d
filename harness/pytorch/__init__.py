"""PyTorch models under test, and the meaning of their parameters."""
