"""Outcomes of comparing an answer of two models, and the arithmetic of shares and bits."""

from __future__ import annotations

import math
from typing import Literal

WORSE_BITS = 3.0  # more than the reference's operations: the form loses precision, see DECISIONS.md
WIDEST = 0.1  # of an answer's size: a wider bound says nothing
Outcome = Literal[
    "same",
    "differs",
    "not finite",
    "shape",
    "only here",
    "no rule",
    "too wide",
    "not seen",
    "left torch",
]


def decide(factor: float, resolution: float, size: float, unruled: bool, leaves: bool) -> Outcome:
    """Return the outcome of an answer whose elements have been compared.

    `factor` is the largest difference divided by its bound, `resolution` the bound divided by
    `size`, the answer's. `unruled` says that an operation has no bound, and `leaves` that numbers
    leave torch.
    """
    if unruled:
        return "no rule"
    if factor > 1:
        return "left torch" if leaves else "differs"
    if not size:
        return "not seen"
    return "too wide" if resolution > WIDEST else "same"


def divide(part: float, whole: float) -> float:
    """Return part / whole; 0 / 0 is 0, and NaN becomes infinity."""
    if part == 0:
        return 0.0
    share = part / whole if whole else math.inf
    return math.inf if math.isnan(share) else share


def bits(more: float, less: float) -> float:
    """Return log2(more / less), the number of bits by which the error `more` exceeds the error
    `less`; 0 if it does not.
    """
    if more <= less or less == 0 or not math.isfinite(more):
        return 0.0
    return math.log2(more / less)
