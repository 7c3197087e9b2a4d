"""Cases and their verdicts: caches answers, compares them, and judges models under other
conditions.
"""
