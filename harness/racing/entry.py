"""An entry of a speed race: a model, the pacemaker that it is raced against, and their problems.

A pacemaker is the implementation whose time is the unit, such as R's nnet.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.core.implementation import Missing
from harness.core.problem import Problem
from harness.core.verdict import Status
from harness.judging.cache import Cache
from harness.judging.case import Case
from harness.model.devices import kind_of
from harness.racing.calibration import calibrate
from harness.running.trial import run
from harness.text.harmless import shown
from harness.training.trained import Trained
from harness.training.trained_by import TrainedBy
from harness.training.trainer import Population

REACHED = 1 + 1e-6  # times the pacemaker's own final loss counts as that

# For a problem, a function from the number of a draw to the pacemaker's time in seconds on it, for
# one evaluation of one network or for one fit, and to the loss that must be reached (infinite:
# none).
Pacemaker = Callable[[Problem], Callable[[int], tuple[float, float]]]
# Makes a number of evaluations on a draw or, of fits, fits until a loss is reached, and returns the
# last loss (infinite: none).
Work = Callable[[int, int, float], float]


@dataclass(frozen=True, eq=False)
class Entry:
    """A model that enters a speed race against a pacemaker.

    The race measures the time of one loss with its gradient or, with `fits`, of training until the
    pacemaker's final loss is reached. `case` tests whether the model is correct: only a model that
    passes every trial may race. `population` has the data.

    With `fits` the rounds take turns over `starts` starts. The time of a start is the shortest of
    its rounds. `nets` is the number of networks that a stacked model evaluates in one call. The
    time of a call is divided by it, and the pacemaker evaluates one network at a time.
    """

    name: str
    trained: Trained | TrainedBy
    case: Case
    population: Population
    pacemaker: Pacemaker
    fits: bool = False
    rounds: int = 30
    starts: int = 8
    nets: int = 1

    def __post_init__(self) -> None:
        """Raise ValueError if the case does not judge the model that races."""
        model = self.trained.subject.build
        judged = [_find_model(subject) for subject in self.case.subjects]
        if model not in judged:
            names = ", ".join(map(_name_model, judged)) or "no model"
            raise ValueError(
                f"{self.name}: the case judges {names}, expected {_name_model(model)}, which races"
            )

    def id(self, device: str, dtype: str) -> str:
        """Return a stable and readable name of the race on a device in a dtype."""
        return f"{self.name}-{self.trained.name}-{device}-{dtype}"

    def begin(self, dtype: str) -> Problem:
        """Return the starts and their data: for fits one draw for each start, else one for each
        network that is evaluated at once.
        """
        draws = min(self.starts, self.rounds) if self.fits else self.nets
        return self.trained.starting(self.case.network, self.population, draws, dtype)


def _find_model(subject: Any) -> Any:
    """Return the class or function that builds the model of a subject, or of a trainer."""
    subject = getattr(subject, "subject", subject)
    return getattr(subject, "build", subject)


def _name_model(build: Any) -> str:
    return str(getattr(build, "__name__", shown(build, 40)))


def unfit(entry: Entry, device: str, dtype: str, starts: int) -> str:
    """Return why a model may not race; "" if it may.

    The text has the first trial of its case that does not pass, and the reason. A trial that this
    machine cannot run (ABSENT) does not count. `starts` is the number of starts of each trainer.
    """
    cache = Cache(entry.case, starts)
    for trial in entry.case.trials((device,)):
        if trial.dtype != dtype:
            continue
        verdict = run(trial, cache)
        if verdict.status not in (Status.PASS, Status.ABSENT):
            return f"{trial.id} {verdict.status}: {verdict.why}"
    return ""


class Turns:
    """A model's turns in a race.

    `evaluations` is the number of evaluations in a turn, or 1 if a turn is a fit; it is measured
    unless it is given.
    """

    def __init__(
        self, entry: Entry, start: Problem, dtype: str, device: str, evaluations: int = 0
    ) -> None:
        self._kind, self._device = kind_of(device), device
        self._fits = entry.fits
        make = _make_fits if entry.fits else _make_evaluations
        self._work = make(entry, start, dtype, device)
        self.evaluations = evaluations or 1
        if not (entry.fits or evaluations):
            self.evaluations = calibrate(lambda count: self._measure(count)[0])

    def take(
        self, draw: int = 0, wanted: float = np.inf, slower: float = 1.0
    ) -> tuple[float, float]:
        """Take a turn on a draw until the loss is `wanted`, and return its time in seconds and the
        last loss.

        A turn of evaluations begins with some that are not timed, so that every turn starts under
        the same conditions. `slower` multiplies the number of evaluations: a planted slow-down, by
        which the measurement is tested.
        """
        count = round(self.evaluations * slower)
        if not self._fits:
            self._work(1 + count // 4, draw, wanted)
        return self._measure(count, draw, wanted)

    def _measure(self, count: int, draw: int = 0, wanted: float = np.inf) -> tuple[float, float]:
        began = self._kind.read_clock(self._device)
        loss = self._work(count, draw, wanted)
        return self._kind.read_clock(self._device) - began, loss


def _make_evaluations(entry: Entry, start: Problem, dtype: str, device: str) -> Work:
    """Return the work of evaluating the loss and its gradient, at the parameters of `start`."""
    import torch

    trained = entry.trained
    if not isinstance(trained, Trained):
        raise TypeError(f"{trained.name} shows no steps, expected Entry(fits=True)")
    training = trained.training(start, dtype, device)

    def evaluate(count: int, draw: int, wanted: float) -> float:
        for _ in range(count):
            for parameter in training.learner.parameters:
                parameter.grad = None
            torch.autograd.backward(training.learner.losses().sum())
        return np.inf

    evaluate(1, 0, np.inf)
    return evaluate


def _make_fits(entry: Entry, start: Problem, dtype: str, device: str) -> Work:
    """Return the work of training from the initial parameters of a draw of `start`."""

    def fit(count: int, draw: int, wanted: float) -> float:
        trained = entry.trained
        if np.isfinite(wanted):
            trained = trained.stopping_at(wanted * REACHED)
        loss = np.inf
        for _ in range(count):
            own = start.part(slice(draw, draw + 1))
            fitted = trained.fit(own, dtype, device, lambda said: None)
            if isinstance(fitted, Missing):
                raise RuntimeError(f"{trained.name} {fitted.why}")
            loss = float(fitted.claimed[0]) if fitted.claimed.size else np.inf
        return loss

    return fit
