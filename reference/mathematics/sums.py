"""Sums of matrix products; their terms may be added in any order.

In shapes, D counts draws (problems of a stack); n, k and K are any lengths.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Generic, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from harness.arithmetic.interface import Arithmetic
from harness.core.contract import Array, Number

V = TypeVar("V")


def transpose(a: NDArray[Number]) -> NDArray[Number]:
    """Transpose each draw's matrix (D, n, k) to (D, k, n).

    D counts draws (problems of a stack).
    """
    return a.swapaxes(-1, -2)


def weights_back(A: Array) -> Array:
    """Return the weights, transposed to (D, k, n), of parameters (D, n, 1 + k) whose first column
    is the bias.

    D counts draws (problems of a stack).
    """
    return transpose(A[..., 1:])


@dataclass(frozen=True, eq=False)
class Sum(Generic[V]):
    """The sum of the matrix products left @ right^T over all pairs of left (D, n, K) and right (D,
    k, K), in the arithmetic `m`.

    A pair whose right factor is None adds left (D, n, k) itself. An implementation's sum may have
    `extra` more terms. D counts draws (problems of a stack).
    """

    m: Arithmetic[V]
    pairs: tuple[tuple[V, V | None], ...]
    extra: int = 0

    def total(self, extra: int) -> V:
        """Return the result (D, n, k), added up as one sum; an implementation's sum may have
        `extra` more terms.

        D counts draws (problems of a stack).
        """
        if self.is_one_number:
            return self.pairs[0][0]
        added, lefts, rights = [], [], []
        for left, right in self.pairs:
            if right is None:
                added.append(left)
            else:
                lefts.append(left)
                rights.append(right)
        for left in added[1:]:
            lefts.append(left)
            rights.append(self._identity(left))
        left, right = reduce(self.m.join, lefts), reduce(self.m.join, rights)
        plus = added[0] if added else None
        return self.m.dot(left, self.m.each(transpose, right), extra, plus=plus)

    @property
    def is_one_number(self) -> bool:
        """Is the sum a single term, so that there is nothing to add or multiply?"""
        return len(self.pairs) == 1 and self.pairs[0][1] is None

    @cached_property
    def formed(self) -> V:
        """The result (D, n, k) before an implementation stores it.

        D counts draws (problems of a stack).
        """
        return self.total(self.extra)

    @cached_property
    def value(self) -> V:
        """The result (D, n, k) as an implementation stores it for further computation.

        D counts draws (problems of a stack).
        """
        return self.formed if self.is_one_number else self.m.stored(self.formed)

    def mapped(self, change: Callable[[V], V]) -> Sum[V]:
        """Return this sum with a linear map applied to the last axis of its result."""
        pairs: list[tuple[V, V | None]] = []
        for left, right in self.pairs:
            if right is None:
                pairs.append((change(left), None))
            else:
                changed = change(self.m.each(transpose, right))
                pairs.append((left, self.m.each(transpose, changed)))
        return Sum(self.m, tuple(pairs), self.extra)

    def turned(self) -> Sum[V]:
        """Return this sum with its result transposed in each draw (one problem of a stack)."""
        pairs: list[tuple[V, V | None]] = []
        for left, right in self.pairs:
            if right is None:
                pairs.append((self.m.each(transpose, left), None))
            else:
                pairs.append((right, left))
        return Sum(self.m, tuple(pairs), self.extra)

    def _identity(self, like: V) -> V:
        # a value is an array, or holds one
        draws, *_, width = cast("Array", getattr(like, "value", like)).shape
        return self.m.lift(np.broadcast_to(np.eye(width), (draws, width, width)))
