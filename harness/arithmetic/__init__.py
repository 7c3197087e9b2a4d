"""Rounding: operations that carry a value and how far another implementation may be from it. No
equation of any network.
"""
