"""Calls a model at the draws of a problem: in layouts of tensors, modes and copies."""
