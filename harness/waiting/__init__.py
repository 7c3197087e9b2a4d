"""Long computations: messages to a waiting person, and deadlines."""
