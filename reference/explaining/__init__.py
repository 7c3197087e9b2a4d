"""Explains a failure: the search for a mistake, or another scaling, that explains answers."""
