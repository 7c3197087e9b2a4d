"""Reduces a failure to a small problem, and writes a script that reproduces it."""
