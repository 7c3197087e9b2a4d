"""One attack on the tool, and what came of it."""

from collections.abc import Iterator
from math import isnan
from typing import NamedTuple, Protocol

SECONDS = 2.0  # an attack by a file is refused within
MEGABYTES = 256.0  # of memory beyond what the process takes without the attack


class Trial(NamedTuple):
    """One attack.

    `found` is "" if all held, else a sentence on what was lost, hung or wrong. `seconds` is what
    the attack took. `megabytes` is the peak memory of the attacked process beyond that of the same
    process without the attack, NaN if it was not measured.
    """

    name: str
    found: str
    seconds: float = float("nan")
    megabytes: float = float("nan")


class Attack(Protocol):
    """A part: makes `count` attacks, drawn from `seed`, and yields what came of each."""

    def __call__(self, count: int, seed: int) -> Iterator[Trial]: ...


def is_within(trial: Trial) -> bool:
    """Did the tool refuse a file fast enough and in little memory?"""
    fast = isnan(trial.seconds) or trial.seconds <= SECONDS
    small = isnan(trial.megabytes) or trial.megabytes <= MEGABYTES
    return fast and small
