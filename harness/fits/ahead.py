"""Fits that a fork of this process makes, while this process judges other trials.

The fork begins with the last fits of the run. If this process needs a fit that the fork has not
begun, it makes the fit itself, so that both have work until the end. It repeats every fit that the
fork could not make or finish, so that all errors are raised here.
"""

from __future__ import annotations

import ctypes
import faulthandler
import fcntl
import mmap
import os
import pickle
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from harness.core.contract import Array
from harness.core.numpy_errors import ours
from harness.core.problem import Problem
from harness.judging.case import ENDS, Case, Trial
from harness.judging.store import Key, Same
from harness.model.compiled import COMPILER
from harness.model.logs import quiet_torch
from harness.model.settings import hold_settings
from harness.training.trainer import Fitted, Trainer
from harness.waiting import progress

FREE, HERE, THERE = range(3)  # which process makes the fits of a trainer
PR_SET_PDEATHSIG = 1  # of Linux's prctl
ROOM = 1 << 20  # bytes of fits that wait in the pipe, at most
# seconds without any computation; a fork that waits for R looks at it every second
PATIENCE = 30.0


@dataclass(frozen=True)
class Needed:
    """A trainer of a network whose fits are needed in a dtype."""

    trainer: Same
    network: Same
    dtype: str


@dataclass(frozen=True)
class FitsAhead(Key["FittingFork"]):
    """Cache key for the fits that a fork makes."""


class Packed(NamedTuple):
    """The arguments of `Fitted.of` besides the starts."""

    own: Array
    claimed: Array
    ended: Sequence[str]
    curve: Sequence[tuple[int, float]]
    seconds: float
    evaluations: Sequence[int]
    restarts: Sequence[int]


def list_needed(trials: Iterable[Trial], models: bool = False) -> dict[Needed, list[Case]]:
    """Return the trainers of these trials whose fits may be made in a fork, in the order in which
    they are needed, each with the cases that need it.

    PyTorch models are among them only with `models`.
    """
    found: dict[Needed, list[Case]] = {}
    for trial in trials:
        if trial.check not in ENDS:
            continue
        for trainer in (trial.subject, trial.reference):
            if models or trainer.fits_apart:
                needed = Needed(Same(trainer), Same(trial.case.network), trial.dtype)
                cases = found.setdefault(needed, [])
                if trial.case not in cases:
                    cases.append(trial.case)
    return found


def can_fork() -> bool:
    """Has this process a core to spare, and may it be forked?

    A fork has only one thread. So no other thread of Python may hold a lock. Linux must tell for
    how long a process has computed.
    """
    if sys.platform != "linux" or threading.active_count() > 1:
        return False
    return len(os.sched_getaffinity(0)) > 1 and Path("/proc/self/schedstat").exists()


class FittingFork:
    """Makes fits of trainers in a fork, from `starts` starts each, and hands them over.

    `prepare` is called in the fork first. A fork that sends and computes nothing for `patience`
    seconds is given up: it may wait for a lock that another thread of this process held. Raises
    OSError if there can be no fork.
    """

    def __init__(
        self,
        needed: dict[Needed, list[Case]],
        starts: int,
        prepare: Callable[[], object],
        patience: float = PATIENCE,
    ) -> None:
        self._patience = patience
        self._numbers = {each: number for number, each in enumerate(needed)}
        self._makers = mmap.mmap(-1, len(needed))  # FREE, HERE or THERE; both processes see it
        self._fits: dict[int, dict[str, Packed]] = {}
        self._source, sink = Pipe(duplex=False)
        with suppress(OSError):
            fcntl.fcntl(sink.fileno(), fcntl.F_SETPIPE_SZ, ROOM)
        self._parent = os.getpid()
        with warnings.catch_warnings(action="ignore"):  # Python's, of other threads than its own
            self._pid = os.fork()
        if self._pid:
            sink.close()
            return
        try:
            _become_helper(self._parent)
            prepare()
            self._make(needed, starts, sink)
        finally:
            os._exit(0)

    @ours()
    def _make(self, needed: dict[Needed, list[Case]], starts: int, sink: Connection) -> None:
        """Make the fits, the last first, and send those of each trainer, by the key of the
        starts.
        """
        for number, (each, cases) in reversed(list(enumerate(needed.items()))):
            if self._makers[number] != FREE:
                continue
            self._makers[number] = THERE
            fits: dict[str, Packed] = {}
            with suppress(Exception):  # the main process makes the fit again, and reports the error
                for case in cases:
                    _fit(each, case, starts, fits)
            try:
                sink.send((number, fits))
            except (pickle.PicklingError, TypeError, AttributeError):  # nothing has been sent
                sink.send((number, {}))

    def take(self, trainer: Trainer, network: object, start: Problem, dtype: str) -> Fitted | None:
        """Return the fits of a trainer from these starts; wait for them if the fork has begun them.
        Return None if they are to be made here, as in every other fork of this process.
        """
        number = self._numbers.get(Needed(Same(trainer), Same(network), dtype))
        if number is None or os.getpid() != self._parent:
            return None
        if self._makers[number] == FREE:
            self._makers[number] = HERE
        while self._makers[number] == THERE and number not in self._fits and self._receive():
            pass
        packed = self._fits.get(number, {}).get(start.key)
        return Fitted.of(start, *packed) if packed else None

    def _receive(self) -> bool:
        """Store the fork's next fits; return False if there are no more."""
        if not self._pid:
            return False
        try:
            if self._stands_still():
                self.end()
                return False
            number, fits = self._source.recv()
        except (EOFError, OSError):
            self.end()
            return False
        except BaseException:  # after Ctrl-C within a message the next one cannot be read
            self.end()
            raise
        self._fits[number] = fits
        return True

    def _stands_still(self) -> bool:
        """Wait until the fork sends something or ends; return True if it computes nothing."""
        before = _read_cpu_time(self._pid)
        while not self._source.poll(self._patience):
            computed = _read_cpu_time(self._pid)
            if computed == before:
                return True
            before = computed
        return False

    def end(self) -> None:
        """End the fork."""
        if self._pid:
            with suppress(OSError):  # somebody else has waited for it: the number may be another's
                os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                os.kill(self._pid, signal.SIGKILL)
                os.waitpid(self._pid, 0)
            self._source.close()
        self._pid = 0


def _become_helper(parent: int) -> None:
    """Let this process, a fork, end with its parent, be silent, and have no part in its signals."""
    os.setsid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    faulthandler.disable()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(nowhere, standard)
    progress.listen(progress.silent)


def _read_cpu_time(pid: int) -> int:
    """Return for how many nanoseconds a process has computed."""
    return int(Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[0])


def _fit(needed: Needed, case: Case, starts: int, fits: dict[str, Packed]) -> None:
    """Add the fits of a trainer to the data of a case."""
    trainer: Any = needed.trainer.thing
    start = trainer.starting(case.network, case.problems, starts, needed.dtype)
    if start.key in fits:
        return
    generators = _read_generators()
    with hold_settings(case.settings), quiet_torch(), COMPILER.asking(needed):
        fitted = trainer.fit(start, needed.dtype, "cpu", progress.silent)
    if COMPILER.counts.tried or _read_generators() != generators:
        return  # the main process repeats the fit, so that it counts and draws the same itself
    if isinstance(fitted, Fitted) and fitted.end is not None and fitted.silent is None:
        fits[start.key] = _pack(fitted, start)


def _read_generators() -> bytes:
    """Return the states of the generators of torch, Python and NumPy that all code shares."""
    import torch

    of_numpy = np.random.get_state(legacy=False)  # noqa: NPY002 (a user's code may draw from it)
    return pickle.dumps((torch.get_rng_state().numpy(), random.getstate(), of_numpy))


def _pack(fitted: Fitted, start: Problem) -> Packed:
    """Return the fits without their problems. Starts that were lost have NaN."""
    assert fitted.end is not None
    own, claimed = np.full(start.own.shape, np.nan), np.full(start.draws, np.nan)
    own[fitted.finite], claimed[fitted.finite] = fitted.end.own, fitted.claimed
    seconds = fitted.seconds * start.draws
    counts = fitted.evaluations, fitted.restarts
    return Packed(own, claimed, fitted.ended, fitted.curve, seconds, *counts)
