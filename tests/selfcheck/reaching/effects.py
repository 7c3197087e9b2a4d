"""What is wrong where a condition holds: each effect is structural, or changes numbers by a
thousandth at least.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from tests.selfcheck.reaching.port import Change, State

Effect = Callable[[Tensor], Tensor]
Condition = Callable[[Tensor, State], Tensor | bool]


def _round(v: Tensor, bits: int) -> Tensor:
    """Round to so many significand bits; the gradient goes through as it is."""
    fraction, exponent = torch.frexp(v.detach())
    near = torch.ldexp((fraction * 2.0**bits).round(), exponent - bits).to(v.dtype)
    return v + (near - v.detach())


EFFECTS: dict[str, Effect] = {
    "0.1 % too large": lambda v: v * (1 + 1e-3),
    "0.3 % too small": lambda v: v * (1 - 3e-3),
    "twice": lambda v: 2 * v,
    "zero": lambda v: 0 * v,
    "negated": lambda v: -v,
    "clamped to 1/4": lambda v: v.clamp(-0.25, 0.25),
    "rounded to 4 bits": lambda v: _round(v, 4),
    "shifted": lambda v: v + 1e-2 * v.detach().abs().max(),
    "detached": lambda v: v.detach(),
}
OF_ROWS: dict[str, Effect] = {  # of a tensor whose first axis is rows
    "last row zero": lambda v: torch.cat([v[:-1], 0 * v[-1:]]),
    "rows reversed": lambda v: v.flip(0),
    "mean for each row": lambda v: v.mean(0, keepdim=True).expand_as(v).clone(),
}


def where(condition: Condition, effect: Effect) -> Change:
    """Return the change that has an effect on the elements at which a condition holds, or on all
    of them if it is of the call as a whole.
    """

    def change(v: Tensor, state: State) -> Tensor:
        holds = condition(v, state)
        if isinstance(holds, bool):
            return effect(v) if holds else v
        return torch.where(holds, effect(v), v)

    return change


def in_single(v: Tensor, state: State) -> Tensor:
    """Store in float32; a gradient goes back through float32 too."""
    return v.float().to(v.dtype)


def value_in_single(v: Tensor, state: State) -> Tensor:
    """Store in float32; a gradient goes back as it is."""
    return v + (v.detach().float().to(v.dtype) - v.detach())
