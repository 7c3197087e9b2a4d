"""Fits that a fork makes ahead: the same as those made here, and made here where it made none."""

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from torch import nn

from cases.sine_training import S1_START, many_draws, one_draw, sine_population
from harness import Case, Recipe, Trained
from harness.core.contract import Array
from harness.core.problem import Problem
from harness.fits.ahead import Ahead, FitsAhead, list_needed
from harness.fits.ends import train
from harness.judging.cache import Cache
from harness.running.runner import Runner
from harness.training.trainer import Fitted
from reference import Network, gradient_descent, nnet_fit, starts

NET = Network(1, 4, 1, "logistic")
DESCENT = gradient_descent(1e-3, 60)
LOST = gradient_descent(1e3, 9, name="lost", start=S1_START)
STARTS = 3


def make_case(*trainers: Any, data: Any = one_draw, name: str = "ahead") -> Case:
    """A case of training whose trials need the fits of these trainers."""
    how: dict[str, Any] = {"checks": ["final"], "dtypes": ["float64"]}
    return Case(name, NET, trainers[:1], trainers[1:], sine_population(data), **how)


@pytest.fixture
def aheads() -> Iterator[list[Ahead]]:
    """Those that a test has made, which end with it."""
    made: list[Ahead] = []
    yield made
    for each in made:
        each.end()


def start(aheads: list[Ahead], *cases: Case) -> Ahead:
    """A fork that makes the fits of some cases."""
    trials = [trial for case in cases for trial in case.trials()]
    aheads.append(Ahead(list_needed(trials), STARTS, lambda: None))
    return aheads[-1]


def wait(ahead: Ahead) -> None:
    """Wait until the fork has made all that it makes."""
    while ahead._receive():
        pass


def wait_until_begun(ahead: Ahead) -> None:
    """Wait until the fork makes its first fits."""
    while not any(ahead._makers[:]):
        time.sleep(0.001)


def begin(case: Case, trainer: Any) -> Problem:
    """The starts of a trainer."""
    begun: Problem = trainer.starting(NET, case.problems, STARTS, "float64")
    return begun


def read(fitted: Any) -> dict[str, Any]:
    """All that a trainer's fits hold but its time."""
    assert isinstance(fitted, Fitted)
    found = {field.name: getattr(fitted, field.name) for field in fields(fitted)}
    del found["seconds"]
    for name in ("end", "silent", "began"):
        problem = found[name]
        found[name] = problem and (problem.own, problem.inputs, problem.targets, problem.kind)
    return found


@pytest.mark.parametrize("trainer", [DESCENT, LOST], ids=lambda each: str(each.name))
def test_fits_of_a_fork_are_those_made_here(trainer: Any, aheads: list[Ahead]) -> None:
    """To the last bit, with their curves and counts, also where a start was lost."""
    case = make_case(trainer, trainer)
    begun = begin(case, trainer)
    ahead = start(aheads, case)
    wait(ahead)
    theirs = ahead.take(trainer, NET, begun, "float64")
    mine = trainer.fit(begun, "float64", "cpu", lambda said: None)
    if mine.end is None:
        assert theirs is None  # made here, where its end is described
    else:
        np.testing.assert_equal(read(theirs), read(mine))
        assert theirs is not None
        assert theirs.seconds > 0


def test_the_fork_begins_with_what_is_needed_last(aheads: list[Ahead]) -> None:
    """What it has not begun when it is needed is made here, and it leaves that out."""
    slow = gradient_descent(1e-3, 5_000, name="slow")
    case = make_case(DESCENT, slow)
    ahead = start(aheads, case)
    wait_until_begun(ahead)
    assert ahead.take(DESCENT, NET, begin(case, DESCENT), "float64") is None
    assert ahead.take(slow, NET, begin(case, slow), "float64") is not None
    wait(ahead)
    assert list(ahead._fits) == [1]


def test_other_starts_or_data_are_fitted_here(aheads: list[Ahead]) -> None:
    """A fit is taken for the numbers from which it was made, and for nothing else."""
    case = make_case(DESCENT, DESCENT)
    ahead = start(aheads, case)
    wait(ahead)
    other = begin(make_case(DESCENT, DESCENT, data=many_draws), DESCENT)
    assert ahead.take(DESCENT, NET, other, "float64") is None
    assert ahead.take(DESCENT, NET, begin(case, DESCENT), "float32") is None
    assert ahead.take(DESCENT, NET, begin(case, DESCENT), "float64") is not None


def test_one_trainer_of_two_cases_is_fitted_to_the_data_of_both(aheads: list[Ahead]) -> None:
    cases = [make_case(DESCENT, DESCENT, data=data) for data in (one_draw, many_draws)]
    ahead = start(aheads, *cases)
    wait(ahead)
    for case in cases:
        assert ahead.take(DESCENT, NET, begin(case, DESCENT), "float64") is not None


def test_a_fork_that_dies_leaves_its_fits_to_this_process(aheads: list[Ahead]) -> None:
    case = make_case(DESCENT, gradient_descent(1e-3, 1_000_000, name="endless"))
    ahead = start(aheads, case)
    wait_until_begun(ahead)
    os.kill(ahead._pid, signal.SIGKILL)
    needed = case.references[0]
    assert ahead.take(needed, NET, begin(case, needed), "float64") is None


def test_a_fork_that_stands_still_is_given_up(aheads: list[Ahead]) -> None:
    """As one that waits for ever for a lock; its fits are made here."""
    case = make_case(DESCENT, gradient_descent(1e-3, 1_000_000, name="endless"))
    aheads.append(Ahead(list_needed(case.trials()), STARTS, lambda: None, patience=0.05))
    wait_until_begun(aheads[0])
    os.kill(aheads[0]._pid, signal.SIGSTOP)
    endless = case.references[0]
    assert aheads[0].take(endless, NET, begin(case, endless), "float64") is None


def test_a_fork_prints_nothing(aheads: list[Ahead], capfd: pytest.CaptureFixture[str]) -> None:
    """What it runs may print, beside what this process prints."""
    needed = list_needed(make_case(DESCENT, DESCENT).trials())
    aheads.append(Ahead(needed, STARTS, lambda: [os.write(each, b"said") for each in (1, 2)]))
    wait(aheads[0])
    assert aheads[0]._fits
    assert capfd.readouterr() == ("", "")


def fail_in_a_fork(here: int, count: int) -> tuple[Array, Array]:
    """Data that only one process has."""
    if os.getpid() != here:
        raise RuntimeError
    return one_draw(count)


def test_what_raises_in_the_fork_is_asked_here(aheads: list[Ahead]) -> None:
    here = os.getpid()
    case = make_case(DESCENT, DESCENT, data=lambda count: fail_in_a_fork(here, count))
    ahead = start(aheads, case)
    wait(ahead)
    assert ahead.take(DESCENT, NET, begin(case, DESCENT), "float64") is None


class Logistic(nn.Sequential):
    """A right model."""

    def __init__(self) -> None:
        super().__init__(nn.Linear(1, 4), nn.Sigmoid(), nn.Linear(4, 1))


def test_models_are_trained_here() -> None:
    """A user's code may print, or count its calls."""
    model = Trained(Logistic, Recipe("sgd", 5, {"lr": 1e-3}), start=starts.uniform())
    needed = list_needed(make_case(model, DESCENT).trials())
    assert [each.trainer.thing for each in needed] == [DESCENT]


def test_only_fits_that_chosen_trials_need_are_made() -> None:
    """Those of other checks need none."""
    case = replace(make_case(DESCENT, nnet_fit()), checks=["final", "fit"])
    trials = case.trials()
    assert len(list_needed(trials)) == 2
    assert not list_needed([])
    steps = replace(case, subjects=[Trained(Logistic, Recipe("sgd", 5, {"lr": 1e-3}))])
    assert not list_needed(replace(steps, checks=["loss"]).trials())


def test_a_run_takes_the_fits_of_its_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    """R's among them; the fork has a worker of its own."""
    nnet = nnet_fit(maxit=30)
    case = make_case(DESCENT, nnet)
    runner = Runner(starts=STARTS)
    runner.fit_ahead(case.trials(), lambda: None)
    ahead = runner._across_cases.get(FitsAhead())
    assert ahead is not None
    wait(ahead)
    cache = Cache(case, STARTS, across_cases=runner._across_cases)
    alone = train(Cache(case, STARTS), nnet, "float64", "cpu")
    monkeypatch.setattr(type(nnet), "fit", lambda *_: pytest.fail("it was made here"))
    ended = train(cache, nnet, "float64", "cpu")
    runner.end_ahead()
    runner.end_ahead()  # nothing more to end
    np.testing.assert_equal(read(getattr(ended, "fitted", None)), read(getattr(alone, "fitted", 0)))
