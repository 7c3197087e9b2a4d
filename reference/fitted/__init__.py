"""Objects that R's nnet() returned: how they are read, what they predict, and ports of them."""
