"""A process that takes turns in races with the code of its own checkout. `against` starts it.

Its arguments are the file descriptor of a socket, a file of Python that names entries, a device,
and a text that the names of races contain. It answers each request (ask, arguments) with ("value",
value) or ("error", sentence), and ends when the socket is closed.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from harness.looking.named import load_file
from harness.model.compiled import limited
from harness.model.devices import kind_of
from harness.model.errors import raised
from harness.racing.entry import Entry, Turns
from harness.reporting.environment import environment, limit_threads
from harness.text.harmless import one_line
from harness.waiting.progress import silent


def list_entries(module: Any) -> Iterator[Entry]:
    """Return the entries that a module names, alone or in lists."""
    for value in vars(module).values():
        for each in value if isinstance(value, list | tuple) else [value]:
            if isinstance(each, Entry):
                yield each


class Entrant:
    """Takes turns in the races of one file. The methods without underscore are its requests."""

    def __init__(self, file: Path, device: str) -> None:
        limit_threads()
        self._device = device
        self._entries: dict[str, Entry] = {}
        for entry in list_entries(load_file(file, silent)):
            self._entries.setdefault(f"{entry.name}: {entry.trained.name}", entry)
        self._turns: Turns | None = None

    def describe(self) -> tuple[list[str], dict[str, Any]]:
        """Return the names of the races, and the machine with its versions and commit."""
        return list(self._entries), environment()

    def begin(self, name: str, dtype: str, evaluations: int = 0) -> int:
        """Begin a race, and return the number of evaluations in a turn: it is measured, unless it
        is given.
        """
        self._turns = None
        entry = self._entries[name]
        self._turns = Turns(entry, entry.begin(dtype), dtype, self._device, evaluations)
        return self._turns.evaluations

    def take(self, slower: float = 1.0) -> float:
        """Take a turn, and return its time in seconds; see Turns.take."""
        assert self._turns is not None
        return self._turns.take(slower=slower)[0]


def answer(requests: Any, channel: Any) -> None:
    """Answer the requests of `channel` by the methods of an object, until it is closed."""
    with suppress(EOFError, ConnectionError):
        while True:
            ask, arguments = channel.recv()
            channel.send(_try(getattr(requests, ask), arguments))


def _try(function: Callable[..., Any], arguments: Any) -> tuple[str, Any]:
    try:
        return "value", function(*arguments)
    except Exception as error:  # whatever a user's model raises
        return "error", one_line(raised(error))


def main(descriptor: int, file: Path, device: str) -> None:
    """Answer requests until the socket is closed."""
    sys.stdout = sys.stderr
    channel = Connection(descriptor)
    state, entrant = _try(Entrant, (file, device))
    channel.send((state, None if state == "value" else entrant))
    if state == "value":
        with kind_of(device).hold_precision(device, "float32"), limited():
            answer(entrant, channel)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
