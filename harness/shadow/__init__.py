"""Shadow execution: repeats a model's operations in float64, and bounds the rounding error of its
answers.
"""
