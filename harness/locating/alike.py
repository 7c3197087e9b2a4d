"""Compares arrays of two models: equal numbers, or multiples of each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from harness.shadow.recording import Operation
from harness.shadow.replay import Replay

NEAR = 1e-10  # of the largest number of an array: arrays that are nearer are equal
MASKED = 1e-6  # of the largest number: all others are smaller in a masked array
FEWEST = 3  # numbers of a result that may tell a factor


def is_near(one: Tensor, other: Tensor, near: float) -> bool:
    """Are the numbers of two arrays of one shape equal within `near` times their scale?

    Infinities and NaN are equal to themselves alone. Arrays without numbers are equal.
    """
    finite = torch.isfinite(other)
    if not bool(finite.all()):
        if not torch.equal(torch.isfinite(one), finite):
            return False
        if not torch.equal(one[~finite].nan_to_num(), other[~finite].nan_to_num()):
            return False
        one, other = one[finite], other[finite]
    return not one.numel() or bool((abs(one - other) <= near * find_scales(other)).all())


def find_scales(numbers: Tensor) -> Tensor:
    """Return the number by which differences of finite numbers are judged: the largest one.

    Of an array that is masked by a large number, as by -1e9, it is that of the others for the
    others, in the array's shape.
    """
    sizes = abs(numbers)
    largest = sizes.max()
    small = sizes < MASKED * largest
    if not bool(small.any()) or bool(small.all()):
        return largest
    if bool(sizes[~small].min() < (1 - MASKED) * largest) or not bool(sizes[small].any()):
        return largest
    return torch.where(small, sizes[small].max(), largest)


def are_equal(one: Tensor, other: Tensor) -> bool:
    """Are two arrays of one shape equal, within rounding? Arrays without numbers tell nothing."""
    return one.shape == other.shape and one.numel() > 0 and is_near(one, other, NEAR)


def hold_equal(one: Tensor, other: Tensor) -> bool:
    """Are the numbers of two arrays equal in their order, though the shapes may differ?"""
    return are_equal(one.flatten(), other.flatten())


def find_factor(mine: Tensor, theirs: Tensor) -> float | None:
    """Return c if the finite numbers of `mine` are c times those of `theirs`, in any order, and c
    is not 1; else None.

    Both must have as many infinities of each sign; c is positive if there are any. An array of
    equal numbers has no factor: it is a multiple of every other such array.
    """
    if mine.numel() != theirs.numel() or not bool(theirs.any()):
        return None
    one, other = (each[torch.isfinite(each)].sort().values for each in (mine, theirs))
    endless = one.numel() < mine.numel()
    if one.shape != other.shape or not one.numel() or one[0] == one[-1]:
        return None
    if endless and not torch.equal(_sort_infinities(mine), _sort_infinities(theirs)):
        return None
    norm = torch.linalg.vector_norm(other)
    size = float(torch.linalg.vector_norm(one) / norm) if norm else 0.0
    if not size or are_equal(one, other):
        return None
    if are_equal(one, size * other):
        return size
    return -size if not endless and are_equal(one, -size * other.flip(0)) else None


def _sort_infinities(array: Tensor) -> Tensor:
    """Return the infinities and NaN of an array, sorted; NaN counts as 0."""
    return array[~torch.isfinite(array)].nan_to_num().sort().values


def read_inputs(side: Replay, operation: Operation) -> list[Tensor]:
    """Return the floating-point arrays that an operation reads, as repeated in float64."""
    tensors = [side.read(place).detach() for place in operation.places]
    return [tensor for tensor in tensors if tensor.is_floating_point()]


def read_results(side: Replay, operation: Operation) -> list[Tensor]:
    """Return the floating-point results of an operation, as repeated in float64."""
    tensors = [side.read(place).detach() for place in filter(None, operation.results)]
    return [tensor for tensor in tensors if tensor.is_floating_point()]


def list_readers(side: Replay, operation: Operation) -> list[Operation]:
    """Return the operations that read a result of an operation on the same way, forward or back."""
    versions = {place.version for place in operation.results if place is not None}
    return [
        each
        for each in side.run.operations
        if each.backward == operation.backward
        and any(place.version in versions for place in each.places)
    ]


def list_results(
    side: Replay, operations: Sequence[Operation], backward: bool
) -> Iterator[tuple[Operation, Tensor]]:
    """Yield the floating-point results of operations on one way, forward or back."""
    for operation in operations:
        if operation.backward == backward:
            for tensor in read_results(side, operation):
                yield operation, tensor


def name_kind(operation: Operation) -> str:
    """Return the name of an operation without its variant: "softmax" for "aten::_safe_softmax"."""
    return operation.functional.removeprefix("aten::").removeprefix("_").removeprefix("safe_")
