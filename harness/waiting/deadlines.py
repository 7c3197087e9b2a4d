"""The limits on the CPU time of R and of training, in seconds.

CPU time is the time in which a process has computed, so other work on the machine does not use it
up.
"""

import os
from collections.abc import Mapping
from typing import NamedTuple

R_OPTION, TRAINING_OPTION = "--parity-r-deadline", "--parity-training-deadline"
R_SWITCH, TRAINING_SWITCH = "NNET_PARITY_R_DEADLINE", "NNET_PARITY_TRAINING_DEADLINE"


class Deadlines(NamedTuple):
    """Limits in seconds: `r` for one request to R of ordinary size, `training` for one stack or
    start of training.
    """

    r: float = 60.0
    training: float = 120.0


_chosen: list[Deadlines] = []  # by pytest's options; the latest counts


def get_deadlines() -> Deadlines:
    """Return the deadlines of this process: those of pytest's options, else of the environment.

    Raises ValueError if the environment does not give numbers.
    """
    if _chosen:
        return _chosen[-1]
    return read_deadlines(os.environ)


def read_deadlines(environment: Mapping[str, str]) -> Deadlines:
    """Return the deadlines that an environment gives. Raises ValueError if it gives no numbers."""
    plain = Deadlines()
    r, training = environment.get(R_SWITCH), environment.get(TRAINING_SWITCH)
    return Deadlines(
        parse_seconds(R_SWITCH, r) if r else plain.r,
        parse_seconds(TRAINING_SWITCH, training) if training else plain.training,
    )


def parse_seconds(name: str, text: str) -> float:
    """Return a number of seconds from its text. Raises ValueError unless it is larger than 0."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise ValueError(f"{name} {text}: expected seconds, a number larger than 0")
    return seconds


def choose(deadlines: Deadlines) -> None:
    """Set the deadlines of this process, until `forget` is called."""
    _chosen.append(deadlines)


def forget() -> None:
    """Go back to the deadlines before the latest `choose`."""
    _chosen.pop()
