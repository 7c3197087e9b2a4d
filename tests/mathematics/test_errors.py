"""What the random audit of classifiers found in the equations of losses."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from harness.core.contract import BCE_LEAST, Contract
from harness.core.formulation import Formulation
from harness.core.loss import Loss
from harness.core.problem import Problem
from reference import Network, numpy_net, r_nnet


def ask(
    network: Network, loss: Loss, targets: list[list[float]], own: list[float] | None = None
) -> Problem:
    """One draw of random parameters, and a row for each row of targets; with own parameters the
    inputs are 1.
    """
    rng = np.random.default_rng(4)
    formulation = Formulation.identity(network)
    drawn = rng.normal(size=(1, formulation.own.size))
    rows = rng.normal(size=(1, len(targets), network.inputs[0]))
    if own is not None:
        drawn, rows = np.array([own]), np.ones_like(rows)
    return Problem("random", formulation, drawn, rows, np.array([targets]), loss)


def test_a_target_above_1_has_an_entropy_of_its_own(live_r: None) -> None:
    """nnet takes t log t off for t = 1.5 too, also if no target lies between 0 and 1."""
    problem = ask(Network(2, 2, 1, "logistic", "logistic"), Loss(error="entropy"), [[1.5], [-0.5]])
    bound = problem.formulation.network.oracle(problem, r_nnet.contract())["loss"]
    found = r_nnet.observe(problem).values["loss"]
    assert abs(found - bound.value) <= bound.error < 1e-13


def test_the_slope_of_a_censored_row_without_a_class_is_lost_to_autograd() -> None:
    """torch's is NaN through probabilities, and no bound holds it; from logits under nnet's
    contract it is p.
    """
    network = Network(2, 0, 3, output="softmax", skip=True)
    problem = ask(network, Loss(error="censored"), [[0.5, 0.0, 0.0]])
    through = Contract(log_least=BCE_LEAST, unfused_slope=True)
    assert np.isinf(network.oracle(problem, through)["gradient"].error).all()
    p = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64, requires_grad=True)
    (-(p * torch.zeros(3)).sum().log()).backward()
    assert p.grad is not None
    assert p.grad.isnan().all()
    exact = network.oracle(problem, r_nnet.contract())
    biases = network.layout.split(exact["gradient"].value[0])["b_w"]
    assert biases == pytest.approx(exact["forward"].value[0, 0], rel=1e-14)


def test_a_weighed_slope_that_leaves_the_range_is_lost() -> None:
    """Of a probability of 2e-38 in float32, 15 / p is infinite, though 1 / p is not."""
    network = Network(1, 0, 2, output="softmax", skip=True)
    loss = Loss(error="softmax", weights=[15.0])
    problem = ask(network, loss, [[1.0, 0.0]], own=[0.0, -43.4, 0.0, 43.4])
    through = Contract("float32", log_least=BCE_LEAST, unfused_slope=True)
    bounds = network.oracle(problem, through)
    assert 1e-38 < bounds["forward"].value.min() < 3e-38
    assert np.isinf(bounds["gradient"].error).all()
    p = torch.tensor([bounds["forward"].value.min()], dtype=torch.float32, requires_grad=True)
    (-15 * p.log()).backward()
    assert p.grad is not None
    assert p.grad.isinf().all()


def test_class_weights_of_a_mean_divide_head_by_head() -> None:
    """Two heads of three classes: each mean divides by the weights of its own targets."""
    weights = [0.5, 2.0, 1.0]
    loss = Loss("mean", error="softmax", from_logits=True, class_weights=weights)
    targets = [[1.0, 0, 0, 0, 1, 0], [0.0, 0, 1, 0, 1, 0]]
    problem = ask(Network(2, 3, (3, 3)), loss, targets)
    found = numpy_net.observe(problem).values
    expected = 0.0
    for head in (slice(0, 3), slice(3, 6)):
        expected += torch.nn.functional.cross_entropy(
            torch.tensor(found["forward"][0, :, head]),
            torch.tensor(problem.targets[0, :, head].argmax(axis=-1)),
            torch.tensor(weights, dtype=torch.float64),
        ).item()
    assert found["loss"][0] == pytest.approx(expected, rel=1e-14)
