"""The comparison: `judge`, the one file that compares numbers, and the element of a failure."""
