"""Mistakes that real ports make: planted to test the judge, tried to explain a failure."""
