"""Claims that a subject differs from its reference: judges them, and rejects differences that prove
nothing.
"""
