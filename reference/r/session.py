"""Asks R's nnet from Python. R runs in a process of its own, the worker (worker.py, nnet.R,
fitted.R).

An ask is one call of a function in nnet.R or fitted.R. If R crashes, does not answer in time or
quits, it is killed, started again and asked once more. In shapes, D counts draws (parameter
vectors), R rows, I inputs, O outputs, and T weights.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import ArrayLike

from reference.r.arrays import check
from reference.r.preflight import RUnavailable, what_is_missing
from reference.r.topology import Array, Evaluation, Fit, Topology
from reference.r.worker import receive, send

START_DEADLINE = 60.0  # seconds for R to start, however short the deadline of an ask
# NaN, R's NA, Inf, -0 and the smallest subnormal, by their bits.
SPECIAL = np.array(
    [0x7FF8 << 48, 0x7FF00000000007A2, 0x7FF0 << 48, 0x8000 << 48, 1], np.uint64
).view(np.float64)
# R's environment does not depend on the user's: startup files, packages (those that nnet imports),
# language, clock, threads.
OWN = {
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


class RError(Exception):
    """R raised an error; the text is R's message."""


class RCrashed(Exception):
    """R died or passed its deadline, and did so again after a new start."""


class _Worker:
    """One process of R, and the socket to it.

    The constructor does not wait until R has started; the first ask does.
    """

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.parent = os.getpid()
        self.versions: dict[str, str] = {}
        self.log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (open for as long as the process)
        self.socket, theirs = socket.socketpair()
        script, fd = Path(__file__).with_name("worker.py"), theirs.fileno()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, str(script), str(fd), str(self.parent)],
                stdin=subprocess.DEVNULL,
                stdout=self.log,
                stderr=self.log,
                env={**os.environ, **OWN},
                pass_fds=[fd],
                start_new_session=True,  # Ctrl-C is ours
            )
        self.end = weakref.finalize(self, _end, self.process, self.socket, self.log, self.parent)

    def ask(self, ask: str, *arguments: Any) -> Any:
        """Send an ask to the process and return its answer, see worker.py.

        Raises TimeoutError, ConnectionError or EOFError if there is no answer.
        """
        if not self.versions:
            self._shake_hands()
        send(self.socket, (ask, arguments))
        return receive(self.socket)

    def _shake_hands(self) -> None:
        self.socket.settimeout(START_DEADLINE)
        state, said = receive(self.socket)
        if state != "ready":
            raise what_is_missing(said) or RUnavailable("")
        send(self.socket, ("hello", (SPECIAL,)))
        special, holds, (r, nnet, platform) = receive(self.socket)[1]
        if special.tobytes() != SPECIAL.tobytes() or not holds.all():
            raise RUnavailable(
                f"R's doubles are not ours: {SPECIAL} came back as {special}; R's own view is"
                f" {holds}"
            )
        self.versions = {"R": r, "nnet": nnet, "rpy2": said, "platform": platform}
        self.socket.settimeout(self.deadline)

    def fate(self, reason: Exception) -> str:
        """Describe how the process ended, and its last output. If it still runs, it is killed.

        `reason` is the error with which the last ask failed.
        """
        if isinstance(reason, TimeoutError):
            self.process.kill()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(1.0)
        code = self.process.returncode or 0
        if isinstance(reason, TimeoutError):
            ended = "did not answer in time and was killed"
        elif code < 0:
            ended = f"was ended by {signal.Signals(-code).name}"
        else:
            ended = f"ended with exit status {code}"
        self.log.seek(0)
        words = self.log.read().decode(errors="replace").strip()[-400:]
        self.end()
        return f"{ended}, saying: {words}" if words else ended


def _end(
    process: subprocess.Popen[bytes], socket: socket.socket, log: IO[bytes], parent: int
) -> None:
    socket.close()
    log.close()
    if os.getpid() == parent:  # a fork of the parent leaves the process alone
        process.kill()
        process.wait()


class RSession:
    """R with nnet in a process of its own. Threads may share a session: it takes one ask at a time.

    Every ask raises RUnavailable if R cannot be started, RError with R's message if R raises an
    error, and RCrashed if R died, or did not answer within `deadline` seconds, twice in a row; the
    next ask then starts R again. If R cannot be started, this is not tried again before close().
    After an ask, `console` holds R's output and `warnings` its warnings.
    """

    source = provenance = "live"

    def __init__(self, deadline: float = 30.0) -> None:
        self.deadline = deadline
        self.console = ""
        self.warnings: list[str] = []
        self._worker: _Worker | None = None
        self._missing: RUnavailable | None = None
        self._lock = threading.RLock()

    def start(self) -> None:
        """Start R without waiting for it, which saves the first ask half a second."""
        with self._lock:
            self._get_worker()

    def close(self) -> None:
        """End R; the next ask starts it again. R also ends when Python ends."""
        with self._lock:
            if self._worker is not None:
                self._worker.end()
            self._worker = None
            self._missing = None

    def versions(self) -> dict[str, str]:
        """Return the versions of "R", "nnet" and "rpy2" (rpy2-rinterface), and R's "platform"."""
        with self._lock:
            if self._worker is None or not self._worker.versions:
                self._ask("versions()", "hello", SPECIAL)
            return dict(self._get_worker().versions)

    def evaluate(
        self,
        topology: Topology,
        theta: ArrayLike,
        inputs: ArrayLike,
        targets: ArrayLike,
        row_weights: ArrayLike | None = None,
        decay: ArrayLike = 0.0,
    ) -> Evaluation:
        """Run nnet's own forward pass, loss and back-propagation at every draw (fpass, bpass,
        VR_dfunc in nnet.c).

        The shapes are theta (D, T), the weights in the topology's order, inputs (D, R, I), targets
        (D, R, O), and row_weights (D, R), which are not negative, and 1 by default. The value is
        the sum over rows and outputs of row_weight * (output - target)**2, not halved, plus
        sum(decay * theta**2); decay is one number or has the shape (T,).

        Raises ValueError for an array of another shape, an empty array, or a number that is not
        finite.
        """
        x = check("inputs", inputs, None, None, topology.inputs)
        draws, rows, weights = *x.shape[:2], topology.n_weights
        y = check("targets", targets, draws, rows, topology.outputs)
        w = None
        if row_weights is not None:
            w = check("row_weights", row_weights, draws, rows, least=0.0)
        # nnet wants the data of a draw column by column, inputs first.
        data = np.concatenate([x, y], axis=2).swapaxes(1, 2).reshape(draws, -1)
        arguments = (
            _check_decay(decay, weights),
            check("theta", theta, draws, weights),
            data,
            w,
        )
        what = f"evaluate({draws} draws, {rows} rows, {weights} weights)"
        numbers = self._ask(what, "evaluate", *topology.engine, *arguments)
        assert numbers.shape == (draws, 1 + weights + rows * topology.outputs), numbers.shape
        outputs = numbers[:, 1 + weights :].reshape(draws, topology.outputs, rows).swapaxes(1, 2)
        return Evaluation(
            np.ascontiguousarray(numbers[:, 0]),
            np.ascontiguousarray(outputs),
            np.ascontiguousarray(numbers[:, 1 : 1 + weights]),
        )

    def fit(
        self,
        topology: Topology,
        theta: ArrayLike,
        inputs: ArrayLike,
        targets: ArrayLike,
        *,
        maxit: int = 100,
        abstol: float = 1e-4,
        reltol: float = 1e-8,
        decay: ArrayLike = 0.0,
        mask: ArrayLike | None = None,
        row_weights: ArrayLike | None = None,
    ) -> Fit:
        """Fit a net by BFGS (R's vmmin), from theta (T,), to inputs (R, I) and targets (R, O).

        The other arguments have the names and meanings of nnet()'s arguments. A dense topology is
        fitted by `nnet::nnet(x, y, size=, linout=, skip=, Wts=, ...)`, as its users call it. Any
        other topology is fitted by the same engine, with its own connections. mask (T,) is True for
        a weight that is trained; row_weights has the shape (R,); decay is one number or has the
        shape (T,).

        Raises ValueError as evaluate does.
        """
        data = _of_one(topology, theta, inputs, targets)
        rows, weights = data[0].shape[1], topology.n_weights
        m = None if mask is None else check("mask", mask, weights)
        w = None if row_weights is None else check("row_weights", row_weights, rows, least=0.0)
        name = "maxit, abstol, reltol, decay"
        settings = [check(name, number) for number in (maxit, abstol, reltol)]
        settings.append(_check_decay(decay, weights, name))
        ask: tuple[Any, ...] = ("fit_engine", *topology.engine)
        if topology.is_dense:
            ask = ("fit_nnet", topology.hidden, topology.linear_outputs, topology.has_skip)
        what = f"fit({rows} rows, {weights} weights, maxit {maxit})"
        return self._fit(what, topology, *ask, *data, m, w, *settings)

    def optim(
        self,
        topology: Topology,
        theta: ArrayLike,
        inputs: ArrayLike,
        targets: ArrayLike,
        maxit: int = 10_000,
        *,
        decay: ArrayLike = 0.0,
        row_weights: ArrayLike | None = None,
    ) -> Fit:
        """Fit a net by R's `optim(method = "BFGS")` on nnet's own value and gradient; shapes as
        for `fit`.
        """
        data = _of_one(topology, theta, inputs, targets)
        rows, weights = data[0].shape[1], topology.n_weights
        w = None if row_weights is None else check("row_weights", row_weights, rows, least=0.0)
        what = f"optim({rows} rows, {weights} weights)"
        settings = check("maxit", maxit), _check_decay(decay, weights)
        return self._fit(what, topology, "fit_optim", *topology.engine, *data, w, *settings)

    def _fit(self, what: str, topology: Topology, *ask: Any) -> Fit:
        seconds, (end, value, outputs, convergence) = self._ask(what, "timed", *ask)
        assert end.shape == (topology.n_weights,), end.shape
        assert len(outputs) == topology.outputs, outputs.shape
        outputs = np.ascontiguousarray(outputs.T)
        return Fit(end, float(value[0]), outputs, int(convergence[0]), float(seconds[0]))

    def time_gradient(
        self,
        topology: Topology,
        theta: ArrayLike,
        inputs: ArrayLike,
        targets: ArrayLike,
        repetitions: int,
    ) -> float:
        """Return the seconds that nnet's engine takes inside R for one value and gradient, as the
        average of `repetitions`.

        Shapes are as for `fit`.
        """
        data = _of_one(topology, theta, inputs, targets)
        what = f"time_gradient({data[0].shape[1]} rows)"
        count = check("repetitions", repetitions)
        seconds = self._ask(what, "time_gradient", *topology.engine, *data, count)
        return float(seconds[0])

    def read_fit(self, path: str) -> Any:
        """Read the object that saveRDS() wrote to a file, as nested lists (`encode` in fitted.R).

        R's own readRDS() is trusted to decode the file. Nothing that the file holds is evaluated.
        """
        return self._ask(f"read_fit({path!r})", "read_fit", path)

    def ask_fit(
        self,
        path: str,
        names: Sequence[str],
        columns: Sequence[Any],
        prepare: str | None = None,
        trust: bool = True,
    ) -> tuple[Array, Array]:
        """Return the inputs (R, I) that enter the net of a fit, and predict()'s outputs (R, O).

        `columns` are the raw columns: arrays of numbers (R,), or sequences of texts with None for a
        missing one. A row with a missing value becomes a row of NaN. `prepare` is the text of an R
        expression that makes the rows to predict from the raw rows `x`: a data.frame, or a matrix
        if the net was fitted on a matrix. The object in the file, its formula and `prepare` are
        evaluated. Without `trust`, the formula of the fit may call only plain arithmetic and finds
        only R's own functions; any other formula raises RError.
        """
        given: list[Any] = []
        for column in columns:
            if isinstance(column, np.ndarray):
                given.append(np.asarray(column, np.float64))
            else:
                given.append(list(column))
        what = f"ask_fit({path!r}, {len(names)} columns)"
        arguments = list(names), given, prepare, float(trust)
        inputs, outputs = self._ask(what, "ask_fit", path, *arguments)
        return np.ascontiguousarray(inputs.T), np.ascontiguousarray(outputs.T)

    def eval_text(self, code: str) -> Any:
        """Run R code in R's global environment and return its value: numbers as an array, strings
        and lists as a list.
        """
        return self._ask(f"eval_text({code[:80]!r})", "eval_text", code)

    def _get_worker(self) -> _Worker:
        """Return the worker; start one if there is none in this process."""
        if self._worker is None or self._worker.parent != os.getpid():  # a fork starts its own
            self._worker = _Worker(self.deadline)
        return self._worker

    def _ask(self, what: str, ask: str, *arguments: Any) -> Any:
        """Ask R, and ask once more if it crashes; `what` describes the ask in an error message."""
        with self._lock:
            if self._missing:  # it stays missing until close(): do not look again at every ask
                missing = self._missing
                raise RUnavailable(missing.found, missing.mend)
            fates: list[str] = []
            while len(fates) < 2:
                worker = self._get_worker()
                try:
                    kind, value, self.warnings, self.console = worker.ask(ask, *arguments)
                except (TimeoutError, ConnectionError, EOFError) as reason:
                    fates.append(worker.fate(reason))
                    self._worker = None
                    continue
                # Ctrl-C too: the next ask must not read this one's late answer
                except BaseException as reason:
                    self.close()
                    self._missing = None
                    if isinstance(reason, RUnavailable):  # a new one, without its frames
                        self._missing = RUnavailable(reason.found, reason.mend)
                    raise
                if kind == "error":
                    raise RError(value[0])
                return value
        raise RCrashed(
            f"{what}: R {fates[0]}; started again, it {fates[1]} (deadline {self.deadline:g} s)"
        )


def _of_one(
    topology: Topology, theta: ArrayLike, inputs: ArrayLike, targets: ArrayLike
) -> tuple[Array, Array, Array]:
    """Check the arrays of one draw; return inputs (I, R), targets (O, R) and weights (T,), as
    nnet.R takes them.
    """
    x = check("inputs", inputs, None, topology.inputs)
    y = check("targets", targets, len(x), topology.outputs)
    return x.T, y.T, check("theta", theta, topology.n_weights)


def _check_decay(decay: ArrayLike, weights: int, name: str = "decay") -> Array:
    """Check the decay: one number, or one for each weight (T,)."""
    return check("decay", decay, weights) if np.ndim(decay) else check(name, decay)
