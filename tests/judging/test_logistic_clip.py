"""A port that copies nnet's clip of the logistic is right, says so by logistic_clip=15, and is told
to.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness import Case, Computed, Status, Subject, Verdict
from harness.judging.cache import Cache
from harness.running.trial import run
from reference import Network, numpy_net, probes, r_nnet
from reference.probes.kinds import KINDS
from tests.conftest import Approved

HIDDEN = Network(3, 4, 2, "logistic")
BOTH = Network(3, 4, 2, "logistic", "logistic")


def clipped(z: Tensor) -> Tensor:
    """As sigmoid() in nnet.c has it."""
    return torch.where(z > 15, 1.0, torch.where(z < -15, 0.0, torch.sigmoid(z)))


class Port(nn.Module):
    """A network whose logistic is this, in the hidden layer and, if asked, in the outputs."""

    def __init__(self, network: Network, logistic: Callable[[Tensor], Tensor] = clipped) -> None:
        super().__init__()
        self.hidden = nn.Linear(*network.inputs, network.hidden)
        self.out = nn.Linear(network.hidden, *network.outputs)
        self.logistic, self.network = logistic, network

    def forward(self, x: Tensor) -> Tensor:
        z = self.out(self.logistic(self.hidden(x)))
        return self.logistic(z) if self.network.output == "logistic" else z


def verdicts(network: Network, reference: Any, **given: Any) -> list[Verdict]:
    """Of every trial of a port that is clipped, or as given."""
    logistic, kinds = given.pop("logistic", clipped), given.pop("kinds", tuple(KINDS))
    subject = Subject(lambda: Port(network, logistic), "Port", **given)
    asked = probes(seed=0, draws=8, kinds=kinds)
    case = Case("clip", network, [subject], [reference], asked)
    cache = Cache(case)
    return [run(trial, cache) for trial in case.trials()]


@pytest.mark.parametrize("network", [HIDDEN, BOTH], ids=["hidden", "both"])
def test_a_port_that_copies_the_clip_passes_against_r(live_r: None, network: Network) -> None:
    """In both dtypes, with nothing declared differently on the two sides."""
    found = verdicts(network, r_nnet, logistic_clip=15)
    assert [v.status for v in found] == [Status.PASS, Status.PASS, Status.PASS, Status.ABSENT] * 2
    assert not any(v.contract_share for v in found)


@pytest.mark.parametrize("network", [HIDDEN, BOTH], ids=["hidden", "both"])
def test_a_port_that_copies_the_clip_passes_against_numpy(network: Network) -> None:
    """Whose logistic is not clipped: what the two contracts declare differently is taken off."""
    found = verdicts(network, numpy_net, logistic_clip=15)
    assert {v.status for v in found} == {Status.PASS}
    found = verdicts(network, numpy_net, logistic_clip=15, kinds=["saturated"])
    assert {v.status for v in found} == {Status.PASS}
    assert any(v.contract_share for v in found)


@pytest.mark.parametrize("reference", [r_nnet, numpy_net], ids=["r", "numpy"])
def test_a_port_that_does_not_say_so_is_told_to(
    live_r: None, reference: Any, approved: Approved
) -> None:
    """It fails in float64, and the line to write is in every failure."""
    failed = [v for v in verdicts(BOTH, reference) if v.status is Status.FAIL]
    assert {v.check for v in failed if v.dtype == "float64"} >= {"forward", "loss", "gradient"}
    assert all("Subject(Port, logistic_clip=15)" in v.why for v in failed)
    approved(failed[0].why, mask_figures=True)


def test_a_port_that_says_so_and_is_not_clipped_is_told_to_leave_it_out(approved: Approved) -> None:
    """What is declared is demanded."""
    failed = [
        v
        for v in verdicts(HIDDEN, numpy_net, logistic_clip=15, logistic=torch.sigmoid)
        if v.status.fails
    ]
    assert failed
    assert all("Subject(Port)" in v.why for v in failed)
    approved(failed[0].why, mask_figures=True)


WRONG: dict[str, Callable[[Tensor], Tensor]] = {
    "clipped elsewhere": lambda z: torch.where(
        z > 14, 1.0, torch.where(z < -14, 0.0, torch.sigmoid(z))
    ),
    "its argument clipped": lambda z: torch.sigmoid(z.clamp(-15, 15)),
    "clipped on one side": lambda z: torch.where(z > 15, 1.0, torch.sigmoid(z)),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_another_clip_fails(wrong: str) -> None:
    """In float64, and no clip is offered: it would not vanish."""
    found = verdicts(HIDDEN, numpy_net, logistic_clip=15, logistic=WRONG[wrong])
    failed = [v for v in found if v.status is Status.FAIL and v.dtype == "float64"]
    assert failed
    hints = [hint for v in failed if v.finding for hint in v.finding.hints]
    assert not any("logistic_clip" in hint.write for hint in hints)


@pytest.mark.parametrize("given", [{"logistic_clip": 15}, {}], ids=["said", "not said"])
def test_a_prototype_that_copies_the_clip_says_so_too(given: dict[str, Any]) -> None:
    """It is the one outside its bounds where it does not."""

    def forward(p: dict[str, Any], x: Any) -> Any:
        z = x @ p["W1"].T + p["b"]
        h = np.where(z > 15, 1.0, np.where(z < -15, 0.0, 1 / (1 + np.exp(-z))))
        return h @ p["W2"].T + p["b_w"]

    found = verdicts(
        HIDDEN, Computed(forward, "mine", dtype="float64", **given), logistic=torch.sigmoid
    )[0]
    assert found.status is (Status.PASS if given else Status.FAIL)


@pytest.mark.parametrize("value", [0, -15, float("inf"), float("nan"), "15", True])
@pytest.mark.parametrize(
    "make", [lambda **g: Subject(Port, **g), lambda **g: Computed(print, "mine", **g)]
)
def test_a_clip_that_is_none_is_refused(
    value: Any, make: Callable[..., Any], approved: Approved
) -> None:
    """In a sentence, where it is written."""
    with approved.raises(ValueError):
        make(logistic_clip=value)


@pytest.mark.parametrize("value", [-0.5, 2, float("nan"), "clamp", None])
def test_a_derivative_of_relu_that_is_none_is_refused(value: Any, approved: Approved) -> None:
    """In a sentence, where it is written."""
    with approved.raises(ValueError):
        Subject(Port, relu_at_zero=value)
