"""Places of tensors in memory: a tensor is a view of a flat array, given by size, strides and
offset.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

from torch import Tensor


class Place(NamedTuple):
    """The place of a tensor in memory.

    `version` is the number of an array of memory between two writes; `size`, `stride` and `offset`
    are those of the tensor in it.
    """

    version: int
    size: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int


def find_order(place: Place, whole: int) -> tuple[int, ...] | None:
    """Return the axes of a place in the order in which memory runs through them; None unless the
    place covers all `whole` numbers of the memory once.
    """
    return None if place.offset else _find_order(place.size, place.stride, whole)


@cache
def _find_order(
    size: tuple[int, ...], stride: tuple[int, ...], whole: int
) -> tuple[int, ...] | None:
    axes = [axis for axis, length in enumerate(size) if length != 1]
    axes.sort(key=lambda axis: -stride[axis])
    step = 1
    for axis in reversed(axes):
        if stride[axis] != step:
            return None
        step *= size[axis]
    if step != whole:
        return None
    return (*(axis for axis, length in enumerate(size) if length == 1), *axes)


def read_place(numbers: Tensor, place: Place) -> Tensor:
    """Return the tensor at a place of the flat tensor `numbers`, as a view."""
    order = find_order(place, numbers.numel())
    if order is None:
        return numbers.as_strided(place.size, place.stride, place.offset)
    if order == tuple(range(len(order))):
        return numbers.view(place.size)
    sizes = [place.size[axis] for axis in order]
    back = [0] * len(order)
    for position, axis in enumerate(order):
        back[axis] = position
    return numbers.view(sizes).permute(back)


def list_places(given: Any) -> list[Place]:
    """Return all places in the arguments of an operation."""
    if isinstance(given, Place):
        return [given]
    if isinstance(given, dict):
        given = tuple(given.values())
    if isinstance(given, tuple):
        return [place for each in given for place in list_places(each)]
    return []
