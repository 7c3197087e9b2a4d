"""Proposes expressions that make one model's tensors from another's: single tensors, or tensors
joined, cut or added.

In this room "ours" are the tensors of the model under test (the subject) and "theirs" are those of
the reference. Both are lists of (name, shape). They are in order: corresponding tensors have
neighbouring positions. Matrices (two axes or more) and vectors are aligned separately, since a
layer's bias comes between its matrix and the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations

from harness.evaluating.state import Shape
from harness.layouts.folding import Folded, fold, unfold
from harness.layouts.forms import is_flat, list_forms
from harness.layouts.grids import list_grids
from harness.layouts.parts import (
    Named,
    Part,
    Parts,
    added,
    cut,
    joined,
    transposed,
    whole,
    zeros,
)
from harness.layouts.stacking import list_picks, list_splits, list_stacks

MOST_MIXED = 3  # tensors that are joined in every order


@dataclass(frozen=True)
class Rules:
    """Relaxations of an alignment (an assignment of the reference's tensors to the subject's).

    `turned` says that square matrices are transposed, and kernels of equal lengths too. `last` says
    that kernels get the outputs on the last axis, if their shapes fit both ways. `as_built` is the
    number of the subject's tensors that may have no source (matrices stay as built, vectors are 0).
    `unused` is the number of the reference's tensors that may stay unused.
    """

    turned: bool = False
    last: bool = False
    as_built: int = 0
    unused: int = 0


def align(
    theirs: Sequence[Named],
    ours: Sequence[Named],
    rules: Rules,
    is_over: Callable[[], bool] = lambda: False,
) -> Iterator[Parts]:
    """Yield dicts that express each of the subject's tensors (`ours`) by the reference's tensors
    (`theirs`), until `is_over` says that there is no more time.

    Each tensor of the reference is used once, except for tensors that `rules` leave out.
    """
    for (matrices, vectors), (of_matrices, of_vectors) in list_splits(theirs, ours):
        aligner = _Aligner(rules, is_over)
        alignments = _align_matrices(matrices, vectors, of_matrices, of_vectors, aligner)
        for parts, rest, missing in alignments:
            for more in aligner.align(rest, missing):
                yield {**parts, **more}
    yield from _align_flat(theirs, ours, _Aligner(rules, is_over))


def _align_matrices(
    matrices: Sequence[Named],
    vectors: Sequence[Named],
    of_matrices: Sequence[Named],
    of_vectors: Sequence[Named],
    aligner: _Aligner,
) -> Iterator[Folded]:
    """Yield alignments of the matrices, each with the vectors that remain on both sides.

    `matrices` and `vectors` are the reference's tensors, `of_matrices` and `of_vectors` the
    subject's.
    """
    for parts in aligner.align(matrices, of_matrices):
        yield parts, vectors, of_vectors
    if vectors or of_vectors:
        yield from fold(matrices, vectors, of_matrices, of_vectors)
        yield from unfold(matrices, vectors, of_matrices, of_vectors)


class _Aligner:
    """Aligns two ordered lists of tensors, the reference's and the subject's."""

    def __init__(self, rules: Rules, is_over: Callable[[], bool]) -> None:
        self.rules, self.is_over = rules, is_over

    def align(
        self,
        theirs: Sequence[Named],
        ours: Sequence[Named],
        as_built: int = 0,
        unused: int = 0,
    ) -> Iterator[Parts]:
        """Yield alignments of the tensors that are left in both lists, the simplest first.

        `as_built` and `unused` are the numbers of tensors that have been left out so far, see
        `Rules`.
        """
        if not theirs and not ours:
            yield {}
            return
        if self.is_over():
            return
        for count, parts in self._begin(theirs, ours):
            rest = self.align(theirs[count:], ours[len(parts) :], as_built, unused)
            for more in rest:
                yield {**parts, **more}
        if ours and as_built < self.rules.as_built:
            zero = {name: zeros(shape) for name, shape in ours[:1] if is_flat(shape)}
            for more in self.align(theirs, ours[1:], as_built + 1, unused):
                yield {**zero, **more}
        if theirs and unused < self.rules.unused:
            yield from self.align(theirs[1:], ours, as_built, unused + 1)

    def _begin(self, theirs: Sequence[Named], ours: Sequence[Named]) -> Iterator[tuple[int, Parts]]:
        """Yield expressions of the subject's first tensor or tensors, each with the number of the
        reference's tensors that it uses.
        """
        if not theirs or not ours:
            return
        name, shape = ours[0]
        for part in list_forms(*theirs[0], shape, self.rules.turned, self.rules.last):
            yield 1, {name: part}
        for count in range(2, len(theirs) + 1):
            for part in (*list_joints(theirs[:count], shape), *list_stacks(theirs[:count], shape)):
                yield count, {name: part}
        for count in range(2, len(ours) + 1):
            several = ours[:count]
            for parts in (*_list_cuts(theirs[0], several), *list_picks(theirs[0], several)):
                yield 1, parts
        yield from list_grids(theirs, ours)
        if is_flat(shape):
            for count in range(2, len(theirs) + 1):
                terms = [next(list_forms(*one, shape), None) for one in theirs[:count]]
                fitting = [term for term in terms if term is not None]
                if len(fitting) == count:
                    yield count, {name: added(fitting)}


def list_joints(theirs: Sequence[Named], wanted: Shape) -> Iterator[Part]:
    """Yield expressions that join all tensors `theirs` to a wanted shape; joins in the given order
    come first.
    """
    for turn in (False, True):
        shapes = [shape[::-1] if turn else shape for _, shape in theirs]
        if turn and any(len(shape) != 2 for shape in shapes):
            continue
        for axis in range(len(wanted)):
            if not _do_join(shapes, wanted, axis):
                continue
            parts = [transposed(whole(name)) if turn else whole(name) for name, _ in theirs]
            orders = permutations(parts) if len(parts) <= MOST_MIXED else [tuple(parts)]
            for order in orders:
                yield joined(order, axis)


def _do_join(shapes: Sequence[Shape], wanted: Shape, axis: int) -> bool:
    """Do tensors of these shapes join to the wanted one along an axis?"""
    total = 0
    for shape in shapes:
        if len(shape) != len(wanted):
            return False
        total += shape[axis]
        if shape[:axis] != wanted[:axis] or shape[axis + 1 :] != wanted[axis + 1 :]:
            return False
    return total == wanted[axis]


def _list_cuts(theirs: Named, ours: Sequence[Named]) -> Iterator[Parts]:
    """Yield expressions that cut one tensor of the reference into several of the subject's."""
    name, shape = theirs
    for turn in (False, True) if len(shape) == 2 else (False,):
        shapes = [wanted[::-1] if turn else wanted for _, wanted in ours]
        for axis in range(len(shape)):
            if not _do_join(shapes, shape, axis):
                continue
            parts, start = {}, 0
            for (own, _), wanted in zip(ours, shapes, strict=True):
                part = cut(whole(name), axis, start, start + wanted[axis])
                parts[own] = transposed(part) if turn else part
                start += wanted[axis]
            yield parts


def _align_flat(
    theirs: Sequence[Named], ours: Sequence[Named], aligner: _Aligner
) -> Iterator[Parts]:
    """Yield alignments in which matrices with a single row or column count as vectors."""
    flat_theirs = [one for one in theirs if is_flat(one[1])]
    flat_ours = [one for one in ours if is_flat(one[1])]
    if not any(len(shape) > 1 for _, shape in [*flat_theirs, *flat_ours]):
        return
    for parts in aligner.align(
        [one for one in theirs if one not in flat_theirs],
        [one for one in ours if one not in flat_ours],
    ):
        for more in aligner.align(flat_theirs, flat_ours):
            yield {**parts, **more}
