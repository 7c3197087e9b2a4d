"""Proposes tensors that stack several others along a new axis, for models in which one product
replaces a loop over layers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from harness.evaluating.state import Shape
from harness.layouts.parts import Named, Part, Parts, picked, reshaped, stacked, transposed, whole

FIRST = re.compile(r"^(\D*)\d+")
LAST = re.compile(r"^(.*\D)\d+(?=\D*$)")
Split = tuple[Sequence[Named], Sequence[Named]]  # matrices and vectors


def list_splits(theirs: Sequence[Named], ours: Sequence[Named]) -> Iterator[tuple[Split, Split]]:
    """Yield ((matrices, vectors) of the reference, (matrices, vectors) of the subject), in one or
    two ways.

    First the tensors are split by their number of axes. In the second way, matrices that may be
    stacks of the other side's vectors count as vectors.
    """
    plain = split(theirs, []), split(ours, [])
    yield plain
    (_, vectors), (_, of_vectors) = plain
    by_stacks = split(theirs, of_vectors), split(ours, vectors)
    if by_stacks != plain:
        yield by_stacks


def split(tensors: Sequence[Named], others: Sequence[Named]) -> Split:
    """Return the matrices and the vectors of some tensors; a matrix that may be a stack of the
    vectors `others` counts as a vector.
    """
    matrices, vectors = [], []
    for one in tensors:
        if len(one[1]) > 1 and not _may_stack(one[1], others):
            matrices.append(one)
        else:
            vectors.append(one)
    return matrices, vectors


def _may_stack(shape: Shape, vectors: Sequence[Named]) -> bool:
    """May a matrix consist of some of these vectors, stacked along an axis?"""
    shape = _drop_ones(shape)
    if len(shape) != 2:
        return False
    counts = [sum(vector_shape == (length,) for _, vector_shape in vectors) for length in shape]
    return counts[1] >= shape[0] > 1 or counts[0] >= shape[1] > 1


def list_stacks(theirs: Sequence[Named], wanted: Shape) -> Iterator[Part]:
    """Yield expressions that stack all tensors `theirs`, in their order, to a wanted shape."""
    shapes = {shape for _, shape in theirs}
    if len(shapes) > 1:
        return
    for stack, axis, turn in _list_axes(wanted, len(theirs), shapes.pop()):
        parts = [transposed(whole(name)) if turn else whole(name) for name, _ in theirs]
        part = stacked(parts, axis)
        yield part if stack == wanted else reshaped(part, wanted)


def list_picks(theirs: Named, ours: Sequence[Named]) -> Iterator[Parts]:
    """Yield expressions for several of the subject's tensors as slices of one stacked tensor of the
    reference.
    """
    name, shape = theirs
    shapes = {wanted for _, wanted in ours}
    if len(shapes) > 1:
        return
    for stack, axis, turn in _list_axes(shape, len(ours), shapes.pop()):
        every = whole(name) if stack == shape else reshaped(whole(name), stack)
        parts = {}
        for number, (own, _) in enumerate(ours):
            part = picked(every, axis, number)
            parts[own] = transposed(part) if turn else part
        yield parts


def _list_axes(shape: Shape, count: int, each: Shape) -> Iterator[tuple[Shape, int, bool]]:
    """Yield ways to see a shape as a stack of `count` tensors of the shape `each`.

    Each way is a tuple: the stack's shape (`shape`, with or without its axes of length 1), the axis
    along which tensors are stacked, and whether they are transposed first.
    """
    for stack in dict.fromkeys((shape, _drop_ones(shape))):
        for turn in (False, True):
            if turn and len(each) != 2:
                continue
            inside = each[::-1] if turn else each
            for axis, length in enumerate(stack):
                if length == count and stack[:axis] + stack[axis + 1 :] == inside:
                    yield stack, axis, turn


def _drop_ones(shape: Shape) -> Shape:
    return tuple(length for length in shape if length != 1)


def group_numbered(names: Sequence[Named]) -> Iterator[list[Named]]:
    """Yield orders of tensors in which numbered layers follow one another, as layers.0.weight,
    layers.1.weight: names that differ only in their first number, then only in their last.
    """
    for pattern in (FIRST, LAST):
        groups: dict[str, list[Named]] = {}
        for one in names:
            groups.setdefault(pattern.sub(r"\1#", one[0], count=1), []).append(one)
        yield [one for group in groups.values() for one in group]
