"""Evaluates any PyTorch model on data of any form, under a seed, in train() or eval(); answers have
names.
"""
