"""How a network is written down: names of activations, widths and masks, and its text in NumPy."""
