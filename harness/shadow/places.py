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


class Order(NamedTuple):
    """The axes of a tensor in the order in which memory runs through them; empty if that is their
    own order.

    `sizes` are the lengths of the axes in the order of memory, and `back` are the positions of the
    tensor's axes in it.
    """

    axes: tuple[int, ...]
    sizes: tuple[int, ...]
    back: tuple[int, ...]


def find_order(place: Place, whole: int) -> Order | None:
    """Return the order of a place's axes; None unless it covers all `whole` numbers of the memory
    once.
    """
    return None if place.offset else _find_order(place.size, place.stride, whole)


@cache
def _find_order(size: tuple[int, ...], stride: tuple[int, ...], whole: int) -> Order | None:
    axes = [axis for axis, length in enumerate(size) if length != 1]
    axes.sort(key=lambda axis: -stride[axis])
    step = 1
    for axis in reversed(axes):
        if stride[axis] != step:
            return None
        step *= size[axis]
    if step != whole:
        return None
    axes = [*(axis for axis, length in enumerate(size) if length == 1), *axes]
    if axes == sorted(axes):
        return Order((), size, ())
    sizes = tuple(size[axis] for axis in axes)
    return Order(tuple(axes), sizes, tuple(axes.index(axis) for axis in range(len(axes))))


def read_place(numbers: Tensor, place: Place) -> Tensor:
    """Return the tensor at a place of the contiguous tensor `numbers`, as a view."""
    order = find_order(place, numbers.numel())
    if order is None:
        return numbers.as_strided(place.size, place.stride, place.offset)
    tensor = numbers.view(order.sizes)
    return tensor.permute(order.back) if order.axes else tensor


def list_places(given: Any) -> list[Place]:
    """Return all places in the arguments of an operation."""
    if isinstance(given, Place):
        return [given]
    if isinstance(given, dict):
        given = tuple(given.values())
    if isinstance(given, tuple):
        return [place for each in given for place in list_places(each)]
    return []
