"""Races two checkouts of a project against each other: each in a process of its own, in turns."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from harness.racing.decision import Measurement, is_slower
from harness.reproduce.programs import THREADS

PYTHON = Path(".venv/bin/python")  # of a checkout, if it has one
Take = Callable[[], float]


class Runner:
    """A process that takes turns with the code of one checkout, see entrant.py."""

    def __init__(self, checkout: Path, file: Path, device: str) -> None:
        """Start it, without waiting until it has imported the file."""
        self.checkout = checkout
        ours, theirs = socket.socketpair()
        own = checkout / PYTHON
        python = str(own) if own.exists() else sys.executable
        with theirs:
            self._process = subprocess.Popen(
                [python, "-m", "harness.racing.entrant", str(file), device],
                cwd=checkout,
                stdin=theirs.fileno(),
                env=os.environ | dict.fromkeys(THREADS, "1"),
            )
        self._channel = Connection(ours.detach())
        self._is_ready = False

    def ask(self, request: str, *arguments: Any) -> Any:
        """Return the answer to a request, a method of Entrant.

        Raises ValueError, with a sentence, if there is none.
        """
        if not self._is_ready:
            self._receive()
            self._is_ready = True
        self._channel.send((request, arguments))
        return self._receive()

    def _receive(self) -> Any:
        try:
            state, value = self._channel.recv()
        except (EOFError, ConnectionError):
            status = self._process.wait()
            raise ValueError(
                f"the process of {self.checkout} ended with exit status {status}, expected turns of"
                " a race: is it as new as this one, and does `python -m harness.racing.entrant`"
                " start there?"
            ) from None
        if state == "error":
            raise ValueError(f"{self.checkout}: {value}")
        return value

    def close(self) -> None:
        """End the process."""
        self._channel.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def expect_own_code(runners: Sequence[Runner]) -> None:
    """Raise ValueError if a process runs code of the other checkout, as an installed package whose
    source lies there.
    """
    first, second = runners
    for runner, other in ((first, second), (second, first)):
        if foreign := runner.ask("find_foreign", str(other.checkout)):
            raise ValueError(
                f"the process of {runner.checkout} imports {foreign}, expected code of its own"
                " checkout: install each checkout in a .venv of its own"
            )


@contextmanager
def start_runners(checkouts: Sequence[Path], file: Path, device: str) -> Iterator[list[Runner]]:
    """Start a process in each checkout, and end them after the `with` block."""
    with ExitStack() as stack:
        runners = []
        for checkout in checkouts:
            runner = Runner(checkout, file, device)
            stack.callback(runner.close)
            runners.append(runner)
        yield runners


def take_turns(takers: Sequence[Take], rounds: int) -> list[list[float]]:
    """Let each taker take a turn in every round, and return their seconds. Another one begins each
    round, so that none always follows the same.
    """
    seconds: list[list[float]] = [[] for _ in takers]
    for number in range(rounds):
        for place in range(len(takers)):
            who = (number + place) % len(takers)
            seconds[who].append(takers[who]())
    return seconds


class RaceId(NamedTuple):
    """A race that both checkouts have, by its name and dtype."""

    name: str
    dtype: str


def begin(runners: Sequence[Runner], race: RaceId) -> int:
    """Begin a race in all checkouts, and return the number of evaluations in a turn, which the
    first one measures.
    """
    first, *others = runners
    evaluations: int = first.ask("begin", *race)
    for other in others:
        other.ask("begin", *race, evaluations)
    return evaluations


def measure(runners: Sequence[Runner], race: RaceId, rounds: int) -> Measurement:
    """Race the base and the head, the two runners, and return their times.

    Raises ValueError, with a sentence, if one of them fails.
    """
    begin(runners, race)
    takers = [lambda runner=runner: runner.ask("take") for runner in runners]
    return Measurement(*take_turns(takers, rounds))


class Compared(NamedTuple):
    """The measurements of a race: a second one was made if the first found the head slower."""

    race: RaceId
    first: Measurement
    second: Measurement | None = None

    @property
    def is_slower(self) -> bool:
        """Was the head slower in both measurements?"""
        return self.second is not None and is_slower(self.second)


def compare(
    runners: Sequence[Runner],
    start: Callable[[], AbstractContextManager[list[Runner]]],
    races: Sequence[RaceId],
    rounds: int,
) -> Iterator[Compared]:
    """Measure each race of the two runners, and a second time, with new processes, those in which
    the head was slower.

    `start()` starts the new processes. Yields each race once its result is known.
    """
    suspects = []
    for race in races:
        found = Compared(race, measure(runners, race, rounds))
        if is_slower(found.first):
            suspects.append(found)
        else:
            yield found
    if suspects:
        with start() as others:
            for found in suspects:
                yield found._replace(second=measure(others, found.race, rounds))
