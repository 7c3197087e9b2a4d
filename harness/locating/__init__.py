"""Finds where two models part: the first operations that differ, by their numbers and by the way
that numbers take, likely causes, and where numbers lose precision or stop being finite.
"""
