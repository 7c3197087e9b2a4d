"""Finds the tensors of an answer that can show an error: their numbers are not all 0, and their
bounds are narrow.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from harness.core.contract import Array, Indices, Mask

TOO_WIDE = 0.1  # a bound beyond this share of a tensor's largest value judges nothing


@dataclass(frozen=True)
class Groups:
    """The elements of one draw (a single problem), grouped by the tensor that they belong to.

    `owner` has the number of each element's tensor. `order` sorts the flattened elements by tensor;
    None if they are sorted. `tensors` are the numbers of the tensors, and `starts` the positions at
    which the elements of each begin after sorting.
    """

    owner: Indices
    order: Indices | None
    tensors: Indices
    starts: Indices

    @classmethod
    def of(cls, owner: Indices) -> Self:
        """Group the elements of a draw; `owner` has the number of each element's tensor."""
        flat, order = owner.ravel(), None
        if (flat[1:] < flat[:-1]).any():
            order = np.argsort(flat, kind="stable")
            flat = flat[order]
        begins = np.ones(flat.size, dtype=bool)
        np.not_equal(flat[1:], flat[:-1], out=begins[1:])
        starts = begins.nonzero()[0]
        return cls(owner, order, flat[starts], starts)


def find_evidence(sizes: Array, allowed: Array, groups: Groups) -> tuple[Mask, Mask]:
    """Return two masks over the tensors of an answer; `sizes` (draws, ...) are its absolute values.

    The first marks the tensors with any value other than 0. The second marks those of them whose
    bound `allowed` is narrow enough to judge by, in at least one draw.
    """
    draws = len(sizes)
    size, bound = sizes.reshape(draws, -1), allowed.reshape(draws, -1)
    if groups.order is not None:
        size, bound = size[:, groups.order], bound[:, groups.order]
    if groups.starts.size == 1:
        size, bound = size.max(axis=1, keepdims=True), bound.max(axis=1, keepdims=True)
    else:
        size = np.maximum.reduceat(size, groups.starts, axis=1)
        bound = np.maximum.reduceat(bound, groups.starts, axis=1)
    seen = size > 0
    narrow = seen & (bound <= TOO_WIDE * size)
    return np.logical_or.reduce(seen, axis=0), np.logical_or.reduce(narrow, axis=0)
