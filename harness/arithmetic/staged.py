"""Bounded arithmetic that goes on from what a model itself has computed: each of its layers is
judged by itself.

A number that an implementation keeps is replaced by the one of its own that lies within the bound,
where there is one; where several do, by the interval that holds them. So an error is not carried
on, and what is accepted is what the bounds of all layers, one after the other, allow. Nothing is
taken for granted: what is not found keeps its bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.arithmetic.bounded import BoundedArithmetic
from harness.arithmetic.rounding import DIRECTED
from harness.core.contract import Array, Bounded, Contract


@dataclass(frozen=True, eq=False)
class Replaced(Bounded):
    """An implementation's own numbers in place of those that were `derived`."""

    derived: Bounded


class StagedArithmetic(BoundedArithmetic):
    """`own` are all columns of numbers, one a row, that an implementation has computed on its way
    (D, R, W).
    """

    def __init__(self, contract: Contract, parts: int, own: Array) -> None:
        super().__init__(contract, parts)
        self.own = own
        self.found, self.asked = 0, 0
        self.missing: list[str] = []

    def stored(self, x: Bounded) -> Bounded:
        """As the implementation keeps it, which is seen where it is there to be seen."""
        return self._seen(super().stored(x))

    def act(self, name: str, z: Bounded) -> tuple[Bounded, Bounded | None]:
        """Of its own argument, and its own result."""
        h, slope = super().act(name, self._seen(z))
        return self._seen(h, name), slope

    def _seen(self, x: Bounded, name: str = "") -> Bounded:
        """Column by column, since its units may stand in another order; what has a name is missed
        where it is not.
        """
        if isinstance(x, Replaced) or x.value.ndim != 3 or x.value.shape[:2] != self.own.shape[:2]:
            return x
        value, error = x.value.copy(), x.error.copy()
        for unit in range(x.value.shape[-1]):
            within = (abs(self.own - value[..., unit, None]) <= error[..., unit, None]).all(
                axis=(0, 1)
            )
            self.asked += 1
            if not within.any():
                self.missing += [f"{name} of unit {unit}"] if name else []
            else:
                self.found += 1
                least, most = (limit(self.own[..., within], axis=-1) for limit in (np.min, np.max))
                # what is below the normal numbers may be read as 0, as products of bfloat16 do on
                # some CPUs
                least = np.where(least < self.tiny, np.minimum(least, 0.0), least)
                most = np.where(most > -self.tiny, np.maximum(most, 0.0), most)
                middle = least + (most - least) / 2
                value[..., unit] = middle
                error[..., unit] = np.maximum(most - middle, middle - least) * DIRECTED
        return Replaced(value, error, derived=x)


def before(x: Any) -> Bounded:
    """What was derived, where it was replaced."""
    return x.derived if isinstance(x, Replaced) else x
