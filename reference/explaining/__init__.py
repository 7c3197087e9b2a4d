"""Explains a failure: searches for a mistake in the equations, or another scaling of the data, that
would give the observed answers.
"""
