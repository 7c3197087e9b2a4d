"""How PyTorch models are trained, and what every trainer takes and returns."""
