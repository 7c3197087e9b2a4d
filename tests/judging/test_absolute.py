"""Activations that lose digits where they are small: they fail, are told what they are, and may be
declared.
"""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from harness import Case, Status, Subject, Verdict
from harness.judging.cache import Cache
from harness.running.trial import run
from reference import Network, numpy_net, probes
from tests.conftest import Approved

Activation = Callable[[Tensor], Tensor]
FORMS: dict[str, tuple[str, Activation]] = {
    "tanh by the logistic": ("tanh", lambda z: 2 * torch.sigmoid(2 * z) - 1),
    "logistic by tanh": ("logistic", lambda z: (1 + torch.tanh(z / 2)) / 2),
    "logistic by its mirror": ("logistic", lambda z: 1 - torch.sigmoid(-z)),
}


class Port(nn.Module):
    def __init__(self, g: Activation) -> None:
        super().__init__()
        self.hidden = nn.Linear(3, 4)
        self.out = nn.Linear(4, 2)
        self.g = g

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.g(self.hidden(x)))


def verdicts(g: str, written: Activation, **declared: bool) -> list[Verdict]:
    """Of every trial of a port whose activation is written so."""
    subject = Subject(lambda: Port(written), "Port", **declared)  # type: ignore[arg-type]
    case = Case("port", Network(3, 4, 2, g), [subject], [numpy_net], probes(seed=0))
    cache = Cache(case)
    return [run(trial, cache) for trial in case.trials()]


@pytest.mark.parametrize("name", FORMS)
def test_an_activation_that_loses_digits_passes_if_it_is_declared(name: str) -> None:
    """In both dtypes, with its gradients."""
    found = verdicts(*FORMS[name], absolute_activations=True)
    assert {v.status for v in found} == {Status.PASS}, [v.why for v in found]


def test_an_activation_that_loses_digits_is_judged_by_its_own_operations(
    approved: Approved,
) -> None:
    """It is the same function, computed another way; where a loss loses a tenth, it is told what to
    declare.
    """
    found = verdicts(*FORMS["tanh by the logistic"])
    failed = [v for v in found if v.status is not Status.PASS]
    assert [(v.dtype, v.check) for v in failed] == [("float32", "loss")]
    told = [v for v in found if "another way" in v.why]
    declared = Subject(Port, absolute_activations=True).contract("float32")
    approved([told[0].why, failed[0].why, declared.sentence()], mask_figures=True)


def test_lost_digits_are_no_difference_that_was_claimed(approved: Approved) -> None:
    """The same function written otherwise is no counterexample."""
    g, written = FORMS["tanh by the logistic"]
    subject = Subject(lambda: Port(written), "Port")
    network = Network(3, 4, 2, g)
    case = Case("port", network, [subject], [numpy_net], probes(seed=0), expect="differs")
    cache = Cache(case)
    found = [run(trial, cache) for trial in case.trials()]
    assert {v.status for v in found} == {Status.FAIL}
    approved(found[0].why)


@pytest.mark.parametrize("name", FORMS)
def test_an_activation_that_is_off_by_a_millionth_fails_all_the_same(name: str) -> None:
    """What is declared is rounding, not more."""
    g, written = FORMS[name]
    found = verdicts(g, lambda z: written(z) + 1e-6 * torch.sin(z), absolute_activations=True)
    assert Status.FAIL in {v.status for v in found if v.dtype == "float64"}
