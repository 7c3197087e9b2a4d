"""Proposes tensors that are blocks of one matrix, which consists of others along the other axis.

An LSTM may have a matrix for each gate, on inputs and state together. Another has one matrix for
inputs and one for the state, each with all gates. Of vectors, sums are cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.evaluating.state import Shape
from harness.layouts.parts import Named, Part, Parts, added, cut, joined, transposed, whole

MOST = 8  # tensors on a side


def list_grids(theirs: Sequence[Named], ours: Sequence[Named]) -> Iterator[tuple[int, Parts]]:
    """Yield expressions of the subject's first tensors by several of the reference's, each with the
    number of the reference's tensors that it uses.
    """
    for count in range(2, min(len(theirs), MOST) + 1):
        for of_ours in range(2, min(len(ours), MOST) + 1):
            both = theirs[:count], ours[:of_ours]
            for parts in (*_list_blocks(*both), *_list_cut_sums(*both)):
                yield count, parts


def _list_blocks(theirs: Sequence[Named], ours: Sequence[Named]) -> Iterator[Parts]:
    """Yield the blocks of matrices that stand side by side, cut along the other axis."""
    if any(len(shape) != 2 for _, shape in (*theirs, *ours)):
        return
    for turn in (False, True):
        wanted = [shape[::-1] if turn else shape for _, shape in ours]
        for axis in (0, 1):
            whole_shape = _join([shape for _, shape in theirs], axis)
            if whole_shape is None or _join(wanted, 1 - axis) != whole_shape:
                continue
            parts: Parts = {}
            start = 0
            for (own, _), shape in zip(ours, wanted, strict=True):
                stop = start + shape[1 - axis]
                blocks = [cut(whole(name), 1 - axis, start, stop) for name, _ in theirs]
                part = joined(blocks, axis)
                parts[own] = transposed(part) if turn else part
                start = stop
            yield parts


def _join(shapes: Sequence[Shape], axis: int) -> Shape | None:
    """Return the shape of matrices joined along an axis; None if they do not fit."""
    if len({shape[1 - axis] for shape in shapes}) > 1:
        return None
    length = sum(shape[axis] for shape in shapes)
    return (length, shapes[0][1]) if axis == 0 else (shapes[0][0], length)


def _list_cut_sums(theirs: Sequence[Named], ours: Sequence[Named]) -> Iterator[Parts]:
    """Yield the pieces of a sum of vectors, as of both biases of torch's LSTM."""
    if any(len(shape) != 1 for _, shape in (*theirs, *ours)):
        return
    lengths = {shape for _, shape in theirs}
    if len(lengths) > 1 or lengths != {(sum(shape[0] for _, shape in ours),)}:
        return
    parts: Parts = {}
    start = 0
    for own, (length,) in ours:
        terms: list[Part] = [cut(whole(name), 0, start, start + length) for name, _ in theirs]
        parts[own] = added(terms)
        start += length
    yield parts
