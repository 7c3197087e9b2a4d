"""Progress messages of long computations."""

from collections.abc import Callable
from time import perf_counter

Say = Callable[[str], None]
PATIENCE = 2.0  # seconds that a terminal stays silent at most


def silent(said: str) -> None:
    """Ignore a progress message."""


def patient(say: Say) -> Say:
    """Return a version of `say` that ignores messages in the first PATIENCE seconds, so that short
    work shows none.
    """
    began = perf_counter()

    def later(said: str) -> None:
        if perf_counter() - began > PATIENCE:
            say(said)

    return later


_listeners: list[Say] = []


def listen(say: Say) -> None:
    """Send messages of `report` to `say`, until `stop_listening` is called."""
    _listeners.append(say)


def stop_listening() -> None:
    """Go back to the listener before the latest `listen`."""
    _listeners.pop()


def report(said: str) -> None:
    """Send a message to the latest listener, if there is one. For functions that take no `say`."""
    if _listeners:
        _listeners[-1](said)
