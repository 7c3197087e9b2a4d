"""Claimed differences: whose they are, what shows them, and what does not count as one."""
