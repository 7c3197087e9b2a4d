"""Rules for operations that gather numbers from many places: windows, indices, axes.

A rule bounds the rounding errors of one operation of torch.
"""
