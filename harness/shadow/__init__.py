"""Shadow execution: a model's operations are recorded and repeated in float64 (the shadow), and the
rounding errors of its answers are bounded.
"""
