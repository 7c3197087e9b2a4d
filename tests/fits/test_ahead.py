"""Fits that a fork makes ahead: the same as those made here, and made here where it made none."""

import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import fields, replace
from functools import partial
from itertools import count
from typing import Any

import numpy as np
import pytest
from torch import nn

from cases.sine_training import many_draws, one_draw, sine_population
from harness import Case, Recipe, Trained
from harness.core.contract import Array
from harness.core.problem import Problem
from harness.fits.ahead import FitsAhead, FittingFork, can_fork, list_needed
from harness.fits.ends import train
from harness.judging.cache import Cache
from harness.running.runner import Runner
from harness.training.trainer import Fitted
from reference import Network, gradient_descent, nnet_fit, numpy_net, starts
from reference.training.trainers import One

NET = Network(1, 4, 1, "logistic")
DESCENT = gradient_descent(1e-3, 60)
STARTS = 3


def lose_one(factor: float, net: Any, problem: Problem, draw: int) -> One:
    """Fit a start, the second without a loss, and with parameters times a factor."""
    one = DESCENT.one(net, problem, draw)
    return one._replace(theta=one.theta * factor, claimed=np.nan) if draw == 1 else one


class Sealed(str):
    """A text that cannot be pickled."""

    def __reduce__(self) -> str:
        raise TypeError


def end_sealed(net: Any, problem: Problem, draw: int) -> One:
    """Fit a start to an end that no process can hand over."""
    return DESCENT.one(net, problem, draw)._replace(ended=Sealed())


DIFFERENT = gradient_descent(1e-4, 60, name="different")
LOSES_ONE = replace(DESCENT, name="loses one", one=partial(lose_one, np.nan))
LOSES_A_LOSS = replace(DESCENT, name="loses a loss", one=partial(lose_one, 1.0))
SEALED = replace(DESCENT, name="sealed", one=end_sealed)


def make_case(*trainers: Any, data: Any = one_draw, name: str = "ahead") -> Case:
    """A case of training whose trials need the fits of these trainers."""
    how: dict[str, Any] = {"checks": ["final"], "dtypes": ["float64"]}
    return Case(name, NET, trainers[:1], trainers[1:], sine_population(data), **how)


@pytest.fixture
def forks() -> Iterator[list[FittingFork]]:
    """Those that a test has made, which end with it."""
    made: list[FittingFork] = []
    yield made
    for each in made:
        each.end()


def start(forks: list[FittingFork], *cases: Case) -> FittingFork:
    """A fork that makes the fits of some cases."""
    trials = [trial for case in cases for trial in case.trials()]
    forks.append(FittingFork(list_needed(trials), STARTS, lambda: None))
    return forks[-1]


def wait(fork: FittingFork) -> None:
    """Wait until the fork has made all that it makes."""
    while fork._receive():
        pass


def wait_until_begun(fork: FittingFork) -> None:
    """Wait until the fork makes its first fits; it must not end before."""
    while not any(fork._makers[:]):
        assert os.waitid(os.P_PID, fork._pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
        os.sched_yield()


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


def test_fits_of_a_fork_are_those_made_here(forks: list[FittingFork]) -> None:
    """To the last bit, with their curves and counts."""
    theirs, mine = fit_twice(DESCENT, forks)
    np.testing.assert_equal(read(theirs), read(mine))
    assert theirs is not None
    assert theirs.seconds > 0


def fit_twice(trainer: Any, forks: list[FittingFork]) -> tuple[Fitted | None, Fitted]:
    """The fits of a trainer by a fork, and by this process."""
    case = make_case(trainer, trainer)
    begun = begin(case, trainer)
    fork = start(forks, case)
    wait(fork)
    theirs = fork.take(trainer, NET, begun, "float64")
    mine: Fitted = trainer.fit(begun, "float64", "cpu", lambda said: None)
    return theirs, mine


def test_fits_are_the_same_where_a_start_was_lost(forks: list[FittingFork]) -> None:
    """The middle one of three ends with parameters that are not finite."""
    theirs, mine = fit_twice(LOSES_ONE, forks)
    np.testing.assert_equal(read(theirs), read(mine))
    assert 0 < mine.finite.sum() < STARTS


def test_finite_parameters_without_a_finite_loss_are_found_here(
    forks: list[FittingFork],
) -> None:
    """Their fits are described by those parameters, which the fork does not hand over."""
    theirs, mine = fit_twice(LOSES_A_LOSS, forks)
    assert theirs is None
    assert mine.silent is not None
    assert mine.end is not None


def test_the_fork_begins_with_what_is_needed_last(forks: list[FittingFork]) -> None:
    """What it has not begun when it is needed is made here, and it leaves that out."""
    case = make_case(DESCENT, *(gradient_descent(1e-3, 9, name=f"{each}") for each in (1, 2)))
    forks.append(FittingFork(list_needed(case.trials()), STARTS, stop))
    os.waitpid(forks[0]._pid, os.WUNTRACED)
    assert forks[0].take(DESCENT, NET, begin(case, DESCENT), "float64") is None
    os.kill(forks[0]._pid, signal.SIGCONT)
    wait(forks[0])
    assert list(forks[0]._fits) == [2, 1]


def stop() -> None:
    """Stop this process."""
    os.kill(os.getpid(), signal.SIGSTOP)


def test_other_starts_or_data_are_fitted_here(forks: list[FittingFork]) -> None:
    """A fit is taken for the numbers from which it was made, and for nothing else."""
    case = make_case(DESCENT, DESCENT)
    fork = start(forks, case)
    wait(fork)
    other = begin(make_case(DESCENT, DESCENT, data=many_draws), DESCENT)
    assert fork.take(DESCENT, NET, other, "float64") is None
    assert fork.take(DESCENT, NET, begin(case, DESCENT), "float32") is None
    assert fork.take(DESCENT, NET, begin(case, DESCENT), "float64") is not None


def test_one_trainer_of_two_cases_is_fitted_to_the_data_of_both(forks: list[FittingFork]) -> None:
    cases = [make_case(DESCENT, DESCENT, data=data) for data in (one_draw, many_draws)]
    fork = start(forks, *cases)
    wait(fork)
    for case in cases:
        assert fork.take(DESCENT, NET, begin(case, DESCENT), "float64") is not None


def test_a_fork_that_dies_leaves_its_fits_to_this_process(forks: list[FittingFork]) -> None:
    case = make_case(DESCENT, gradient_descent(1e-3, 1_000_000, name="endless"))
    fork = start(forks, case)
    wait_until_begun(fork)
    os.kill(fork._pid, signal.SIGKILL)
    needed = case.references[0]
    assert fork.take(needed, NET, begin(case, needed), "float64") is None


def test_a_fork_that_stands_still_is_given_up(forks: list[FittingFork]) -> None:
    """As one that waits for ever for a lock; its fits are made here."""
    case = make_case(DESCENT, gradient_descent(1e-3, 1_000_000, name="endless"))
    forks.append(FittingFork(list_needed(case.trials()), STARTS, lambda: None, patience=0.05))
    wait_until_begun(forks[0])
    os.kill(forks[0]._pid, signal.SIGSTOP)
    endless = case.references[0]
    assert forks[0].take(endless, NET, begin(case, endless), "float64") is None


def test_a_fork_that_computes_is_waited_for(
    forks: list[FittingFork], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long it sends nothing. Its CPU time is played, since other programs may take it."""
    monkeypatch.setattr("harness.fits.ahead._read_cpu_time", lambda pid: next(times))
    times = count()
    slow = gradient_descent(1e-3, 1_000, name="slow")
    case = make_case(slow, slow)
    forks.append(FittingFork(list_needed(case.trials()), STARTS, lambda: None, patience=0.001))
    wait_until_begun(forks[0])
    assert forks[0].take(slow, NET, begin(case, slow), "float64") is not None
    assert next(times) > 2


def test_a_fork_prints_nothing(forks: list[FittingFork], capfd: pytest.CaptureFixture[str]) -> None:
    """What it runs may print, beside what this process prints."""
    needed = list_needed(make_case(DESCENT, DESCENT).trials())
    forks.append(FittingFork(needed, STARTS, lambda: [os.write(each, b"said") for each in (1, 2)]))
    wait(forks[0])
    assert forks[0]._fits
    assert capfd.readouterr() == ("", "")


def fail_in_a_fork(here: int, count: int) -> tuple[Array, Array]:
    """Data that only one process has."""
    if os.getpid() != here:
        raise RuntimeError
    return one_draw(count)


def test_what_raises_in_the_fork_is_asked_here(forks: list[FittingFork]) -> None:
    """The fork goes on with the rest."""
    here = os.getpid()
    first = make_case(DIFFERENT, DIFFERENT)
    last = make_case(DESCENT, DESCENT, data=lambda count: fail_in_a_fork(here, count))
    fork = start(forks, first, last)
    wait(fork)
    assert fork.take(DESCENT, NET, begin(last, DESCENT), "float64") is None
    assert fork._fits[0]


def test_what_cannot_be_handed_over_is_made_here(forks: list[FittingFork]) -> None:
    """The fork goes on with the rest."""
    fork = start(forks, make_case(DESCENT, SEALED))
    wait(fork)
    assert fork._fits[1] == {}
    assert fork._fits[0]


def test_another_process_takes_nothing(
    forks: list[FittingFork], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that pytest-forked makes (played): it would read what this process waits for."""
    case = make_case(DESCENT, DESCENT)
    fork = start(forks, case)
    wait(fork)
    begun = begin(case, DESCENT)
    assert fork.take(DESCENT, NET, begun, "float64") is not None
    monkeypatch.setattr(os, "getpid", lambda: 0)
    assert fork.take(DESCENT, NET, begun, "float64") is None


def test_only_the_fork_is_killed(forks: list[FittingFork], monkeypatch: pytest.MonkeyPatch) -> None:
    """If somebody else has waited for it, its number may be another process's."""
    fork = start(forks, make_case(DESCENT, DESCENT))
    os.kill(fork._pid, signal.SIGKILL)
    os.waitpid(fork._pid, 0)
    monkeypatch.setattr(os, "kill", lambda *_: pytest.fail("it has killed another process"))
    fork.end()


@pytest.mark.parametrize(("cores", "threads", "can"), [(2, 1, True), (1, 1, False), (2, 2, False)])
def test_a_fork_needs_a_core_and_no_other_thread(
    monkeypatch: pytest.MonkeyPatch, cores: int, threads: int, can: bool
) -> None:
    """The cores are played."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    others = threading.active_count() - 1
    monkeypatch.setattr(threading, "active_count", lambda: len(threading.enumerate()) - others)
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    if threads > 1:
        thread.start()
    found = can_fork()
    end.set()
    if thread.is_alive():
        thread.join()
    assert found is can


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
    steps = replace(steps, checks=["loss"], references=[numpy_net])
    assert not list_needed(steps.trials())


def test_a_run_takes_the_fits_of_its_fork(monkeypatch: pytest.MonkeyPatch, live_r: None) -> None:
    """R's among them; the fork has a worker of its own."""
    monkeypatch.setattr("harness.running.runner.can_fork", lambda: True)
    nnet = nnet_fit(maxit=30)
    case = make_case(DESCENT, nnet)
    runner = Runner(starts=STARTS)
    runner.fit_ahead(case.trials(), lambda: None)
    fork = runner._across_cases.get(FitsAhead())
    assert fork is not None
    wait(fork)
    cache = Cache(case, STARTS, across_cases=runner._across_cases)
    alone = train(Cache(case, STARTS), nnet, "float64", "cpu")
    monkeypatch.setattr(type(nnet), "fit", lambda *_: pytest.fail("it was made here"))
    ended = train(cache, nnet, "float64", "cpu")
    runner.end_ahead()
    runner.end_ahead()  # nothing more to end
    np.testing.assert_equal(read(getattr(ended, "fitted", None)), read(getattr(alone, "fitted", 0)))
