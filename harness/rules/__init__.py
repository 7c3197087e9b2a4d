"""Rounding of torch's operations: a rule for each operation bounds the rounding error of one
call.
"""
