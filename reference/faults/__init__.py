"""Kinds of faults. A fault is a mistake, made in the equations on purpose; it has answers, and
bounds on them.
"""
