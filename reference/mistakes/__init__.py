"""The catalogue of mistakes in implementations of a network: they are made on purpose to test the
judge, and tried as explanations of failures.
"""
