"""Finds where two models part: the first operations that differ, by their numbers and by the way
that numbers take, and likely causes.

Also found is where numbers lose precision or stop being finite.
"""
