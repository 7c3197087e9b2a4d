"""Decides whether one checkout is slower than another in a race.

The rule was chosen by races of one checkout against itself, and against itself with a planted
slow-down of 30 %: `python -m tests.selfcheck.race_noise` measures both (docs/speed.md has its
figures).
"""

from collections.abc import Sequence
from typing import NamedTuple

ROUNDS = 30  # in each round both checkouts take a turn
# The ratio of times from which a race counts as slower: the geometric mean of 1 and 1.3, at which a
# slow-down of 30 % is as far away as none.
MARGIN = 1.3**0.5


class Measurement(NamedTuple):
    """The times of both checkouts in a race: of each the seconds of every turn, in the order of the
    rounds.
    """

    base: Sequence[float]
    head: Sequence[float]

    @property
    def ratio(self) -> float:
        """The head's time as a multiple of the base's. A disturbed turn is longer, never shorter: a
        time is the shortest of its turns.
        """
        return min(self.head) / min(self.base)


def is_slower(measurement: Measurement) -> bool:
    """Is the head slower than the base by more than noise makes it?"""
    return measurement.ratio > MARGIN


def is_faster(measurement: Measurement) -> bool:
    """Is the head faster than the base by more than noise makes it?"""
    return measurement.ratio < 1 / MARGIN
