"""Checks that the parameters of a model stay in stated ranges during training.

The own parameters of a model are its own tensors, flattened to one vector (P,). In shapes, D counts
starts.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from harness.core.contract import Array
from harness.core.layout import Layout
from harness.text.harmless import shown

Range = tuple[float, float]
Stays = Range | Mapping[str, Range]


class LeftRange(Exception):
    """Raised if a parameter leaves its stated range."""


class Limits(NamedTuple):
    """The smallest and largest value of each own parameter (P,) of a model, and the layout that
    names its tensors.
    """

    low: Array
    high: Array
    layout: Layout

    def check(self, own: Array, when: str) -> None:
        """Raise LeftRange if own parameters (D, P) are outside their range; `when` says at which
        point of training. NaN does not count as outside.

        D counts starts and P own parameters (a model's tensors, flattened).
        """
        outside = np.argwhere((own < self.low) | (own > self.high))
        if not len(outside):
            return
        start, place = outside[0]
        raise LeftRange(
            f"leaves its range {when}: {self.layout.label(place)} is {own[start, place]:.9g},"
            f" expected {self.low[place]:g} to {self.high[place]:g}"
        )


def validate(who: str, stays: object) -> None:
    """Raise TypeError unless `stays` (ranges) is a pair of numbers, or a dict of pairs by the name
    of a tensor.

    `who` is the name of the trainer in errors.
    """
    ranges = list(stays.values()) if isinstance(stays, Mapping) else [stays]
    for each in ranges:
        if not _is_range(each):
            raise TypeError(
                f"{who}: stays is {shown(stays, 60)}, expected the smallest and the largest value,"
                ' (-1, 1), or such a pair for some tensors: {"hidden.weight": (-1, 1)}'
            )


def _is_range(given: object) -> bool:
    if not isinstance(given, tuple | list) or len(given) != 2:
        return False
    if not all(isinstance(number, int | float) for number in given):
        return False
    return bool(given[0] <= given[1])


def make_limits(who: str, stays: Stays, layout: Layout, dtype: str) -> Limits:
    """Return the limits of all parameters of a model, rounded to the dtype as torch.clamp rounds
    them.

    `stays` is a pair (smallest, largest), or a dict of pairs by the name of a tensor; `who` is the
    name of the trainer in errors.

    Raises ValueError for the name of a tensor that the model does not have.
    """
    low, high = np.full(layout.size, -np.inf), np.full(layout.size, np.inf)
    names = [block.name for block in layout.blocks]
    ranges = stays if isinstance(stays, Mapping) else dict.fromkeys(names, stays)
    for name in ranges:
        if name not in names:
            raise ValueError(
                f"{who}: stays names {shown(name, 40)}, expected some of {', '.join(names)}"
            )
    for block in layout.blocks:
        if block.name in ranges:
            places = block.places[block.places >= 0]
            low[places], high[places] = ranges[block.name]
    return Limits(_round(low, dtype), _round(high, dtype), layout)


def _round(numbers: Array, dtype: str) -> Array:
    with np.errstate(over="ignore"):
        return numbers.astype(dtype).astype(np.float64)
