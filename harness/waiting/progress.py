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


class Pace:
    """Estimates how long the rest of a loop takes, from the time that its rounds have taken."""

    def __init__(self, of: int) -> None:
        """Start the clock of a loop of `of` rounds."""
        self.of, self.began = of, perf_counter()

    def describe_left(self, done: int) -> str:
        """Return the time that is left after `done` rounds, as in ", about 40 s left".

        Return "" if nothing is done yet, or if the time is very short.
        """
        if not done:
            return ""
        left = (perf_counter() - self.began) / done * (self.of - done)
        if left < PATIENCE:
            return ""
        return f", about {format_time(left)} left"


def format_time(seconds: float) -> str:
    """Return a time as people say it, to one or two digits: "8 s", "40 s", "3 min", "2 h"."""
    if seconds < 60:
        return f"{float(f'{seconds:.1g}'):.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


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
