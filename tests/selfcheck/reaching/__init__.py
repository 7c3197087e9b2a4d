"""Faults that act only where a condition holds, inside of what was asked."""
