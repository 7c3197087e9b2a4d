"""The exact clip as a subject's contract: with skip connections and without hidden units, in every
quantity, at every state of a training, and at its end.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness import Case, Recipe, Status, Subject, Trained, Verdict
from harness.core.contract import Array
from harness.judging.cache import Cache
from harness.running.trial import run
from harness.training.trainer import Population
from reference import Network, nnet_fit, numpy_net, probes, r_nnet, scipy_bfgs, starts
from tests.judging.test_logistic_clip import clipped

NETWORKS = {
    "skip, linear": Network(3, 4, 2, "logistic", skip=True),
    "skip, logistic": Network(3, 4, 2, "logistic", "logistic", skip=True),
    "no hidden units": Network(3, 0, 2, output="logistic"),
}
X = np.random.default_rng(0).standard_normal((10, 3)) * 8
Y = np.random.default_rng(1).random((10, 2))
RIGHT = {"clipped": (15, clipped), "smooth": (None, torch.sigmoid)}
WRONG = {"said, not clipped": (15, torch.sigmoid), "clipped, not said": (None, clipped)}


class Port(nn.Module):
    """A network with skip connections, or a single layer, of this logistic."""

    def __init__(self, network: Network, logistic: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.S1_w = nn.Linear(3, 2, bias=not network.hidden)
        if network.hidden:
            self.W1, self.W2 = nn.Linear(3, network.hidden), nn.Linear(network.hidden, 2)
        self.network, self.logistic = network, logistic

    def forward(self, x: Tensor) -> Any:
        """With the clip, if its logistic has it."""
        z = self.S1_w(x)
        if self.network.hidden:
            z = self.W2(self.logistic(self.W1(x))) + z
        return self.logistic(z) if self.network.output == "logistic" else z


def subject(network: Network, clip: Any, logistic: Callable[[Tensor], Tensor]) -> Subject:
    """A port whose contract has this clip."""
    meaning = {"b": "W1.bias"} if network.hidden else None
    return Subject(lambda: Port(network, logistic), "Port", meaning, logistic_clip=clip)


def asked(name: str, port: tuple[Any, Any], reference: Any) -> list[Verdict]:
    """Every trial on probes."""
    network = NETWORKS[name]
    made = subject(network, *port)
    cache = Cache(Case("clip", network, [made], [reference], probes(seed=0, draws=2)))
    return [run(trial, cache) for trial in cache.case.trials()]


def trained(name: str, port: tuple[Any, Any], reference: Any, *checks: str) -> list[Verdict]:
    """Every trial on states that a training passes through, or on its ends, which lie far beyond
    the clip.
    """
    network = NETWORKS[name]

    def data(count: int) -> tuple[Array, Array]:
        return np.tile(X, (count, 1, 1)), np.tile(Y, (count, 1, 1))

    recipe = Recipe("adam", 4, {"lr": 0.05})
    trainer = Trained(subject(network, *port), recipe, start=starts.uniform(4), most=1)
    population = Population(data, quality=5.0, grid=X[:2])
    case = Case("clip", network, [trainer], [reference], population, checks=checks)
    cache = Cache(case, starts=1)
    return [run(trial, cache) for trial in case.trials()]


@pytest.mark.parametrize("port", RIGHT)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_right_port_passes(live_r: None, name: str, port: str) -> None:
    """Against R, whose logistic is clipped, and NumPy, whose logistic is not."""
    for reference in (r_nnet, numpy_net):
        found = {v.status for v in asked(name, RIGHT[port], reference)}
        assert found <= {Status.PASS, Status.ABSENT}


@pytest.mark.parametrize("port", WRONG)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_port_that_says_otherwise_than_it_does_fails(live_r: None, name: str, port: str) -> None:
    """In outputs, loss and gradient, in float64, against both."""
    for reference in (r_nnet, numpy_net):
        found = [v for v in asked(name, WRONG[port], reference) if v.dtype == "float64"]
        by_check = {v.check: v.status for v in found}
        assert {by_check[check] for check in ("forward", "loss", "gradient")} == {Status.FAIL}


@pytest.mark.parametrize("port", RIGHT)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_right_port_passes_in_training(live_r: None, name: str, port: str) -> None:
    """Losses, gradients and steps on the way, and what it claims and predicts at the end."""
    found = trained(name, RIGHT[port], numpy_net, "loss", "gradient", "step")
    found += trained(name, RIGHT[port], r_nnet, "loss", "gradient")
    for trainer in (nnet_fit(), scipy_bfgs):
        found += trained(name, RIGHT[port], trainer, "final")
    assert {v.status for v in found} == {Status.PASS}


@pytest.mark.parametrize("port", WRONG)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_wrong_port_fails_in_training(live_r: None, name: str, port: str) -> None:
    """In float64: the loss on the way, and the claim at the end."""
    found = trained(name, WRONG[port], r_nnet, "loss") + trained(
        name, WRONG[port], nnet_fit(), "final"
    )
    assert {v.status for v in found if v.dtype == "float64"} == {Status.FAIL}
