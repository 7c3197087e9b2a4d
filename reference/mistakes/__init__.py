"""The catalogue of mistakes that ports make: planted to test the judge, and tried on failures."""
