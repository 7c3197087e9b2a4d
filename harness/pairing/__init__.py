"""Compares the shadows of two models (their runs repeated in float64), answer by answer."""
