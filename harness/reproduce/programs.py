"""Runs scripts like `python script.py` does, each in a process of its own.

A fresh Python takes two seconds to import torch. So one process imports it once, and makes a fork
of itself for each script.
"""

import json
import os
import socket
import subprocess
import sys
import threading
import weakref
from contextlib import suppress
from pathlib import Path
from typing import IO, NamedTuple

from harness.text.files import replace_whole

# set to 1 for the process that forks: a fork has only one thread of its parent's
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
DEADLINE = 120.0  # seconds that a script may take; forked.py limits its CPU time too
START = 120.0  # seconds that the process may take to import torch


class Ended(NamedTuple):
    """The end of a script: its exit code (None if it ran longer than allowed), and its output
    `said`.

    For a script that needs a user's file, `why` is the reason why the file cannot be run again, or
    "".
    """

    code: int | None
    said: str
    why: str = ""

    @property
    def fails_again(self) -> bool:
        """Return whether the script failed in the expected way, so that it shows the failure."""
        return self.code == 1 and self.said.endswith("\nfails again\n")


class _Forked:
    """The process that makes a fork of itself for each script (see forked.py), and the socket to
    it.

    The constructor does not wait until the process is ready; the first script does.
    """

    def __init__(self) -> None:
        self.parent = os.getpid()
        self.socket, theirs = socket.socketpair()
        program, fd = Path(__file__).with_name("forked.py"), theirs.fileno()
        threads = json.dumps({name: os.environ.get(name) for name in THREADS})
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-P", str(program), str(fd), str(self.parent), threads],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, **dict.fromkeys(THREADS, "1")},
                pass_fds=[fd],
                start_new_session=True,  # Ctrl-C is ours
            )
        self.answers = self.socket.makefile("r", encoding="utf-8")
        self.end = weakref.finalize(
            self, _end, self.process, self.socket, self.answers, self.parent
        )

    def run(self, script: Path, deadline: float, file: str) -> Ended:
        """Run a script for at most `deadline` seconds; `file` is the user's file that it needs, or
        "".

        Raises OSError or ValueError if the process does not answer.
        """
        self.socket.settimeout(deadline + START)
        asked = {"script": str(script.absolute()), "folder": os.getcwd(), "deadline": deadline}
        asked["file"] = file
        self.socket.sendall(json.dumps(asked).encode() + b"\n")
        return Ended(**json.loads(self.answers.readline()))


def _end(
    process: subprocess.Popen[bytes], ours: socket.socket, answers: IO[str], parent: int
) -> None:
    """Close the socket `ours`, so that the process ends its running script, and then itself.

    A process that has not ended after a second is killed.
    """
    answers.close()
    ours.close()
    if os.getpid() == parent:  # a fork of the parent leaves the process alone
        with suppress(subprocess.TimeoutExpired):
            process.wait(1.0)
        process.kill()
        process.wait()


class Scripts:
    """Runs scripts, one at a time."""

    def __init__(self) -> None:
        self._forked: _Forked | None = None
        self._lock = threading.Lock()

    def prepare(self) -> None:
        """Start the forking process, without waiting until it has imported torch."""
        if not hasattr(os, "fork"):
            return
        if self._forked is None or self._forked.parent != os.getpid():  # a fork starts its own
            self._forked = _Forked()

    def close(self) -> None:
        """End the forking process; the next script starts another. It also ends when Python
        ends.
        """
        if self._forked is not None:
            self._forked.end()
        self._forked = None

    def run(self, script: Path, deadline: float = DEADLINE, file: str = "") -> Ended:
        """Run a script in a fork, or in a fresh Python if the forking process is missing or does
        not answer.

        `deadline` is in seconds. A `file` that the script needs is run once for all scripts, by the
        first one. If it does not end in time, no script that needs it is run.
        """
        with self._lock:
            self.prepare()
            if self._forked is None:
                return _run_plainly(script, deadline)
            try:
                return self._forked.run(script, deadline, file)
            except (OSError, ValueError):  # it died, or did not start
                self.close()
                return _run_plainly(script, deadline)
            except BaseException:  # Ctrl-C: the next script must not read this one's late answer
                self.close()
                raise


def _run_plainly(script: Path, deadline: float) -> Ended:
    """Run a script in a fresh Python, for at most `deadline` seconds."""
    command = [sys.executable, str(script.absolute())]
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            said = process.communicate(timeout=deadline + START)[0]
        except subprocess.TimeoutExpired:
            process.kill()
            return Ended(None, process.communicate()[0].decode(errors="replace"))
        except BaseException:
            process.kill()
            raise
    return Ended(process.returncode, said.decode(errors="replace"))


def run_unfinished(path: Path, text: str, file: str = "") -> Ended:
    """Run a script, and write it to its path if it fails again.

    An older script of this path stays until then, however this run ends. See `Scripts.run` for
    `file`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".nnet-parity-{os.getpid()}-{path.name}.half")
    try:
        replace_whole({unfinished: text})
        ended = SCRIPTS.run(unfinished, file=file)
        if ended.fails_again:
            unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return ended


SCRIPTS = Scripts()  # those of this process
