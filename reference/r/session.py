"""Calls R's nnet from Python. R runs in a process of its own, the worker (worker.py, nnet.R,
fitted.R).

A request is one call of a function in nnet.R or fitted.R. If R crashes or quits, it is started
again and the request repeated once. If it uses up its time (patience.py), it is killed and the
request not repeated. In shapes, D counts draws (parameter vectors), R rows, I inputs, O outputs,
and T weights.
"""

import os
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from harness.waiting.deadlines import get_deadlines
from reference.r.arrays import check
from reference.r.patience import DeadlinePassed, find_size
from reference.r.preflight import RUnavailable
from reference.r.process import SPECIAL, Worker
from reference.r.topology import FLAGS, Array, Evaluation, Fit, Topology

NO_MESSAGE = "R raised an error without a message"


class RError(Exception):
    """Raised with R's message if R raised an error."""


class RCrashed(Exception):
    """Raised if R passed its deadline, or died twice in a row."""


class RSession:
    """R with nnet in a process of its own. Threads may share a session: it takes one request at a
    time.

    Every request raises RUnavailable if R cannot be started, RError with R's message if R raises an
    error, and RCrashed if R died twice in a row or passed its deadline; the next request then
    starts R again. `deadline` is the CPU time in seconds of a request of ordinary size; None stands
    for that of the run (get_deadlines). If R cannot be started, this is not tried again before
    close(). After a request, `console` holds R's output, `warnings` its warnings, and `seconds` the
    CPU time that R took, in which other work on the machine has no part.
    """

    source = provenance = "live"

    def __init__(self, deadline: float | None = None) -> None:
        self.deadline = deadline
        self.console = ""
        self.warnings: list[str] = []
        self.seconds = 0.0
        self._worker: Worker | None = None
        self._missing: RUnavailable | None = None
        self._lock = threading.RLock()

    def start(self) -> None:
        """Start R without waiting for it, which saves the first request half a second."""
        with self._lock:
            self._get_worker()

    def close(self) -> None:
        """End R; the next request starts it again. R also ends when Python ends."""
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

    def home(self) -> str:
        """Return R's home folder."""
        with self._lock:
            self.versions()
            return self._get_worker().home

    def evaluate(
        self,
        topology: Topology,
        theta: ArrayLike,
        inputs: ArrayLike,
        targets: ArrayLike,
        row_weights: ArrayLike | None = None,
        decay: ArrayLike = 0.0,
        logits: ArrayLike = False,
    ) -> Evaluation:
        """Run nnet's own forward pass, loss and back-propagation at every draw (fpass, bpass,
        VR_dfunc in nnet.c).

        The shapes are theta (D, T), the weights in the topology's order, inputs (D, R, I), targets
        (D, R, O), and row_weights (D, R), which are not negative, and 1 by default. The value (the
        loss) is the sum over rows of row_weight * error, plus sum(decay * theta**2); decay is one
        number or has the shape (T,). The error is the topology's: squares are (output - target)**2
        of all outputs, not halved. With `logits` the outputs are linear, before a logistic function
        or a softmax; value and gradient stay the same.

        D counts draws (parameter vectors), T weights, R rows, I inputs and O outputs. Raises
        ValueError for an array of another shape, an empty array, or a number that is not finite.
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
            check("logits", logits),
        )
        what = f"evaluate({draws} draws, {rows} rows, {weights} weights)"
        size = find_size(weights, draws * rows, 1)
        numbers = self._ask(what, "evaluate", *topology.engine, *arguments, size=size)
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
        fitted by `nnet::nnet(x, y, size=, linout=, skip=, entropy=, Wts=, ...)`, as its users call
        it. Any other topology is fitted by the same engine, with its own connections. mask (T,) is
        True for trained weights; row_weights has the shape (R,); decay is one number or has the
        shape (T,).

        R counts rows, I inputs and O outputs. Raises ValueError as evaluate does.
        """
        data = _check_one_draw(topology, theta, inputs, targets)
        rows, weights = data[0].shape[1], topology.n_weights
        m = None if mask is None else check("mask", mask, weights)
        w = None if row_weights is None else check("row_weights", row_weights, rows, least=0.0)
        name = "maxit, abstol, reltol, decay"
        settings = [check(name, number) for number in (maxit, abstol, reltol)]
        settings.append(_check_decay(decay, weights, name))
        ask: tuple[Any, ...] = ("fit_engine", *topology.engine)
        if topology.is_dense:
            kind = topology.linear_outputs, topology.has_skip, FLAGS[topology.error]
            ask = ("fit_nnet", topology.hidden, *kind)
        what = f"fit({rows} rows, {weights} weights, maxit {maxit})"
        size = find_size(weights, rows, maxit)
        return self._fit(what, topology, *ask, *data, m, w, *settings, size=size)

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
        data = _check_one_draw(topology, theta, inputs, targets)
        rows, weights = data[0].shape[1], topology.n_weights
        w = None if row_weights is None else check("row_weights", row_weights, rows, least=0.0)
        what = f"optim({rows} rows, {weights} weights)"
        settings = check("maxit", maxit), _check_decay(decay, weights)
        size, ask = find_size(weights, rows, maxit), ("fit_optim", *topology.engine)
        return self._fit(what, topology, *ask, *data, w, *settings, size=size)

    def _fit(self, what: str, topology: Topology, *ask: Any, size: float) -> Fit:
        with self._lock:
            _, (end, value, outputs, convergence) = self._ask(what, "timed", *ask, size=size)
            seconds = self.seconds
        assert end.shape == (topology.n_weights,), end.shape
        assert len(outputs) == topology.outputs, outputs.shape
        outputs = np.ascontiguousarray(outputs.T)
        return Fit(end, float(value[0]), outputs, int(convergence[0]), seconds)

    def time_gradients(
        self,
        topology: Topology,
        theta: ArrayLike,
        inputs: ArrayLike,
        targets: ArrayLike,
        repetitions: int,
    ) -> float:
        """Return the CPU seconds that R takes to give the engine a net and data, and to compute the
        value and gradient `repetitions` times, which may be 0.

        Shapes are as for `fit`.
        """
        data = _check_one_draw(topology, theta, inputs, targets)
        what = f"time_gradients({data[0].shape[1]} rows)"
        count = check("repetitions", repetitions)
        size = find_size(topology.n_weights, data[0].shape[1], repetitions)
        with self._lock:
            self._ask(what, "time_gradient", *topology.engine, *data, count, size=size)
            return self.seconds

    def read_fit(self, path: str) -> Any:
        """Return the object that saveRDS() wrote to a file, as nested lists (`encode` in fitted.R).

        R's own readRDS() decodes the file. No code or expression in the file is evaluated.
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
        """Return the inputs (R, I) of the net of a fit, and predict()'s outputs (R, O).

        `columns` are the raw columns: arrays of numbers (R,), or sequences of texts with None for a
        missing one. A row with a missing value becomes a row of NaN. `prepare` is the text of an R
        expression that makes the rows to predict from the raw rows `x`: a data.frame, or a matrix
        if the net was fitted on a matrix.

        The object in the file, its formula and `prepare` are evaluated. Without `trust`, the
        formula of the fit may call only plain arithmetic and finds only R's own functions; any
        other formula raises RError. R counts rows, I inputs and O outputs.
        """
        converted: list[Any] = []
        for column in columns:
            if isinstance(column, np.ndarray):
                converted.append(np.asarray(column, np.float64))
            else:
                converted.append(list(column))
        what = f"ask_fit({path!r}, {len(names)} columns)"
        arguments = list(names), converted, prepare, float(trust)
        inputs, outputs = self._ask(what, "ask_fit", path, *arguments)
        return np.ascontiguousarray(inputs.T), np.ascontiguousarray(outputs.T)

    def call(self, function: str, *arguments: Any) -> Any:
        """Call a function of the worker's R files, and return its value."""
        return self._ask(f"{function}()", function, *arguments)

    def eval_text(self, code: str) -> Any:
        """Run R code in R's global environment and return its value: numbers as an array, strings
        and lists as a list.
        """
        return self._ask(f"eval_text({code[:80]!r})", "eval_text", code)

    def _get_worker(self) -> Worker:
        """Return the worker; start one if there is none in this process."""
        if self._worker is None or self._worker.parent != os.getpid():  # a fork starts its own
            self._worker = Worker()
        return self._worker

    def _ask(self, what: str, ask: str, *arguments: Any, size: float = 1.0) -> Any:
        """Send a request to R, and repeat it once if R crashes.

        `what` describes the request in an error message, `size` scales its deadline.
        """
        with self._lock:
            if self._missing:  # it stays missing until close(): do not look again at every ask
                missing = self._missing
                raise RUnavailable(missing.found, missing.mend)
            fates: list[str] = []
            while len(fates) < 2:
                answer = self._ask_once(what, fates, size, ask, *arguments)
                if answer is not None:
                    kind, value, self.warnings, self.console, self.seconds = answer
                    if kind == "error":
                        raise RError(value[0] if isinstance(value, list) else NO_MESSAGE)
                    return value
        raise RCrashed(f"{what}: R {fates[0]}; started again, it {fates[1]}")

    def _ask_once(self, what: str, fates: list[str], size: float, *ask: Any) -> Any:
        """Return R's answer to a request, see worker.py. If R crashed, add a description of its end
        to `fates` and return None.

        Raises RCrashed if R passed its deadline.
        """
        base = get_deadlines().r if self.deadline is None else self.deadline
        worker = self._get_worker()
        try:
            return worker.ask(worker.make_patience(what, base, size), *ask)
        except (DeadlinePassed, ConnectionError, EOFError) as reason:
            self._worker = None
            fates.append(worker.fate(reason))
            if isinstance(reason, DeadlinePassed) and not reason.may_pass:
                raise RCrashed(f"{what}: R {fates[-1]}") from None
        # Ctrl-C too: the next ask must not read this one's late answer
        except BaseException as reason:
            self.close()
            self._missing = None
            if isinstance(reason, RUnavailable):  # a new one, without its frames
                self._missing = RUnavailable(reason.found, reason.mend)
            raise
        return None


def _check_one_draw(
    topology: Topology, theta: ArrayLike, inputs: ArrayLike, targets: ArrayLike
) -> tuple[Array, Array, Array]:
    """Check the arrays of one draw (one problem); return inputs (I, R), targets (O, R) and weights
    (T,) in the axes of nnet.R.

    I counts inputs, R rows and O outputs.
    """
    x = check("inputs", inputs, None, topology.inputs)
    y = check("targets", targets, len(x), topology.outputs)
    return x.T, y.T, check("theta", theta, topology.n_weights)


def _check_decay(decay: ArrayLike, weights: int, name: str = "decay") -> Array:
    """Check the decay: one number, or one for each weight (T,)."""
    return check("decay", decay, weights) if np.ndim(decay) else check(name, decay)
