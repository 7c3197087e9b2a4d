"""Repeats an operation of a call in float64 on other arguments, to add up sizes or to count terms.

Suppose that an operation is linear in some arguments, with coefficients that are not negative.
Applied to the absolute values of these arguments, it adds up the sizes of its terms. Applied to
ones, it counts its terms.
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
    """Return the results of a call's operation with some arguments changed."""
    operation = getattr(torch.ops.aten, call.name.removeprefix("aten::"))
    return operation(**{**call.given, **changes})


def add_sizes(call: Call, *names: str) -> Any:
    """Return the operation's results for the absolute values of the arguments in which it is
    linear.
    """
    return repeat_with(call, **{name: abs(call[name]) for name in names if call[name] is not None})


def count_terms_with(call: Call, *names: str) -> Any:
    """Return the number of terms of each of the operation's results: its results for ones."""
    ones = {name: torch.ones_like(call[name]) for name in names if call[name] is not None}
    return repeat_with(call, **ones)


def bound_running_sums(
    steps: Steps, size: Tensor, terms: Tensor | float, further: float = 0.0, wide: bool = False
) -> Tensor:
    """Return the error of sums that are kept in memory, where each addition rounds to the dtype of
    the result.

    n terms lose n - 1 roundings of the sum of their sizes, in any order (Jeannerod and Rump 2013);
    `further` is the number of roundings of each term before it is added. If `wide`, sums are kept
    in float32 and stored once.
    """
    u = steps.u if wide else step_roundoff(steps)
    counts = torch.as_tensor(terms, dtype=torch.float64, device=size.device)
    before = compound(further, u)
    share = before + (1 + before) * u * torch.clamp(counts - 1, min=0.0)
    tiny = steps.precision.tiny if further else 0.0
    error = share * size + counts * tiny * (size > 0).double()
    return steps.store(Number(size, error)) if wide else steps.limit(size, error)


def compound(roundings: float, u: float) -> float:
    """Return the relative error of a product of `roundings` factors 1 + delta, with |delta| <=
    u.
    """
    return float(math.expm1(roundings * math.log1p(u)))


def step_roundoff(steps: Steps) -> float:
    """Return the roundoff of a step whose result is stored in the dtype of the results."""
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
