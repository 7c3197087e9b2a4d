"""Stop signals: SIGTERM and SIGHUP end a run as Ctrl-C does, and no signal interrupts the writing
of the report.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from signal import SIG_DFL, SIGINT, Signals, default_int_handler, getsignal, signal
from threading import current_thread, main_thread
from typing import Any

# a terminal that is closed sends SIGHUP, which Windows does not know
LIKE_CTRL_C = [each for each in Signals if each.name in ("SIGTERM", "SIGHUP")]


class StopSignals:
    """Makes SIGTERM and SIGHUP end a run of pytest as Ctrl-C does, once the run has collected its
    first case.
    """

    def __init__(self, config: Any) -> None:
        self._config = config
        self.are_watched = False

    def watch(self) -> None:
        """Let the signals act as Ctrl-C from now on, because this run has a case."""
        if not self.are_watched:
            self.are_watched = True
            self._config.add_cleanup(as_ctrl_c())


def as_ctrl_c() -> Callable[[], Any]:
    """Let SIGTERM and SIGHUP raise KeyboardInterrupt, unless the program handles or ignores them.
    Return a function that restores the former handlers.
    """
    if current_thread() is not main_thread():
        return lambda: None
    changed = [each for each in LIKE_CTRL_C if getsignal(each) is SIG_DFL]

    def undo() -> None:
        for each in changed:
            signal(each, SIG_DFL)

    for each in changed:
        signal(each, default_int_handler)
    return undo


@contextmanager
def deferred_signals(wanted: bool) -> Iterator[list[int]]:
    """Delay a first SIGINT, SIGTERM or SIGHUP while the `with` block runs, if `wanted`.

    The block gets a list to which the number of each signal is added. A second signal raises
    KeyboardInterrupt.
    """
    came: list[int] = []

    def note(number: int, frame: object) -> None:
        came.append(number)
        if len(came) > 1:
            raise KeyboardInterrupt

    ours = (SIGINT, *LIKE_CTRL_C) if wanted and current_thread() is main_thread() else ()
    before = {number: handler for number in ours if callable(handler := getsignal(number))}
    for number in before:
        signal(number, note)
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal(number, handler)
