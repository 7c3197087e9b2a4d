"""Compares the dropout of two models whose random numbers under one seed are not the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.model.dropout import Dropped


@dataclass(frozen=True)
class Dropping:
    """The dropout of two models that are compared with all dropout switched off.

    `mine` and `theirs` have, by probability, on how many numbers the subject and the reference
    decide. `more` and `lacking` are dropouts that only the subject or only the reference has.
    """

    mine: Mapping[float, int]
    theirs: Mapping[float, int]
    more: Sequence[Dropped] = ()
    lacking: Sequence[Dropped] = ()

    @property
    def is_equal(self) -> bool:
        """Do both decide on as many numbers with each probability?"""
        return self.mine == self.theirs


def compare_dropouts(mine: Sequence[Dropped], theirs: Sequence[Dropped]) -> Dropping:
    """Return the comparison of the dropouts of two models.

    Dropouts of the same probability and as many numbers are paired. If both models have dropouts
    without a pair, none is lacking: they may group the numbers in other ways.
    """
    own, others = _list_unpaired(mine, theirs), _list_unpaired(theirs, mine)
    more, lacking = ([] if others else own), ([] if own else others)
    return Dropping(_add_up(mine), _add_up(theirs), more, lacking)


def _list_unpaired(some: Iterable[Dropped], others: Iterable[Dropped]) -> list[Dropped]:
    """Return the dropouts in `some` that have no pair in `others`."""
    known = Counter(map(_key, others))
    unpaired = []
    for one in some:
        if known[_key(one)]:
            known[_key(one)] -= 1
        else:
            unpaired.append(one)
    return unpaired


def _key(one: Dropped) -> tuple[float, int]:
    return round(one.probability, 12), one.numbers


def _add_up(dropped: Iterable[Dropped]) -> dict[float, int]:
    """Return the number of decisions by probability."""
    counts: Counter[float] = Counter()
    for one in dropped:
        counts[round(one.probability, 12)] += one.numbers
    return dict(sorted(counts.items()))
