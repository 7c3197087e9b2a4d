"""Repeats an operation in float64 with other arguments, to add up sizes or to count terms.

Suppose that an operation is linear in some arguments, with coefficients that are not negative.
Applied to the absolute values of these arguments, it adds up the sizes of its terms. Applied to
ones, it counts its terms. A call is one call of an operation, with its arguments and its float64
results.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from harness.rules.registry import Call
from harness.rules.steps import Number, Steps


def repeat_with(call: Call, **changes: Any) -> Any:
    """Return the results of a call's operation with the arguments named in `changes` replaced."""
    operation = getattr(torch.ops.aten, call.name.removeprefix("aten::"))
    return operation(**{**call.given, **changes})


def add_sizes(call: Call, *names: str) -> Any:
    """Return the sum of the absolute values of the terms of each result.

    `names` are the arguments in which the operation is linear: it is applied to their absolute
    values.
    """
    return repeat_with(call, **{name: abs(call[name]) for name in names if call[name] is not None})


def count_terms_with(call: Call, *names: str) -> Any:
    """Return the number of terms of each result.

    `names` are the arguments in which the operation is linear: it is applied to ones instead.
    """
    ones = {name: torch.ones_like(call[name]) for name in names if call[name] is not None}
    return repeat_with(call, **ones)


def bound_running_sums(
    steps: Steps, size: Tensor, terms: Tensor | float, further: float = 0.0, wide: bool = False
) -> Tensor:
    """Return a bound on the error of sums, if each addition rounds to the dtype of the result.

    `size` are the sums of the terms' absolute values, and `terms` the numbers of terms. n terms
    lose n - 1 roundings of that size, in any order (Jeannerod and Rump 2013). `further` is the
    number of roundings of each term before it is added. If `wide`, the sums are kept in float32 and
    rounded to the dtype of the result once.
    """
    u = steps.u if wide else step_roundoff(steps)
    counts = torch.as_tensor(terms, dtype=torch.float64, device=size.device)
    before = compound(further, u)
    share = before + (1 + before) * u * torch.clamp(counts - 1, min=0.0)
    tiny = steps.precision.tiny if further else 0.0
    error = share * size + counts * tiny * (size > 0).double()
    return steps.store(Number(size, error)) if wide else steps.limit(size, error)


def compound(roundings: float, u: float) -> float:
    """Return the largest relative error of n = `roundings` roundings in a row: (1 + u)^n - 1."""
    return float(math.expm1(roundings * math.log1p(u)))


def step_roundoff(steps: Steps) -> float:
    """Return the unit roundoff of a step whose result is rounded to the dtype of the operation's
    result.
    """
    if not steps.precision.narrow:
        return steps.u
    return steps.u + steps.precision.stored * (1 + steps.u)


def multiply_all(lengths: Sequence[int]) -> int:
    """Return the product of lengths: the number of elements of a window."""
    product = 1
    for length in lengths:
        product *= length
    return product


def list_per_axis(given: int | Sequence[int], axes: int) -> list[int]:
    """Return one number for each axis of a window; a single number is repeated."""
    listed = [given] if isinstance(given, int) else list(given)
    return listed * axes if len(listed) == 1 else listed
