"""Judges ports by a fitted object: by its predictions, its claimed loss and its weights."""
