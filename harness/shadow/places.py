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


class Cut(NamedTuple):
    """How a tensor is cut out of contiguous memory by operations whose derivatives torch can batch.

    `block` is the shape in which the memory is seen: its axes are those of the tensor, in the order
    in which memory runs through them. `parts` are the axes that are cut, each with its first index
    and its length. `order` are the positions of the tensor's axes then, empty if they are in order.
    `shape` is that of the tensor, with the length 1 for an axis that repeats its numbers.
    """

    block: tuple[int, ...]
    parts: tuple[tuple[int, int, int], ...]
    order: tuple[int, ...]
    shape: tuple[int, ...]


def find_order(place: Place, whole: int) -> tuple[int, ...] | None:
    """Return the axes of a place in the order in which memory runs through them; () if that is
    their own order. Return None unless the place covers all `whole` numbers of the memory once.
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
    axes = [*(axis for axis, length in enumerate(size) if length == 1), *axes]
    return () if axes == sorted(axes) else tuple(axes)


def view_place(numbers: Tensor, place: Place) -> Tensor:
    """Return the tensor at a place of the contiguous tensor `numbers`, as a view."""
    if numbers.shape == place.size and numbers.stride() == place.stride:
        return numbers
    return numbers.as_strided(place.size, place.stride, place.offset)


def read_place(numbers: Tensor, place: Place) -> Tensor:
    """Return the tensor at a place by cuts and transposes, whose derivatives torch can batch.

    Numbers that no cut gives, such as overlapping windows, are read with as_strided.
    """
    cut = _find_cut(place.size, place.stride, place.offset, numbers.numel())
    if cut is None:
        return numbers.as_strided(place.size, place.stride, place.offset)
    tensor = numbers if numbers.shape == cut.block else numbers.view(cut.block)
    for part in cut.parts:
        tensor = tensor.narrow(*part)
    if cut.order:
        tensor = tensor.permute(cut.order)
    if tensor.shape != cut.shape:
        tensor = tensor.view(cut.shape)
    return tensor if cut.shape == place.size else tensor.expand(place.size)


@cache
def _find_cut(
    size: tuple[int, ...], stride: tuple[int, ...], offset: int, whole: int
) -> Cut | None:
    if whole == 1:
        return Cut((), (), (), ())
    axes = [axis for axis, length in enumerate(size) if length != 1 and stride[axis]]
    ordered = sorted(axes, key=lambda axis: -stride[axis])
    steps = [(stride[axis], size[axis]) for axis in ordered]
    if not steps or steps[-1][0] > 1:
        steps.append((1, 1))  # an axis of the numbers between two neighbours of the tensor
    block: list[int] = []
    parts: list[tuple[int, int, int]] = []
    for step, length in steps:
        start, offset = divmod(offset, step)
        if whole % step or start + length > whole // step:
            return None
        if length < whole // step:
            parts.append((len(block), start, length))
        block.append(whole // step)
        whole = step
    order = [ordered.index(axis) for axis in axes] + list(range(len(axes), len(steps)))
    shape = tuple(length if axis in axes else 1 for axis, length in enumerate(size))
    in_order = order == sorted(order)
    return Cut(tuple(block), tuple(parts), () if in_order else tuple(order), shape)


def list_places(given: Any) -> list[Place]:
    """Return all places in the arguments of an operation: a tuple or a dictionary."""
    found: list[Place] = []
    for each in given.values() if type(given) is dict else given:
        if type(each) is Place:
            found.append(each)
        elif type(each) in (tuple, dict):
            found += list_places(each)
    return found
