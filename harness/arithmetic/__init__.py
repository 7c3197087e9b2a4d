"""Rounding: arithmetic whose values carry a bound on their rounding error, for the equations of
networks.
"""
