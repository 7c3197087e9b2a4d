"""Contrasts of factors: the numbers in the columns of R's model.matrix for each level of a
factor.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from harness.core.contract import Array
from harness.text.harmless import one_line
from reference.rds.expressions import WAY_OUT
from reference.rds.fit import Unsupported
from reference.rds.values import NUMBERS, Value

MOST_LEVELS = 6  # of contr.poly: R's QR decomposition loses digits, 300 roundings at 12 levels
POWERS = (".L", ".Q", ".C")


def read_contrasts(name: str, given: Value, levels: Sequence[str]) -> tuple[Array, list[str]]:
    """Return the contrasts (levels, columns) of a factor, and the suffix of each column's name.

    `given` is a matrix, or the name of contr.treatment, contr.sum or contr.poly. Raises Unsupported
    for anything else.
    """
    count = len(levels)
    if given.kind in NUMBERS and given.matrix().shape[0] == count:
        matrix = given.matrix()
        names = list(given.dimension_names(1))
        return matrix, names or [str(n + 1) for n in range(matrix.shape[1])]
    kind = given.texts[0] if given.kind == "character" and len(given) == 1 else None
    if kind == "contr.treatment":
        return np.eye(count)[:, 1:], list(levels[1:])
    if kind == "contr.sum":
        whole = np.vstack([np.eye(count - 1), -np.ones((1, count - 1))])
        return whole, [str(n + 1) for n in range(count - 1)]
    if kind == "contr.poly" and count > MOST_LEVELS:
        raise Unsupported(
            f"{name} has contr.poly of {count} levels, of which R's own numbers are off by more"
            f" than rounding, expected {MOST_LEVELS} levels at most; {WAY_OUT}"
        )
    if kind == "contr.poly":
        suffixes = [POWERS[n] if n < len(POWERS) else f"^{n + 1}" for n in range(count - 1)]
        return orthogonal_polynomials(count), suffixes
    shown = one_line(kind or f"a {given.kind}")[:40]
    raise Unsupported(f"{name} has the contrasts {shown}, which are not supported; {WAY_OUT}")


def orthogonal_polynomials(count: int) -> Array:
    """Return contr.poly(count): orthonormal polynomials of degree 1, 2, ... at 1..count.

    They are computed exactly and rounded at the end. For up to 6 levels, R's differ from them by at
    most 6 roundings of 1.
    """
    scores = [Fraction(2 * place - count + 1, 2) for place in range(count)]
    basis = [[Fraction(1)] * count]
    columns = []
    for _ in range(count - 1):
        column = [score * last for score, last in zip(scores, basis[-1], strict=True)]
        for other in basis[-2:]:  # it is orthogonal to all polynomials of a lower degree
            part = _product(column, other) / _product(other, other)
            column = [value - part * one for value, one in zip(column, other, strict=True)]
        basis.append(column)
        length = _product(column, column)
        columns.append([math.copysign(math.sqrt(v * v / length), v) for v in column])
    return np.array(columns, dtype=np.float64).reshape(count - 1, count).T.copy()


def _product(left: Sequence[Fraction], right: Sequence[Fraction]) -> Fraction:
    return sum((a * b for a, b in zip(left, right, strict=True)), Fraction(0))
