"""For long computations: progress messages, and deadlines for R and for training."""
