"""Attacks on the tool by files, signals, neighbours, R and load; `python -m tests.robustness`."""
