"""Rounding of torch's operations: for each operation a rule that bounds what one call may lose."""
