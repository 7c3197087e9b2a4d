"""Verdicts on fits: what two trainers must share to be compared, and what decides."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from cases.sine_training import S1_START, one_draw, sine_population
from harness import Case, Recipe, Status, Trained, Verdict
from harness.core.contract import Array
from harness.core.report import Report
from harness.fits.ends import train
from harness.fits.starts import compare_starts
from harness.fits.summary import fit
from harness.judging.cache import Cache
from harness.reporting.answers import list_answers
from harness.running.trial import run
from harness.training.trainer import Ended
from reference import Network, gradient_descent, nnet_fit, scipy_bfgs, starts
from reference.training.trainers import One
from tests.conftest import Approved

NET = Network(1, 4, 1, "logistic")
BY_LOSSES = sine_population(one_draw, None)
DESCENT = gradient_descent(1e-3, 60)
AGAIN = replace(DESCENT, name="again")
SLOW = gradient_descent(1e-3, 1, name="slow", says="slow descent")
IDLE = gradient_descent(0.0, 1, name="idle", says="one that does not train")


class Logistic(nn.Sequential):
    """A right model."""

    def __init__(self) -> None:
        super().__init__(nn.Linear(1, 4), nn.Sigmoid(), nn.Linear(4, 1))


def compared(
    mine: Any, theirs: Any, problems: Any = BY_LOSSES, expect: str = "equal", count: int = 20
) -> Verdict:
    """The verdict of a `fit` check on so many starts."""
    how: dict[str, Any] = {"checks": ["fit"], "dtypes": ["float64"]}
    case = Case("fit", NET, [mine], [theirs], problems, expect, **how)
    return run(case.trials()[0], Cache(case, starts=count))


# Decided by losses


def test_equal_trainers_end_alike(approved: Approved) -> None:
    """Without a quality their losses decide; the p-value's share of 5 % is the budget used."""
    verdict = compared(DESCENT, AGAIN)
    assert verdict.status is Status.PASS
    assert verdict.budget_used is not None
    assert 0 < verdict.budget_used < 1
    approved(verdict.why, mask_figures=True)
    approved(verdict.caveat)
    by_shares = compared(DESCENT, AGAIN, sine_population(one_draw, 22.88))
    assert by_shares.status is Status.PASS
    approved(by_shares.caveat)
    answers = list_answers(Report({}, [verdict]))
    approved((said.text for each in answers.values() for said in each), mask_figures=True)


@pytest.mark.parametrize("expect", ["equal", "differs"])
def test_a_trainer_that_ends_higher_is_found(expect: str, approved: Approved) -> None:
    """Claimed equal it fails, claimed to be worse it passes, and the other way round it fails."""
    verdict = compared(SLOW, DESCENT, expect=expect)
    assert verdict.status is (Status.FAIL if expect == "equal" else Status.PASS)
    approved(verdict.why, mask_figures=True)
    if expect == "differs":
        turned = compared(DESCENT, SLOW, expect=expect)
        assert turned.status is Status.FAIL
        approved(turned.why, mask_figures=True)
        assert compared(DESCENT, AGAIN, expect=expect).status is Status.FAIL


def test_too_few_starts_cannot_tell(approved: Approved) -> None:
    """And the number that would is named."""
    verdict = compared(DESCENT, AGAIN, count=8)
    assert verdict.status is Status.VACUOUS
    approved(verdict.why, mask_figures=True)
    verdict = compared(SLOW, DESCENT, count=8)
    assert verdict.status is Status.VACUOUS
    approved(verdict.why, mask_figures=True)


def test_two_that_do_not_train_are_not_alike(approved: Approved) -> None:
    """Their losses are those of their starts: that says nothing."""
    verdict = compared(IDLE, replace(IDLE, name="other"))
    assert verdict.status is Status.VACUOUS
    approved(verdict.why, mask_figures=True)


def test_starts_that_say_nothing_are_counted(approved: Approved) -> None:
    """From some neither ends finite, from others neither trains; the rest is compared."""

    def spoil(net: Any, problem: Any, draw: int) -> One:
        one = DESCENT.one(net, problem, draw)
        if draw < 2:
            return one._replace(claimed=float("nan"))
        return one._replace(theta=problem.own[draw]) if draw < 5 else one

    verdict = compared(replace(DESCENT, one=spoil), replace(AGAIN, one=spoil))
    assert verdict.status is Status.PASS, verdict.why
    approved(verdict.why, mask_figures=True)


# Starts are compared as data are


@pytest.mark.parametrize("quality", [None, 22.88], ids=["losses", "shares"])
def test_other_starts_are_not_paired(quality: float | None, approved: Approved) -> None:
    """Losses are refused; shares of good fits are compared as independent ones, and it is said."""
    other = replace(AGAIN, start=starts.uniform(seed=3))
    verdict = compared(DESCENT, other, sine_population(one_draw, quality))
    assert verdict.status is (Status.BROKEN if quality is None else Status.VACUOUS)
    approved(verdict.why, mask_figures=True)


@pytest.mark.parametrize("quality", [None, 24.0], ids=["losses", "shares"])
def test_a_start_counts_once_however_often_it_is_taken(
    quality: float | None, approved: Approved
) -> None:
    """Twenty fits from one start to the same points are one."""
    once, twice = (replace(DESCENT, name=name, start=S1_START) for name in ("one", "two"))
    verdict = compared(once, twice, sine_population(one_draw, quality))
    assert verdict.status is Status.VACUOUS
    approved(verdict.why, mask_figures=True)


def test_one_start_with_other_points_each_is_many() -> None:
    """A pair is a start with its data."""

    def noisy(count: int) -> tuple[Array, Array]:
        x, y = one_draw(count)
        return x, y + 0.1 * np.random.default_rng(1).standard_normal((100, 50, 1))[:count]

    once, twice = (replace(DESCENT, name=name, start=S1_START) for name in ("one", "two"))
    assert compared(once, twice, sine_population(noisy, None)).status is Status.PASS


def test_several_sets_of_data_are_decided_together(approved: Approved) -> None:
    """And the typical ratio on each is told: a trainer that is better on one may be worse on
    another.
    """

    def several(count: int) -> tuple[Array, Array]:
        x, y = one_draw(count)
        factors = np.resize([1.0, 2.0, 3.0], count)[:, None, None]
        return x, factors * y

    verdict = compared(DESCENT, AGAIN, sine_population(several, None), count=24)
    assert verdict.status is Status.PASS, verdict.why
    assert "on 3 sets of data" in verdict.why
    approved(verdict.why, mask_figures=True)


def test_a_trainer_that_begins_elsewhere_fails(approved: Approved) -> None:
    """It ignores the starts that it is given."""

    class Ignores(Trained):
        def fit(self, start: Any, *asked: Any) -> Any:
            return super().fit(start.at(np.full_like(start.own, 0.3)), *asked)

    ignores = Ignores(Logistic, Recipe("adam", 5), "ignores", start=starts.uniform())
    verdict = compared(ignores, DESCENT, count=3)
    assert verdict.status is Status.FAIL
    approved(verdict.why)


def test_a_trainer_with_fewer_rows_fails(approved: Approved) -> None:
    """Its losses are those of other data."""

    class Fewer(Trained):
        def fit(self, start: Any, *asked: Any) -> Any:
            rows = slice(0, 25)
            few = replace(start, inputs=start.inputs[:, rows], targets=start.targets[:, rows])
            return super().fit(few, *asked)

    fewer = Fewer(Logistic, Recipe("adam", 5), "fewer", start=starts.uniform())
    verdict = compared(fewer, DESCENT, count=3)
    assert verdict.status is Status.FAIL
    approved(verdict.why)


def begun(make: Callable[[], list[Any]], network: Network) -> bool:
    """Do two trainers begin at the same parameters?"""
    mine, theirs = make()
    how: dict[str, Any] = {"checks": ["fit"], "dtypes": ["float64"]}
    cache = Cache(Case("begun", network, [mine], [theirs], BY_LOSSES, **how), starts=3)
    ends = [train(cache, trainer, "float64", "cpu") for trainer in (mine, theirs)]
    assert isinstance(ends[0], Ended)
    assert isinstance(ends[1], Ended)
    return compare_starts(ends[0], ends[1]).shared


def test_shared_starts_are_found_in_every_formulation(live_r: None) -> None:
    """A model in PyTorch, NumPy, and nnet, which trains tanh as logistic."""

    class Tanh(nn.Sequential):
        def __init__(self) -> None:
            super().__init__(nn.Linear(1, 4), nn.Tanh(), nn.Linear(4, 1))

    model = Trained(Tanh, Recipe("adam", 2), start=starts.uniform())
    tanh = Network(1, 4, 1, "tanh")
    assert begun(lambda: [model, gradient_descent(1e-3, 2)], tanh)
    assert begun(lambda: [model, nnet_fit(maxit=2)], tanh)
    assert not begun(lambda: [model, nnet_fit(maxit=2, start=starts.normal())], tanh)
    assert not begun(lambda: [replace(model, start=None), nnet_fit(maxit=2)], tanh)
    # the same numbers in another network are another start
    other = gradient_descent(1e-3, 2, network=NET)
    assert not begun(lambda: [model, other], tanh)


# Quality


def test_a_quality_that_starts_reach_says_nothing(approved: Approved) -> None:
    """Whoever trains."""
    verdict = compared(IDLE, DESCENT, sine_population(one_draw, 1000.0))
    assert verdict.status is Status.VACUOUS
    approved(verdict.why, mask_figures=True)


def test_a_quality_is_proposed_where_shares_cannot_tell(approved: Approved) -> None:
    """In the widest gap of the losses."""
    again = replace(scipy_bfgs, name="again")
    verdict = compared(again, scipy_bfgs, sine_population(one_draw, 1e-9), count=8)
    assert verdict.status is Status.VACUOUS
    approved(verdict.why, mask_figures=True)


# Evaluations and restarts


def test_a_trainer_that_wins_by_more_evaluations_is_seen(approved: Approved) -> None:
    """Its evaluations and restarts stand in the answer and in the report."""

    def restart(net: Any, problem: Any, draw: int) -> One:
        found = [scipy_bfgs.one(net, problem, draw)]
        for number in range(3):
            begin = starts.uniform(seed=50 + number)(problem.formulation, problem.draws)
            found.append(scipy_bfgs.one(net, replace(problem, own=begin), draw))
        best = min(found, key=lambda one: one.claimed)
        evaluations = sum(one.evaluations or 0 for one in found)
        return best._replace(evaluations=evaluations, restarts=3)

    four = replace(scipy_bfgs, name="four", says="the best of four", one=restart)
    verdict = compared(four, DESCENT, count=8)
    assert verdict.status is Status.FAIL
    approved(verdict.why, mask_figures=True)


def test_a_trainer_that_silently_ignores_its_starts_is_seen(approved: Approved) -> None:
    """It says that it begins at the starts, and ends at the same weights from all of them."""

    def ignore(net: Any, problem: Any, draw: int) -> One:
        return DESCENT.one(net, problem, 0)

    verdict = compared(replace(DESCENT, says="one start for all", one=ignore), AGAIN, count=12)
    assert "ends at the same weights from every start" in verdict.why
    approved(verdict.why, mask_figures=True)


def test_evaluations_of_pytorch_are_counted() -> None:
    """One a step of Adam, and each call of LBFGS's closure; R's nnet tells none."""
    for recipe, stacked, expected in (
        (Recipe("adam", 7), None, 7),
        (Recipe("lbfgs", 2, {"max_iter": 5}), None, None),
    ):
        trained = Trained(Logistic, recipe, start=starts.uniform(), stacked=stacked)
        start = trained.starting(NET, BY_LOSSES, 2, "float64")
        found: Any = trained.fit(start, "float64", "cpu", lambda said: None)
        assert len(found.evaluations) == 2
        assert found.evaluations[0] == expected or (expected is None and found.evaluations[0] > 2)


def test_evaluations_in_an_authors_own_functions_are_counted() -> None:
    """A model that is called on in `after`, where it might be trained further."""

    def look(model: Any) -> None:
        for _ in range(9):
            model(torch.zeros(1, 1, dtype=torch.float64))

    trained = Trained(Logistic, Recipe("adam", 7), start=starts.uniform(), after=look)
    start = trained.starting(NET, BY_LOSSES, 1, "float64")
    found: Any = trained.fit(start, "float64", "cpu", lambda said: None)
    assert found.evaluations == [70]


def test_the_report_keeps_every_loss() -> None:
    """In the order of the starts, before training and after it; None where a fit is not finite."""

    def spoil(net: Any, problem: Any, draw: int) -> One:
        one = DESCENT.one(net, problem, draw)
        return one._replace(claimed=float("nan")) if draw == 1 else one

    trainer = replace(DESCENT, one=spoil)
    case = Case("kept", NET, [trainer], [AGAIN], BY_LOSSES, checks=["fit"], dtypes=["float64"])
    cache = Cache(case, starts=3)
    ended = train(cache, trainer, "float64", "cpu")
    assert isinstance(ended, Ended)
    kept = fit(cache, ended)
    assert kept.losses == [ended.losses[0], None, ended.losses[2]]
    assert kept.losses_at_start is not None
    assert all(before is not None and before > 22 for before in kept.losses_at_start)
    assert (kept.quality, kept.share, kept.share_low) == (None, None, None)
    assert (kept.evaluations, kept.restarts) == (60, 0)


def test_lbfgs_stops_by_its_tolerances() -> None:
    """A wide tolerance ends it at once."""
    ends = []
    for settings in ({}, {"tolerance_grad": 1e9}, {"tolerance_change": 1.0}):
        recipe = Recipe("lbfgs", 3, settings)
        trained = Trained(Logistic, recipe, "lbfgs", start=starts.uniform(), most=1)
        start = trained.starting(NET, BY_LOSSES, 1, "float64")
        found: Any = trained.fit(start, "float64", "cpu", lambda said: None)
        ends.append(found.claimed[0])
    assert ends[0] < ends[2] < ends[1]
