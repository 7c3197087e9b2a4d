"""An optimiser's weight_decay beside a loss's decay: both act, are judged as they act, and the
answer says so.
"""

from typing import Any

import numpy as np
import pytest
from torch import nn

from harness import Case, Loss, Recipe, Status, Subject, Trained, Verdict
from harness.core.contract import Array
from harness.judging.cache import Cache
from harness.running.trial import run
from harness.training.trainer import Population
from reference import Network, numpy_net, scipy_bfgs, starts
from tests.conftest import Approved

LINE = Network(2, 0, 1)
X = np.random.default_rng(1).standard_normal((12, 2))
Y = X @ [[1.0], [-2.0]] + 0.5 + 0.1 * np.sin(np.arange(12.0))[:, None]
DECAYED = Loss(decay=0.5)


def data(count: int) -> tuple[Array, Array]:
    """A line, the same for every start."""
    return np.tile(X, (count, 1, 1)), np.tile(Y, (count, 1, 1))


def line(weight_decay: float, steps: int = 60) -> Trained:
    """A linear layer."""
    recipe = Recipe("sgd", steps, {"lr": 0.02, "weight_decay": weight_decay})
    return Trained(
        Subject(lambda: nn.Linear(2, 1), "Line"), recipe, start=starts.uniform(), most=20
    )


def judged(weight_decay: float, loss: Loss, check: str, count: int = 3) -> Verdict:
    """The verdict on a linear layer that is trained with both, from so many starts."""
    reference: Any = scipy_bfgs if check in ("fit", "final") else numpy_net
    population = Population(data, quality=4.0, grid=X[:2], loss=loss)
    trained = line(weight_decay)
    case = Case(
        "line", LINE, [trained], [reference], population, checks=[check], dtypes=["float64"]
    )
    return run(case.trials()[0], Cache(case, starts=count))


@pytest.mark.parametrize("check", ["loss", "gradient", "step", "final"])
def test_both_act_and_it_is_said(check: str, approved: Approved) -> None:
    """The states and the end are right, with a sentence beside the verdict."""
    verdict = judged(1.0, DECAYED, check)
    assert verdict.status is Status.PASS, verdict.why
    approved(verdict.caveat)


def test_the_decay_of_adamw_is_no_decay_of_the_loss(approved: Approved) -> None:
    """It shrinks the parameters."""
    trained = Trained(Subject(lambda: nn.Linear(2, 1), "Line"), Recipe("adamw", 60))
    approved(trained.describe_penalties(DECAYED))


@pytest.mark.parametrize("check", ["step", "final"])
@pytest.mark.parametrize(
    ("weight_decay", "loss"), [(0.0, DECAYED), (1.0, Loss())], ids=["loss", "optimiser"]
)
def test_one_penalty_needs_no_word(weight_decay: float, loss: Loss, check: str) -> None:
    """Of the loss or of the optimiser."""
    verdict = judged(weight_decay, loss, check)
    assert (verdict.status, verdict.caveat) == (Status.PASS, "")


def test_it_acts_as_one_half_of_it_more_decay() -> None:
    """The end is the one of that decay alone, and not the one of the loss that is judged."""
    ends = []
    for weight_decay, decay in ((1.0, 0.5), (0.0, 1.0), (0.0, 0.5)):
        trained = line(weight_decay, steps=300)
        population = Population(data, quality=1.0, grid=X[:2], loss=Loss(decay=decay))
        start = trained.starting(LINE, population, 1, "float64")
        fitted: Any = trained.fit(start, "float64", "cpu", lambda said: None)
        ends.append(fitted.end.own[0])
    assert ends[0] == pytest.approx(ends[1], abs=1e-12)
    assert abs(ends[0] - ends[2]).max() > 1e-2


def test_a_fit_that_is_worse_for_it_says_so(approved: Approved) -> None:
    """Where the case claims that it fits as well as an optimiser of the loss alone."""
    assert judged(0.0, DECAYED, "fit", count=20).status is Status.PASS
    verdict = judged(15.0, DECAYED, "fit", count=20)
    assert verdict.status is Status.FAIL
    approved(verdict.why, mask_figures=True)
