"""Diagnoses a failed trial: the first mismatch, its cause, and a second judgement by the model's
own operations.
"""
