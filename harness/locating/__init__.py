"""Finds where two models part: the first operations that differ, from their numbers and the way that
numbers take, and likely causes.
"""
