"""How far something is that takes long, said to whoever waits for it."""

from collections.abc import Callable
from time import perf_counter

Say = Callable[[str], None]
PATIENCE = 2.0  # seconds that a terminal stays silent at most


def silent(said: str) -> None:
    """Say nothing."""


def patient(say: Say) -> Say:
    """The same, which says nothing of what has ended after PATIENCE seconds."""
    began = perf_counter()

    def later(said: str) -> None:
        if perf_counter() - began > PATIENCE:
            say(said)

    return later
