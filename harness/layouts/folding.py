"""Proposes maps between a matrix with its bias and one matrix that holds both, the bias as a column
or row.

In this room `matrices` and `vectors` are tensors of the reference, `of_matrices` and `of_vectors`
those of the subject, each as (name, shape). `turn` transposes the matrix, so that the bias is a
row. `first` puts the bias before the other columns or rows, else after them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

from harness.evaluating.state import Shape
from harness.layouts.parts import Named, Part, Parts, cut, joined, reshaped, transposed, whole

Folded = tuple[Parts, Sequence[Named], Sequence[Named]]  # expressions, and vectors that are left
WAYS = tuple(product((False, True), (True, False)))  # `turn` and `first`


def fold(
    matrices: Sequence[Named],
    vectors: Sequence[Named],
    of_matrices: Sequence[Named],
    of_vectors: Sequence[Named],
) -> Iterator[Folded]:
    """Yield alignments in which each matrix of the subject holds a matrix of the reference and its
    bias.
    """
    if len(matrices) != len(of_matrices) or len(vectors) < len(matrices):
        return
    for turn, first in WAYS:
        parts: Parts = {}
        for matrix, bias, (own, wanted) in zip(matrices, vectors, of_matrices, strict=False):
            part = _fold_one(matrix, bias, turn, first)
            if part is None or part[1] != wanted:
                break
            parts[own] = part[0]
        if len(parts) == len(of_matrices):
            yield parts, vectors[len(parts) :], of_vectors


def _fold_one(matrix: Named, bias: Named, turn: bool, first: bool) -> tuple[Part, Shape] | None:
    """Return the expression that joins a matrix with its bias, and the shape of the result; None if
    they do not fit.
    """
    (name, shape), (of_bias, length) = matrix, bias
    if len(shape) != 2 or length != (shape[0],):
        return None
    part, axis = whole(name), 1
    column, wanted = reshaped(whole(of_bias), (shape[0], 1)), (shape[0], shape[1] + 1)
    if turn:
        part, axis = transposed(part), 0
        column, wanted = reshaped(whole(of_bias), (1, shape[0])), (shape[1] + 1, shape[0])
    return joined([column, part] if first else [part, column], axis), wanted


def unfold(
    matrices: Sequence[Named],
    vectors: Sequence[Named],
    of_matrices: Sequence[Named],
    of_vectors: Sequence[Named],
) -> Iterator[Folded]:
    """Yield alignments in which each matrix of the reference holds a matrix of the subject and its
    bias.
    """
    if len(matrices) != len(of_matrices) or len(of_vectors) < len(of_matrices):
        return
    for turn, first in WAYS:
        parts: Parts = {}
        for theirs, mine, bias in zip(matrices, of_matrices, of_vectors, strict=False):
            parts |= _unfold_one(theirs, mine, bias, turn, first)
        if len(parts) == 2 * len(of_matrices):
            yield parts, vectors, of_vectors[len(of_matrices) :]


def _unfold_one(theirs: Named, mine: Named, bias: Named, turn: bool, first: bool) -> Parts:
    """Return expressions that cut the subject's matrix `mine` and its bias out of the reference's
    matrix `theirs`; empty if the shapes do not fit.
    """
    (name, shape), (own, wanted), (of_bias, length) = theirs, mine, bias
    if len(shape) != 2 or len(wanted) != 2 or length != (wanted[0],):
        return {}
    axis = 0 if turn else 1
    inside = wanted[::-1] if turn else wanted
    if shape != (inside[0] + (axis == 0), inside[1] + (axis == 1)):
        return {}
    size = inside[axis]
    at = 0 if first else size
    body = cut(whole(name), axis, int(first), size + int(first))
    column = reshaped(cut(whole(name), axis, at, at + 1), length)
    return {own: transposed(body) if turn else body, of_bias: column}
