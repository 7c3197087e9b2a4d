"""Finds the tensors of an answer that can show an error: their numbers are not all 0, and their
bounds are narrow.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from harness.core.contract import Array

TOO_WIDE = 0.1  # a bound beyond this share of a tensor's largest value judges nothing


@dataclass(frozen=True)
class Groups:
    """The elements of one draw (a single problem), grouped by the tensor that they belong to.

    `owner` has the number of each element's tensor. `order` sorts the flattened elements by tensor;
    None if they are sorted. `tensors` are the numbers of the tensors, and `starts` the positions at
    which the elements of each begin after sorting.
    """

    owner: NDArray[np.intp]
    order: NDArray[np.intp] | None
    tensors: NDArray[np.intp]
    starts: NDArray[np.intp]

    @classmethod
    def of(cls, owner: NDArray[np.intp]) -> Self:
        """Group the elements of a draw; `owner` has the number of each element's tensor."""
        flat, order = owner.ravel(), None
        if (flat[1:] < flat[:-1]).any():
            order = np.argsort(flat, kind="stable")
            flat = flat[order]
        starts = np.flatnonzero(np.diff(flat, prepend=flat[:1] - 1))
        return cls(owner, order, flat[starts], starts)


def find_evidence(
    value: Array, allowed: Array, groups: Groups
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return two masks over the tensors of an answer `value` (draws, ...).

    The first marks the tensors with any value other than 0. The second marks those of them whose
    bound `allowed` is narrow enough to judge by, in at least one draw.
    """
    draws = len(value)
    size, bound = abs(value).reshape(draws, -1), allowed.reshape(draws, -1)
    if groups.order is not None:
        size, bound = size[:, groups.order], bound[:, groups.order]
    size, bound = (np.maximum.reduceat(array, groups.starts, axis=1) for array in (size, bound))
    seen = size > 0
    narrow = seen & (bound <= TOO_WIDE * size)
    # one row is kept, for a sum over draws of a single tensor is typed as a number
    return np.any(seen, axis=0, keepdims=True)[0], np.any(narrow, axis=0, keepdims=True)[0]
