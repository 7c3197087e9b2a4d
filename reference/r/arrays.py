"""Checks the arrays that are sent to R."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from reference.r.topology import Array


def check(name: str, value: ArrayLike, *shape: int | None, least: float = -np.inf) -> Array:
    """Convert a value to float64, and check its shape and its numbers.

    `shape` gives the expected length of each axis; None allows any length but 0. Raises ValueError
    for another shape, and for a number that is not finite or below `least`.
    """
    array = np.asarray(value, np.float64)
    if not _has_shape(array, shape):
        expected = ", ".join("any" if length is None else str(length) for length in shape)
        raise ValueError(f"{name} has shape {array.shape}, expected ({expected})")
    good = np.isfinite(array) & (array >= least)
    if not good.all():
        place = tuple(map(int, np.argwhere(~good)[0]))
        expected = "a finite number" if least < 0 else f"a finite number from {least:g}"
        raise ValueError(
            f"{name}{list(place) if place else ''} is {array[place]}, expected {expected}"
        )
    return array


def _has_shape(array: Array, shape: Sequence[int | None]) -> bool:
    """Does an array have this shape, in which None stands for any length but 0?"""
    if array.ndim != len(shape):
        return False
    for length, expected in zip(array.shape, shape, strict=True):
        if length == 0 or expected not in (None, length):
            return False
    return True
