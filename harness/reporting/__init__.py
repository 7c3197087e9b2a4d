"""One result, told to people and machines."""
