"""Rounding: operations on NumPy arrays that carry a value and a bound on its rounding error."""
