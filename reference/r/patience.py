"""Measures how long R takes for a request: its CPU time, and the time in which it only waits.

CPU time is that of R and all processes that it has started, so other work on the machine never
makes a request fail. An R that computes nothing (it sleeps, or waits for a lock) is ended after a
time on the clock.
"""

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from harness.waiting.deadlines import R_OPTION
from harness.waiting.progress import PATIENCE, report
from reference.r.guard import list_descendants

# How many times as long R may wait as it may compute. An ordinary ask hardly waits (for a slow
# disk, or while the machine swaps).
WAITING = 3.0
FIRST, LONGEST = 0.05, 1.0  # seconds between two looks
# Weights x rows x iterations of an ask of size 1. R takes 2 to 7 ns for each, so such an ask
# takes at most a quarter of its 60 s, and a machine may be four times slower.
ORDINARY = 2e9


class DeadlinePassed(Exception):
    """Raised if R has used up its time; the text says which time. `may_pass` says if another try
    makes sense.
    """

    def __init__(self, said: str, may_pass: bool = False) -> None:
        super().__init__(said)
        self.may_pass = may_pass


class Usage(NamedTuple):
    """The CPU time of some processes in seconds, and whether one of them is running or was
    stopped.
    """

    seconds: float
    is_running: bool
    is_stopped: bool


def measure(guard: int) -> Usage | None:
    """Return the CPU time of a guard process and all its descendants; None on a system without
    /proc.
    """
    if not Path(f"/proc/{guard}/task/{guard}/children").exists():
        return None
    ticks, states = 0, ""
    for pid in (guard, *list_descendants(guard)):
        with suppress(OSError):  # it has just ended
            fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2]
            state, *numbers = fields.split()
            ticks += sum(map(int, numbers[10:14]))  # own and waited-for children's
            if pid != guard:
                states += state
    stopped = "T" in states or "t" in states
    return Usage(ticks / os.sysconf("SC_CLK_TCK"), "R" in states, stopped)


class Patience:
    """The deadline of one request to R: `seconds` of CPU time times the size of the request.

    `base` is the deadline from the option, and `what` describes the request in errors.
    """

    def __init__(self, guard: int, what: str, base: float, size: float = 1.0) -> None:
        self.guard, self.what, self.base = guard, what, base
        self.limit = base * max(1.0, size)
        self.most_waiting = WAITING * base
        self.more = f"{R_OPTION} SECONDS gives more; it is {base:g}"
        self.interval = FIRST
        self.used = self.waited = 0.0
        self._before: float | None = None  # CPU time when the ask began
        self._began = self._looked = time.monotonic()

    def look(self) -> None:
        """Check how long R has taken. Raises DeadlinePassed."""
        now = time.monotonic()
        # a machine or a Python that was stopped itself does not count
        elapsed = min(now - self._looked, 2 * self.interval)
        self._looked, self.interval = now, min(2 * self.interval, LONGEST)
        usage = measure(self.guard)
        if usage is None:
            self._wait(elapsed, "given no answer for", WAITING * self.limit)
            return
        if self._before is None:
            self._before = usage.seconds
        used = max(self.used, usage.seconds - self._before)
        spent, self.used = used - self.used, used
        if self.used > self.limit:
            raise DeadlinePassed(
                f"used {self.used:.3g} s of CPU time without an answer, and was killed: its limit"
                f" is {self.limit:.3g} s ({self.more})"
            )
        if not usage.is_running:
            how = "been stopped for" if usage.is_stopped else "waited, and not computed, for"
            self._wait(max(0.0, elapsed - spent), how, self.most_waiting, usage.is_stopped)
        if now - self._began > PATIENCE:
            report(f"R: {self.what}: {self.used:.0f} s of CPU time, of {self.limit:.3g} s at most")

    def _wait(self, seconds: float, how: str, limit: float, may_pass: bool = False) -> None:
        self.waited += seconds
        if self.waited > limit:
            raise DeadlinePassed(
                f"has {how} {self.waited:.3g} s, and was killed: its limit is {limit:.3g} s"
                f" ({self.more})",
                may_pass,
            )


def find_size(weights: int, rows: int, iterations: float) -> float:
    """Return the relative size of a request to train a network: 1 for an ordinary one.

    An iteration of BFGS takes weights x rows for the gradient, and weights x weights for the step.
    """
    return weights * (rows + weights) * max(1.0, iterations) / ORDINARY
