"""A process that takes turns in races with the code of its own checkout. `against` starts it.

Its arguments are a file of Python that names entries, and a device. Its standard input is a socket:
it answers each request (ask, arguments) with ("value", value) or ("error", sentence), and ends when
the socket is closed.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from harness.looking.named import load_file
from harness.model.compiled import limited
from harness.model.devices import kind_of
from harness.model.errors import raised
from harness.model.settings import hold_settings
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
            name = f"{entry.name}: {entry.trained.name}"
            if self._entries.setdefault(name, entry) is not entry:
                raise ValueError(f"two races are called {name}, expected a name for each")
        self._entry: Entry | None = None
        self._turns: Turns | None = None

    def describe(self) -> tuple[list[str], dict[str, Any]]:
        """Return the names of the races, and the machine with its versions and commit."""
        return list(self._entries), environment()

    def find_foreign(self, other: str) -> str:
        """Return the file of an imported module in the folder of the other checkout; "" if there is
        none.

        With such a module this process does not run its own code alone. Packages of a Python
        environment inside of that folder do not count.
        """
        mine, theirs = Path.cwd().resolve(), Path(other)
        apart = [Path(prefix).resolve() for prefix in (sys.prefix, sys.base_prefix)]
        for module in list(sys.modules.values()):
            file = getattr(module, "__file__", None)
            if not isinstance(file, str):
                continue
            path = Path(file).resolve()
            outside = not any(path.is_relative_to(folder) for folder in (mine, *apart))
            if outside and path.is_relative_to(theirs):
                return file
        return ""

    def begin(self, name: str, dtype: str, evaluations: int = 0) -> int:
        """Begin a race, and return the number of evaluations in a turn: it is measured, unless it
        is given.
        """
        self._turns = None
        self._entry = entry = self._entries[name]
        with hold_settings(entry.case.settings):
            self._turns = Turns(entry, entry.begin(dtype), dtype, self._device, evaluations)
        return self._turns.evaluations

    def take(self, slower: float = 1.0) -> float:
        """Take a turn, and return its time in seconds; see Turns.take."""
        assert self._entry is not None
        assert self._turns is not None
        with hold_settings(self._entry.case.settings):
            return self._turns.take(slower=slower)[0]


def answer(requests: Entrant, channel: Connection) -> None:
    """Answer the requests of `channel` by the methods of an object, until it is closed."""
    while True:
        ask, arguments = channel.recv()
        try:
            reply = "value", getattr(requests, ask)(*arguments)
        except Exception as error:  # whatever a user's model raises
            reply = "error", one_line(raised(error))
        channel.send(reply)


def main(file: Path, device: str) -> None:
    """Answer requests until the socket is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who asks is interrupted, and closes the socket
    channel = Connection(os.dup(0))
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    sys.stdout = sys.stderr
    with suppress(EOFError, ConnectionError):
        try:
            entrant = Entrant(file, device)
        except ValueError as error:
            channel.send(("error", one_line(str(error))))
            return
        channel.send(("value", None))
        with kind_of(device).hold_precision(device, "float32"), limited():
            answer(entrant, channel)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
