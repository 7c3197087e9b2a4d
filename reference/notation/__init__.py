"""How a network is specified: names of activations, widths and masks; and its text in NumPy."""
