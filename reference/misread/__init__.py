"""Misreadings of a fitted object: what people read in its place, and the one that explains a
port.
"""
