"""Bounded arithmetic that goes on from a model's own intermediate numbers: each of its layers is
judged by itself.

A number that an implementation stores is replaced by its own number within the bound; if there are
several, by the interval that holds them. So errors are not carried on, and the bounds of all
layers, one after the other, decide. A number that is not found keeps its bound.
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
    """An implementation's own numbers in place of `derived` ones."""

    derived: Bounded


class StagedArithmetic(BoundedArithmetic):
    """`own` (D, R, W) are an implementation's intermediate numbers: W columns, each with one number
    for each row.
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
        """The activation of its own argument, replaced by its own result."""
        h, slope = super().act(name, self._seen(z))
        return self._seen(h, name), slope

    def _seen(self, x: Bounded, name: str = "") -> Bounded:
        """Replace each column by own ones within its bound; units may stand in another order.

        A column of an activation `name` that is not found is noted as missing.
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
    """Return the derived number of a replaced one, and others as they are."""
    return x.derived if isinstance(x, Replaced) else x
