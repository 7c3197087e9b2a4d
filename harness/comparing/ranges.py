"""Finds the draws whose exact answers are beyond the range of a dtype."""

import numpy as np

from harness.core.contract import Bounded, Mask


def find_draws_beyond(oracle: Bounded, largest: float) -> Mask | None:
    """Return a mask (D, 1, ...) of the D problems whose exact answer is beyond the dtype's range.

    `largest` is the dtype's largest number. Return None if there are no such problems.
    """
    if oracle.size.max() + oracle.error.max() <= largest:  # nearly always, found sooner
        return None
    inside = np.asarray(oracle.size + oracle.error <= largest)
    within = inside.reshape(len(inside), -1).all(axis=1)
    return None if within.all() else np.reshape(~within, (-1, *[1] * (oracle.value.ndim - 1)))


def join_masks(some: Mask | None, others: Mask | None) -> Mask | None:
    """Return the union of two masks of draws; None if both are None."""
    if some is None or others is None:
        return others if some is None else some
    return some | others
