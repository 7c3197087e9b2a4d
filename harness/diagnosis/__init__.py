"""Diagnoses a failed trial: its first mismatch and the cause, and a second judgement by the bounds
of the model's own operations.

A trial compares a subject, which is judged, with a reference.
"""
