"""Diagnoses a failed trial: the first mismatch, its cause, and a look at other formulations."""
