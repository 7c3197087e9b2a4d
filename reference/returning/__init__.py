"""Puts the weights of a port back into a copy of the object that nnet() or multinom() fitted."""
