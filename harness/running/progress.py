"""Shows the progress of slow work: in pytest, on a terminal, in a notebook."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from shutil import get_terminal_size
from time import perf_counter
from typing import TextIO

from harness.text.harmless import one_line
from harness.waiting import progress
from harness.waiting.progress import PATIENCE, Say, silent

PATIENCE_OF_LOG = 10.0  # seconds: a log keeps every line
OF_KERNEL = "ipykernel."  # the module of a Jupyter kernel's streams


class Progress:
    """Passes messages on to `show`: the first after `patience` seconds, then at most one in
    `patience` seconds.
    """

    def __init__(self, show: Callable[[str], None], patience: float = PATIENCE) -> None:
        self.show, self.patience, self.shown = show, patience, perf_counter()

    def __call__(self, said: str) -> None:
        now = perf_counter()
        if now - self.shown > self.patience:
            self.shown = now
            self.show(f"  {one_line(said)}")


class ReplacedLine:
    """A line of a stream that is replaced by the next one."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.columns = get_terminal_size().columns - 1
        self.written = 0

    def __call__(self, line: str) -> None:
        """Write a line in place of the one before."""
        text = line[: self.columns]
        self._write("\r" + text.ljust(self.written))
        self.written = len(text)

    def clear(self) -> None:
        """Write blanks over the line, if there is one."""
        if self.written:
            self._write("\r" + " " * self.written + "\r")
            self.written = 0

    def _write(self, text: str) -> None:
        print(text, end="", file=self.stream, flush=True)


@contextmanager
def shown_progress(wanted: bool | None) -> Iterator[Say]:
    """Show progress on stderr while the `with` block runs.

    With `wanted` None it is shown in a terminal, and in a notebook that a person runs, in one line
    that is cleared at the end. A file or pipe, as a log, gets a line every PATIENCE_OF_LOG seconds.
    With True it is always shown, line by line if no line can be replaced, and with False never.
    """
    stream = sys.stderr
    can_replace = stream is not None and _can_replace(stream)
    if stream is None or wanted is False or not (wanted or can_replace or _is_log(stream)):
        yield silent
        return
    line = ReplacedLine(stream)
    patience = PATIENCE if wanted or can_replace else PATIENCE_OF_LOG
    show = line if can_replace else lambda text: print(text, file=stream, flush=True)
    say = Progress(show, patience)
    progress.listen(say)
    try:
        yield say
    finally:
        progress.stop_listening()
        line.clear()


def _can_replace(stream: TextIO) -> bool:
    """Can a line of a stream be replaced by the next one?

    It can on a notebook's page, but not in a program that runs a notebook, which keeps every line.
    Only a page lets a cell ask its reader for input.
    """
    if type(stream).__module__.startswith(OF_KERNEL):
        kernel = getattr(sys.modules["IPython"].get_ipython(), "kernel", None)
        return bool(getattr(kernel, "_allow_stdin", False))
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def _is_log(stream: TextIO) -> bool:
    """Is a stream a file or pipe, or a terminal that replaces no line, and no notebook?"""
    return not type(stream).__module__.startswith(OF_KERNEL)
