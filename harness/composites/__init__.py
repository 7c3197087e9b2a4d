"""Rounding of operations that are composed of many steps: softmax, losses and norms."""
