"""Misreadings of a fitted object: common mistakes of ports, and the search for the one that
explains a port.
"""
