"""Compares numbers of two implementations (only `judge` does so), and chooses the element that a
failure shows.
"""
