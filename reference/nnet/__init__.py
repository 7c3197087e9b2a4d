"""The networks and losses that R's nnet supports, and a problem in its form. R is not needed."""
