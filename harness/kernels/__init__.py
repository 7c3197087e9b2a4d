"""Rounding of torch's operations that gather numbers from many places: windows, indices, axes."""
