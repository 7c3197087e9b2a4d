"""The vocabulary: layouts, contracts, problems, verdicts, and `judge`, the one file that compares
numbers.
"""
