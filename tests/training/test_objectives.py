"""What an optimiser is given: one draw's loss, gradient and Jacobian, by the equations or written
out.
"""

from typing import Any

import numpy as np
import pytest

from harness import Problem
from harness.core.formulation import Formulation
from harness.core.loss import Loss
from reference import Network
from reference.training.objectives import HiddenLayerObjective, Objective, objective

SHAPES = [((1,), 4, (1,)), ((2, 3), 3, (2, 1)), ((2, 1), 0, (2,))]
ACTIVATIONS = [("tanh", "identity"), ("logistic", "logistic"), ("relu", "relu")]
LOSSES = [Loss(), Loss("mean"), Loss(decay=0.1)]


def problem(network: Network, loss: Loss = LOSSES[0]) -> Problem:
    """Two draws of five rows."""
    rng = np.random.default_rng(5)
    own = rng.standard_normal((2, network.layout.size))
    inputs = rng.standard_normal((2, 5, sum(network.inputs)))
    targets = rng.standard_normal((2, 5, sum(network.outputs)))
    return Problem("random", Formulation.identity(network), own, inputs, targets, loss)


@pytest.mark.parametrize("skip", [False, True], ids=["", "skip"])
@pytest.mark.parametrize("loss", LOSSES, ids=str)
@pytest.mark.parametrize("activations", ACTIVATIONS, ids="-".join)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_what_is_written_out_follows_from_the_equations(
    shape: Any, activations: tuple[str, str], loss: Loss, skip: bool
) -> None:
    """Loss, gradient, residuals and Jacobian agree up to the order of summation."""
    asked = problem(Network(*shape, *activations, skip=skip), loss)
    fast, slow, theta = HiddenLayerObjective(asked, 1), Objective(asked, 1), asked.own[1]
    for name in ("__call__", "residuals", "jacobian"):
        for mine, theirs in zip(
            getattr(fast, name)(theta), getattr(slow, name)(theta), strict=True
        ):
            assert np.allclose(mine, theirs, rtol=1e-13, atol=1e-14), name


@pytest.mark.parametrize("kind", [Objective, HiddenLayerObjective])
def test_the_jacobian_is_that_of_the_residuals(kind: type[Objective]) -> None:
    """The gradient of a sum of squares is twice their product."""
    asked = problem(Network(2, 3, 2, "tanh"))
    one, theta = kind(asked, 0), asked.own[0]
    gradient = 2 * one.jacobian(theta).T @ one.residuals(theta)
    # another order of summation
    assert np.allclose(gradient, one(theta)[1], rtol=1e-12, atol=1e-13)


def test_an_answer_is_not_changed_by_the_next_ask() -> None:
    """An optimiser keeps gradients and Jacobians of earlier steps."""
    asked = problem(Network(2, 3, 2, "tanh"))
    one = HiddenLayerObjective(asked, 0)
    first = one(asked.own[0])[1], one.residuals(asked.own[0]), one.jacobian(asked.own[0])
    before = [answer.copy() for answer in first]
    one(asked.own[1]), one.residuals(asked.own[1]), one.jacobian(asked.own[1])
    assert all(map(np.array_equal, first, before))


def test_other_networks_are_evaluated_by_their_equations() -> None:
    """A network that lacks a connection is not written out."""
    sparse = Network(2, 2, 1, to_hidden=[[True, False], [True, True]])
    assert type(objective(problem(sparse), 0)) is Objective
    assert type(objective(problem(Network(2, 2, 1)), 0)) is HiddenLayerObjective
