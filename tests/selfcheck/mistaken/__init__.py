"""Mistakes that people make in ports, as PyTorch modules and losses that they would write."""
