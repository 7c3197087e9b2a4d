"""How a model is called: the layouts of its tensors, its modes, copies of it."""
