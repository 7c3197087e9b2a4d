"""Classifiers in training: their steps, and their fits by torch, SciPy and R's nnet."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from torch import nn

from harness import Case, Loss, Recipe, Status, Trained, Verdict
from harness.core.contract import Array
from harness.judging.cache import Cache
from harness.running.trial import run
from harness.training.trainer import Population
from reference import Network, least_squares, nnet_fit, numpy_net, optim_bfgs, scipy_bfgs
from reference.r.nnet_reference import LIVE, r_nnet
from tests.conftest import Approved

IRIS = "scale(as.matrix(datasets::iris[, 1:4])), nnet::class.ind(datasets::iris$Species)"
INFERT = (
    "scale(as.matrix(datasets::infert[, c('parity', 'induced', 'spontaneous')])),"
    " datasets::infert$case"
)
SOFTMAX = Loss(error="softmax", from_logits=True, decay=0.01)
ENTROPY = Loss(error="entropy", from_logits=True, decay=0.01)
NETWORKS = {"iris": Network(4, 2, 3, "logistic"), "infert": Network(3, 2, 1, "logistic")}


class Scores(nn.Module):
    """A right model that returns logits."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.hidden, self.output = nn.Linear(inputs, 2), nn.Linear(2, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits of the outputs."""
        result: torch.Tensor = self.output(torch.sigmoid(self.hidden(x)))
        return result


class Twice(Scores):
    """A wrong model: its loss takes probabilities for logits."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return probabilities."""
        return super().forward(x).softmax(-1)


@cache
def read(code: str, inputs: int) -> tuple[Array, Array]:
    """Return the inputs and targets of a data set that comes with R."""
    rows, *numbers = np.asarray(LIVE.eval_text(f"d <- cbind({code}); c(nrow(d), t(d))"))
    table = np.reshape(numbers, (int(rows), -1))
    return table[:, :inputs], table[:, inputs:]


def population(name: str) -> Population:
    """The data of iris or infert, the same for every start."""
    x, y = read(*{"iris": (IRIS, 4), "infert": (INFERT, 3)}[name])
    loss = SOFTMAX if name == "iris" else ENTROPY

    def data(count: int) -> tuple[Array, Array]:
        return np.tile(x, (count, 1, 1)), np.tile(y, (count, 1, 1))

    return Population(data, None, x[:2], loss=loss)


def trained(name: str, recipe: Recipe, model: type[Scores] = Scores) -> Trained:
    """A model of iris or infert in training."""
    network = NETWORKS[name]
    return Trained(lambda: model(network.inputs[0], network.outputs[0]), recipe, name="model")


def verdicts(
    name: str, trainer: object, references: list[object], checks: list[str]
) -> list[Verdict]:
    """The verdicts on a trainer in float64."""
    case = Case(
        name,
        NETWORKS[name],
        [trainer],
        references,
        population(name),
        checks=checks,
        dtypes=["float64"],
    )
    cache = Cache(case, 6)
    return [run(trial, cache) for trial in case.trials()]


@pytest.mark.parametrize("name", ["iris", "infert"])
@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
def test_every_step_of_a_classifier_is_judged(name: str, optimiser: str) -> None:
    """Loss, gradient and step by NumPy; loss and gradient by R too."""
    recipe = Recipe(optimiser, 12, {"lr": 0.01})
    checks = ["loss", "gradient", "step"]
    found = verdicts(name, trained(name, recipe), [numpy_net, r_nnet], checks)
    statuses = [verdict.status for verdict in found]
    assert statuses.count(Status.PASS) == 5, [verdict.why for verdict in found]
    assert statuses.count(Status.ABSENT) == 1  # nnet hides its steps


@pytest.mark.parametrize("name", ["iris", "infert"])
def test_torch_scipy_and_r_end_alike(name: str) -> None:
    """From the same starts, and each claims the loss that its final weights have."""
    lbfgs = trained(name, Recipe("lbfgs", 20, {"max_iter": 50}))
    for trainer in (lbfgs, scipy_bfgs, optim_bfgs):
        found = verdicts(name, trainer, [nnet_fit(reltol=1e-12, abstol=1e-12)], ["final"])
        assert [verdict.status for verdict in found] == [Status.PASS], found[0].why


def test_a_model_whose_loss_takes_probabilities_for_logits_fails() -> None:
    """Its loss, its gradient and its step."""
    recipe = Recipe("adam", 12, {"lr": 0.01})
    found = verdicts("iris", trained("iris", recipe, Twice), [numpy_net], ["loss", "gradient"])
    assert {verdict.status for verdict in found} == {Status.FAIL}


def test_least_squares_fits_no_entropy(approved: Approved) -> None:
    """It says which trainer does."""
    found = verdicts("infert", least_squares, [scipy_bfgs], ["fit"])
    assert found[0].status is Status.ABSENT
    approved(found[0].why)
