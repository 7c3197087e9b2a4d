"""Bounded arithmetic that judges each layer by itself: it continues from a model's own intermediate
numbers.

The equations of a network compute a number and a bound on it. The number is replaced by the model's
own number within this bound. If several of the model's numbers are within it, it is replaced by the
smallest interval that contains them. So the errors of earlier layers are not carried on. A number
without a match keeps its bound.

In shapes, D counts draws (problems of a stack), R rows of data, and W intermediate numbers of a
row.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from harness.arithmetic.bounded import BoundedArithmetic
from harness.arithmetic.nearby import ColumnTree
from harness.arithmetic.rounding import DIRECTED
from harness.core.contract import Array, Bounded, Contract, Mask


@dataclass(frozen=True, eq=False)
class Replaced(Bounded):
    """A value that was replaced by an implementation's own numbers; `derived` is the value that the
    equations give, with its bound.
    """

    derived: Bounded


class StagedArithmetic(BoundedArithmetic):
    """Bounded arithmetic that replaces numbers by an implementation's own intermediate numbers.

    These are `own` (D, R, W): W columns, each with one number for each row.
    """

    def __init__(self, contract: Contract, parts: int, own: Array) -> None:
        super().__init__(contract, parts)
        self.own = own
        self.found, self.asked = 0, 0
        self.missing: list[str] = []

    @cached_property
    def tree(self) -> ColumnTree:
        """The implementation's W columns, of D R numbers each, as a tree for looking them up."""
        return ColumnTree(self.own.reshape(-1, self.own.shape[-1]))

    def stored(self, x: Bounded, name: str = "") -> Bounded:
        """Return x as the implementation stores it: its own numbers if they match, else x with its
        bound.

        `name` is the name of the activation that computed x, or "".
        """
        return self._replace_columns(super().stored(x), name)

    def act(self, name: str, z: Bounded) -> tuple[Bounded, Bounded | None]:
        """Return the activation `name` of z and its derivative; None stands for a derivative of 1.

        First z and then the activation are replaced by the implementation's own numbers.
        """
        h, slope = super().act(name, self._replace_columns(z))
        return self._replace_columns(h, name), slope

    def softmax(self, z: Bounded, among: Mask | None = None) -> Bounded:
        """Return softmax over the classes in `among`; z is replaced by the implementation's own
        numbers.

        The probabilities are not replaced. A loss of logits does not store them. If their bound is
        wider than they are large, their gradient p / R (for R rows) would be mistaken for the
        probabilities p.
        """
        return super().softmax(self._replace_columns(z), among)

    def log_softmax(self, z: Bounded) -> Bounded:
        """Return log-softmax; z and then the result are replaced by the implementation's own
        numbers.
        """
        return self._replace_columns(super().log_softmax(self._replace_columns(z)))

    def _replace_columns(self, x: Bounded, name: str = "") -> Bounded:
        """Replace each column (one unit) of x by the implementation's columns within its bound, in
        any order.

        If x is the activation `name`, a unit without a match is noted as missing.
        """
        if isinstance(x, Replaced) or x.value.ndim != 3 or x.value.shape[:2] != self.own.shape[:2]:
            return x
        value, error = x.value.copy(), x.error.copy()
        units = value.shape[-1]
        values, errors = value.reshape(-1, units), error.reshape(-1, units)
        near = self.tree.within(values.T, errors.T)
        self.asked += units
        self.found += int(near.found.sum())
        if name:
            self.missing += [f"{name} of unit {unit}" for unit in np.flatnonzero(~near.found)]
        middle, half = self._enclose(near.least[near.found], near.most[near.found])
        values[:, near.found], errors[:, near.found] = middle.T, half.T
        return Replaced(value, error, derived=x)

    def _enclose(self, least: Array, most: Array) -> tuple[Array, Array]:
        """Return the middles of intervals, and bounds that reach their ends.

        A number below the normal numbers also stands for 0: some CPUs flush products of bfloat16.
        """
        least = np.where(least < self.tiny, np.minimum(least, 0.0), least)
        most = np.where(most > -self.tiny, np.maximum(most, 0.0), most)
        middle = least + (most - least) / 2
        return middle, np.maximum(most - middle, middle - least) * DIRECTED


def before(x: Any) -> Bounded:
    """Return the value that the equations gave, before it was replaced; other values are
    unchanged.
    """
    return x.derived if isinstance(x, Replaced) else x
