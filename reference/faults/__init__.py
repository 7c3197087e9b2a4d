"""Mistakes that ports make: planted to test the judge, and offered to explain a failure."""
