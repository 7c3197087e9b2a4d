"""Explains a failure: searches for a mistake, or another scaling, that would give the observed
answers.
"""
