"""Kinds of faults: the equations with one mistake, their answers, and the bounds of these."""
