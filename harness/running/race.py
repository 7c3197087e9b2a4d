"""Speed races: measures a model's time as a multiple of a pacemaker's time in the same run.

A pacemaker is the implementation whose time is the unit, such as R's nnet. A race has many rounds;
in each of them the pacemaker and the model take turns.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from harness.core.implementation import Missing
from harness.core.problem import Problem
from harness.core.report import Race
from harness.core.verdict import Status
from harness.judging.cache import Cache
from harness.judging.case import Case
from harness.model.compiled import limited
from harness.model.devices import kind_of
from harness.model.settings import hold_settings
from harness.reporting.environment import limit_threads
from harness.running.trial import run
from harness.training.trained import Trained
from harness.training.trainer import Population

ROUND = 0.01  # seconds that a round takes at least
QUARTILES = (0.25, 0.5, 0.75)
REACHED = 1 + 1e-6  # times the pacemaker's own final loss counts as that

# For a problem what its rounds take: of a draw the seconds, and the loss that must be reached
# (infinite: none).
Pacemaker = Callable[[Problem], Callable[[int], tuple[float, float]]]


@dataclass(frozen=True, eq=False)
class Entry:
    """A model that enters a speed race against a pacemaker.

    The race measures the time of one loss with its gradient or, with `fits`, of training until the
    pacemaker's final loss is reached. `case` tests whether the model is correct: only a model that
    passes every trial may race. `population` has the data; with `fits` each round has a start of
    its own.
    """

    name: str
    trained: Trained
    case: Case
    population: Population
    pacemaker: Pacemaker
    fits: bool = False
    rounds: int = 30

    def id(self, device: str, dtype: str) -> str:
        """Return a stable and readable name of the race on a device in a dtype."""
        return f"{self.name}-{self.trained.name}-{device}-{dtype}"


class Round(NamedTuple):
    """The times and losses of one round of a race.

    `pace` is the pacemaker's time in seconds; `first` and `second` are the times of the model's two
    turns, in seconds. `wanted` is the loss to be reached (infinite: none), and `loss` the loss that
    the model reached in its second turn.
    """

    pace: float
    first: float
    wanted: float
    second: float
    loss: float


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


class Turn(NamedTuple):
    """A model's turn in a race.

    `take(draw, wanted)` runs the model on a draw (one problem of a stack) until the loss is at most
    `wanted`, and returns the final loss. `evaluations` is the number of evaluations in a turn.
    `warm()` is called between the turn of the pacemaker (the implementation whose time is the unit)
    and the model's first turn, so that this turn starts under the same conditions as the model's
    second turn.
    """

    take: Callable[[int, float], float]
    evaluations: int = 1
    warm: Callable[[], Any] = lambda: None


def _make_gradient_turn(entry: Entry, start: Problem, dtype: str, device: str) -> Turn:
    """Return a turn that evaluates the loss and its gradient several times in a row, long enough to
    be timed.

    `start` has the problems, one for each round. There is no loss to be reached.
    """
    training = entry.trained.training(start, dtype, device)

    def evaluate(count: int) -> float:
        for _ in range(count):
            for parameter in training.learner.parameters:
                parameter.grad = None
            training.learner.losses().sum().backward()  # type: ignore[no-untyped-call]
        kind_of(device).synchronize(device)
        return np.inf

    evaluate(1)
    began = perf_counter()
    evaluate(1)
    count = max(1, round(ROUND / (perf_counter() - began)))
    return Turn(lambda draw, wanted: evaluate(count), count, lambda: evaluate(1 + count // 4))


def _make_training_turn(entry: Entry, start: Problem, dtype: str, device: str) -> Turn:
    """Return a turn that trains the model from the initial parameters of a draw (one problem of
    `start`), until the wanted loss is reached.

    It is long, and needs no warming.
    """

    def fit(draw: int, wanted: float) -> float:
        trained = replace(
            entry.trained, recipe=replace(entry.trained.recipe, until=wanted * REACHED)
        )
        fitted = trained.fit(start.part(slice(draw, draw + 1)), dtype, device, lambda said: None)
        if isinstance(fitted, Missing):
            raise RuntimeError(f"{trained.name} {fitted.why}")
        return float(fitted.claimed[0]) if fitted.claimed.size else np.inf

    return Turn(fit)


def race(entry: Entry, device: str, dtype: str, benchmark: Any) -> Race:
    """Run a speed race, and return its result.

    In each round the pacemaker takes one turn and the model takes two; pytest-benchmark times the
    second turn of the model. Raises RuntimeError if the model raises, or if nothing is timed.
    """
    with hold_settings(entry.case.settings):
        return _race(entry, device, dtype, benchmark)


def _race(entry: Entry, device: str, dtype: str, benchmark: Any) -> Race:
    limit_threads()
    draws = entry.rounds if entry.fits else 1
    start = entry.trained.starting(entry.case.network, entry.population, draws, dtype)
    pace = entry.pacemaker(start)
    make_turn = _make_training_turn if entry.fits else _make_gradient_turn
    turn = make_turn(entry, start, dtype, device)
    firsts: list[tuple[float, float, float]] = []
    losses: list[float] = []

    def first() -> None:
        draw = len(firsts) % start.draws
        seconds, wanted = pace(draw)
        turn.warm()
        began = perf_counter()
        turn.take(draw, wanted)
        firsts.append((seconds, perf_counter() - began, wanted))

    def second() -> None:
        losses.append(turn.take((len(firsts) - 1) % start.draws, firsts[-1][2]))

    benchmark.group = entry.name
    with kind_of(device).hold_precision(device, dtype), limited():
        benchmark.pedantic(second, setup=first, rounds=entry.rounds, warmup_rounds=1)
    if benchmark.stats is None:
        raise RuntimeError(
            "pytest-benchmark times nothing, expected it enabled: leave --benchmark-disable out"
        )
    timed = list(benchmark.stats.stats.data)
    lately = zip(firsts[-len(timed) :], timed, losses[-len(timed) :], strict=True)
    rounds = [Round(*first, second, loss) for first, second, loss in lately]
    found = summarise_rounds(entry, rounds, turn.evaluations, device, dtype)
    for name, value in vars(found).items():
        if value is not None:
            benchmark.extra_info[name] = value
    return found


def summarise_rounds(
    entry: Entry, rounds: Sequence[Round], count: int, device: str, dtype: str
) -> Race:
    """Return the result of a race: how many times longer than the pacemaker the model takes. Each
    turn of the model has `count` evaluations.

    The ratios of times are medians and quartiles over the rounds.
    """
    low, ratio, high = np.quantile(
        [each.second / count / each.pace for each in rounds], QUARTILES
    ).tolist()
    aa_low, aa, aa_high = np.quantile(
        [each.second / each.first for each in rounds], QUARTILES
    ).tolist()
    who = entry.name, entry.trained.title(), device, dtype
    found = Race(*who, ratio, len(rounds), (low, high), aa, (aa_low, aa_high))
    if not entry.fits:
        return found
    share = float(np.mean([each.loss <= each.wanted * REACHED for each in rounds]))
    return replace(found, share=share, loss=float(np.median([each.loss for each in rounds])))
