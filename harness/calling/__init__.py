"""How a model is asked: draw by draw, in layouts of tensors, modes and copies."""
