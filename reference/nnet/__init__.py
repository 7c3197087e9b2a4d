"""What R's nnet has: networks and losses, and a problem as it takes it. No R is needed."""
