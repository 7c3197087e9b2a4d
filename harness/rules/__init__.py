"""Bounds on the rounding errors of torch's operations: there is a function (a rule) for each
operation, which bounds the error of one call.
"""
