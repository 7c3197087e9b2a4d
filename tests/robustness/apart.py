"""Runs a function in a fork of this process, and measures what it takes."""

from __future__ import annotations

import ctypes
import os
import pickle
import select
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal, NamedTuple

DEADLINE = 60.0  # seconds by the clock: then the fork hangs
MEGABYTE = 1_000_000
NAN = float("nan")
How = Literal["returned", "refused", "raised", "hung", "died"]


class Outcome(NamedTuple):
    """What became of a call: its value, or the sentence of its ValueError, or another error.

    `seconds` are of the process's CPU. `megabytes` is its peak memory beyond that before the call;
    NaN if the system does not say.
    """

    how: How
    value: object
    seconds: float = NAN
    megabytes: float = NAN


def call_apart(function: Callable[[], Any], describe: Callable[[Any], object]) -> Outcome:
    """Call a function in a fork of this process, and return what became of it.

    `describe` makes of its value what can be sent and compared; this is not measured.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        with suppress(BaseException), os.fdopen(writing, "wb") as file:
            pickle.dump(_measure(function, describe), file)
        os._exit(0)
    os.close(writing)
    try:
        return _receive(reading)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _receive(reading: int) -> Outcome:
    end = time.monotonic() + DEADLINE
    received = b""
    with os.fdopen(reading, "rb", buffering=0) as file:
        while select.select([file], [], [], max(0.0, end - time.monotonic()))[0]:
            part = file.read(1 << 16)
            if not part:
                break
            received += part
        else:
            return Outcome("hung", None, DEADLINE)
    if not received:
        return Outcome("died", None)
    outcome: Outcome = pickle.loads(received)
    return outcome


def _measure(function: Callable[[], Any], describe: Callable[[Any], object]) -> Outcome:
    _reset_peak()
    before, start = _read_memory("VmRSS"), time.process_time()
    how: How
    try:
        value, how = function(), "returned"
    except ValueError as error:
        value, how = str(error), "refused"
    except BaseException as error:
        value, how = f"{type(error).__name__}: {error}"[:300], "raised"
    seconds = time.process_time() - start
    megabytes = _read_memory("VmHWM") - before
    if how == "returned":
        value = describe(value)
    return Outcome(how, value, seconds, megabytes)


def _reset_peak() -> None:
    """Make the peak of this process's memory what it takes now: a fork inherits its parent's, and
    the memory that the parent has freed and kept would be used again, unseen.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    with suppress(OSError), open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def _read_memory(name: str) -> float:
    """Return a figure of /proc/self/status in megabytes."""
    with suppress(OSError), open("/proc/self/status") as file:
        for line in file:
            if line.startswith(name):
                return int(line.split()[1]) * 1024 / MEGABYTE
    return NAN
