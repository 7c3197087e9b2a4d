"""Mistakes that ports make: planted to test the judge, and tried to explain a failure."""
