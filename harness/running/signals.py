"""Signals to stop: SIGTERM ends a run as Ctrl-C does, and neither interrupts the writing of the
report.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from signal import SIG_DFL, SIGINT, SIGTERM, default_int_handler, getsignal, signal
from threading import current_thread, main_thread
from typing import Any


class StopSignals:
    """Makes SIGTERM end a run of pytest as Ctrl-C does, from the first case of the run on."""

    def __init__(self, config: Any) -> None:
        self._config = config
        self.are_watched = False

    def watch(self) -> None:
        """Note that this run has a case, and let SIGTERM act as Ctrl-C from now on."""
        if not self.are_watched:
            self.are_watched = True
            self._config.add_cleanup(as_ctrl_c())


def as_ctrl_c() -> Callable[[], Any]:
    """Let SIGTERM raise KeyboardInterrupt, unless the program handles SIGTERM already.

    Returns a function that undoes this.
    """
    if current_thread() is not main_thread() or getsignal(SIGTERM) is not SIG_DFL:
        return lambda: None
    signal(SIGTERM, default_int_handler)
    return lambda: signal(SIGTERM, SIG_DFL)


@contextmanager
def deferred_signals(wanted: bool) -> Iterator[list[int]]:
    """Delay a first SIGINT or SIGTERM while the `with` block runs, if `wanted`.

    The block gets a list to which the number of each signal is added. A second signal raises
    KeyboardInterrupt.
    """
    came: list[int] = []

    def note(number: int, frame: object) -> None:
        came.append(number)
        if len(came) > 1:
            raise KeyboardInterrupt

    ours = (SIGINT, SIGTERM) if wanted and current_thread() is main_thread() else ()
    before = {number: handler for number in ours if callable(handler := getsignal(number))}
    for number in before:
        signal(number, note)
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal(number, handler)
