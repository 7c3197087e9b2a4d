"""One process of R: starts its guard (guard.py), sends requests, and ends it with all its
descendants.
"""

import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import sys
import weakref
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reference.r.guard import list_descendants, remove
from reference.r.patience import DeadlinePassed, Patience
from reference.r.preflight import RUnavailable, what_is_missing
from reference.r.startup import split_variables
from reference.r.worker import SITE, receive, send

START = 60.0  # seconds of CPU time for R to start, however short the deadline of an ask
ENDING = 5.0  # seconds that a guard has to end its worker and all other processes
# NaN, R's NA, Inf, -0 and the smallest subnormal, by their bits.
SPECIAL = np.array(
    [0x7FF8 << 48, 0x7FF00000000007A2, 0x7FF0 << 48, 0x8000 << 48, 1], np.uint64
).view(np.float64)
# R's environment does not depend on the user's: startup files, packages (those that nnet imports),
# language, clock, threads.
OWN = {
    "R_PROFILE": os.devnull,
    "R_ENVIRON": os.devnull,
    "R_PROFILE_USER": os.devnull,
    "R_ENVIRON_USER": os.devnull,
    "R_DEFAULT_PACKAGES": "stats,utils",
    "RPY2_CFFI_MODE": "ABI",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}


def make_environment() -> dict[str, str]:
    """Return the environment of the worker.

    R's variables are passed as JSON in the variable SITE, except for the paths of R and its
    packages.
    """
    passed_on, left_out = split_variables(os.environ)
    return {**passed_on, SITE: json.dumps(left_out), **OWN}


@dataclass
class Traces:
    """The process group and the temporary folder of a worker (a process that runs R), which remain
    if its guard process is killed.

    They are 0 and "" before the worker has started.
    """

    pid: int = 0
    folder: str = ""

    def clear(self) -> None:
        """End the group and remove the folder, unless the guard has done so."""
        if self.folder and Path(self.folder).exists():
            with suppress(OSError):
                os.killpg(self.pid, signal.SIGKILL)
            remove(self.folder)


class Channel:
    """The socket to a worker. `patience` checks the deadline while nothing can be sent or
    received.
    """

    def __init__(self, end: socket.socket, patience: Patience) -> None:
        self.end, self.patience = end, patience

    def sendall(self, data: Any) -> None:
        """Send all of a buffer. Raises DeadlinePassed or ConnectionError."""
        rest = memoryview(data).cast("B")
        while rest:
            self._wait(select.POLLOUT)
            rest = rest[self.end.send(rest) :]

    def recv_into(self, buffer: memoryview) -> int:
        """Receive some bytes. Raises DeadlinePassed or ConnectionError."""
        self._wait(select.POLLIN)
        return self.end.recv_into(buffer)

    def _wait(self, event: int) -> None:
        poll = select.poll()
        poll.register(self.end, event)
        while not poll.poll(1000 * self.patience.interval):
            self.patience.look()


class Worker:
    """One process of R, and the socket to it.

    The constructor does not wait until R has started; the first request does. `home` is R's home,
    "" before R has started.
    """

    def __init__(self) -> None:
        self.parent = os.getpid()
        self.versions: dict[str, str] = {}
        self.home = ""
        self.traces = Traces()
        self.socket, theirs = socket.socketpair()
        self.socket.setblocking(False)
        # 0, 1 and 2 are the guard's own, even if this process has closed them
        fd = fcntl.fcntl(theirs.fileno(), fcntl.F_DUPFD_CLOEXEC, 3)
        theirs.close()
        try:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    str(Path(__file__).with_name("guard.py")),
                    str(fd),
                    str(self.parent),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=make_environment(),
                pass_fds=[fd],
                start_new_session=True,  # Ctrl-C is ours
            )
        finally:
            os.close(fd)
        self.end = weakref.finalize(self, _end, self.process, self.socket, self.traces, self.parent)

    def ask(self, patience: Patience, ask: str, *arguments: Any) -> Any:
        """Send a request to the process and return its answer, see worker.py.

        Raises DeadlinePassed, ConnectionError or EOFError if there is no answer.
        """
        if not self.versions:
            self._shake_hands(patience)
        channel: Any = Channel(self.socket, patience)
        send(channel, (ask, arguments))
        return receive(channel)

    def make_patience(self, what: str, base: float, size: float = 1.0) -> Patience:
        """Return the object that checks the deadline of a request to this process.

        `what` describes the request, `base` is the deadline in seconds, and `size` a factor of it.
        """
        return Patience(self.process.pid, what, base, size)

    def _shake_hands(self, patience: Patience) -> None:
        """Wait until R has started. Raises RUnavailable, with the reason, if it cannot start."""
        base = max(patience.base, START)
        channel: Any = Channel(self.socket, self.make_patience("its start", base))
        self.traces.pid, self.traces.folder = receive(channel)[1]
        state, reason = receive(channel)
        if state != "ready":
            raise what_is_missing(reason) or RUnavailable(
                f"R did not start: {reason or 'no reason'}"
            )
        rpy2, self.home = reason
        send(channel, ("hello", (SPECIAL,)))
        special, holds, (r, nnet, platform) = receive(channel)[1]
        if special.tobytes() != SPECIAL.tobytes() or not holds.all():
            raise RUnavailable(
                f"R's doubles are not ours: {SPECIAL} came back as {special}; R's own view is"
                f" {holds}"
            )
        self.versions = {"R": r, "nnet": nnet, "rpy2": rpy2, "platform": platform}

    def fate(self, reason: Exception) -> str:
        """Return in words how the process ended, with its last output; kill it if it still runs.

        `reason` is the error with which the last request failed.
        """
        words = _stop(self.process, self.socket, self.traces).strip()[-400:].strip()
        code = self.process.returncode or 0
        if isinstance(reason, DeadlinePassed):
            ended = str(reason)
        elif code < 0:
            ended = f"was ended by {signal.Signals(-code).name}"
        else:
            ended = f"ended with exit status {code}"
        if not self.versions:
            ended += " while it started"
        self.end()
        return f"{ended}, saying: {words}" if words else ended


def _end(process: subprocess.Popen[bytes], end: socket.socket, traces: Traces, parent: int) -> None:
    if os.getpid() == parent:  # a fork of the parent leaves the process alone
        _stop(process, end, traces)
    else:
        end.close()


def _stop(process: subprocess.Popen[bytes], end: socket.socket, traces: Traces) -> str:
    """Let the guard end the worker and all its descendants; return the worker's last output."""
    if process.returncode is not None:
        return ""
    end.close()
    words = b""
    try:
        words = process.communicate(b"end", timeout=ENDING)[0]
    except (subprocess.TimeoutExpired, ValueError, OSError):  # the guard was stopped
        for pid in list_descendants(process.pid):
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        process.kill()
        process.wait()
    traces.clear()
    return words.decode(errors="replace")
