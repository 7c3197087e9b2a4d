"""Messages to a waiting person on how far a long computation is."""

from collections.abc import Callable
from time import perf_counter

Say = Callable[[str], None]
PATIENCE = 2.0  # seconds that a terminal stays silent at most


def silent(said: str) -> None:
    """Say nothing."""


def patient(say: Say) -> Say:
    """Return a version of `say` that is silent for the first PATIENCE seconds, so that short work
    says nothing.
    """
    began = perf_counter()

    def later(said: str) -> None:
        if perf_counter() - began > PATIENCE:
            say(said)

    return later
