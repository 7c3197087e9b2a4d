"""The catalogue of mistakes of ports: planted to test the judge, and tried as explanations of
failures.
"""
