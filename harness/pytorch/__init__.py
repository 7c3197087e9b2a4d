"""PyTorch models under test, and what their parameters mean."""
