"""Losses as people write them: judged, or one sentence says what to write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from harness import Case, Loss, Status, Subject, Verdict
from harness.judging.cache import Cache
from harness.running.trial import run
from reference import Network, numpy_net, probes
from tests.conftest import Approved

Own = Callable[[Any, Any], Any]


class Classifier(nn.Module):
    """One hidden layer of tanh, and any activation of the outputs."""

    def __init__(self, outputs: int, activation: Callable[[Tensor], Tensor] = lambda z: z) -> None:
        super().__init__()
        self.hidden, self.out = nn.Linear(3, 2), nn.Linear(2, outputs)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.out(torch.tanh(self.hidden(x))))


LOGITS, ONE = Network(3, 2, 4), Network(3, 2, 1)
PROBABILITIES = Network(3, 2, 4, output="softmax")
BY_OUTPUT: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda z: z,
    "softmax": lambda z: z.softmax(-1),
    "logistic": torch.sigmoid,
}


def ask(
    network: Network,
    own: Own,
    loss: Loss,
    checks: tuple[str, ...] = ("loss",),
    activation: Callable[[Tensor], Tensor] | None = None,
) -> list[Verdict]:
    """The verdicts of a classifier with a loss of its own, in a case with a loss, in float64."""
    assert isinstance(network.output, str)
    gives = activation or BY_OUTPUT[network.output]
    subject = Subject(lambda: Classifier(network.outputs[0], gives), "Net", loss=own)
    made = probes(seed=0, draws=3, kinds=["random", "few-term"], loss=loss)
    case = Case(
        "as written", network, [subject], [numpy_net], made, checks=checks, dtypes=["float64"]
    )
    cache = Cache(case)
    return [run(trial, cache) for trial in case.trials()]


CE = Loss("mean", error="softmax", from_logits=True)
WEIGHTS = [1.0, 2.0, 0.5, 4.0]
RIGHT: dict[str, tuple[Network, Own, Loss]] = {
    "one half": (ONE, lambda o, t: 0.5 * ((o - t) ** 2).sum(), Loss(factor=0.5)),
    "bce": (Network(3, 2, 2, output="logistic"), nn.BCELoss(), Loss("mean", error="bce")),
    "bce of logits": (
        ONE,
        nn.BCEWithLogitsLoss(reduction="sum"),
        Loss(error="bce", from_logits=True),
    ),
    "cross entropy": (LOGITS, nn.CrossEntropyLoss(), CE),
    "labels": (
        LOGITS,
        nn.CrossEntropyLoss(),
        Loss("mean", error="softmax", from_logits=True, targets="labels"),
    ),
    "class weights": (
        LOGITS,
        lambda o, t: F.cross_entropy(o, t, weight=torch.tensor(WEIGHTS, dtype=o.dtype)),
        Loss("mean", error="softmax", from_logits=True, class_weights=WEIGHTS, targets="labels"),
    ),
    "label smoothing": (
        LOGITS,
        nn.CrossEntropyLoss(label_smoothing=0.1),
        Loss("mean", error="softmax", from_logits=True, label_smoothing=0.1),
    ),
    "sum over classes, mean over rows": (
        LOGITS,
        lambda o, t: F.binary_cross_entropy_with_logits(o, t, reduction="none").sum(-1).mean(),
        Loss("mean_of_rows", error="bce", from_logits=True),
    ),
    "divergence": (
        LOGITS,
        lambda o, t: F.kl_div(o.log_softmax(-1), t, reduction="batchmean"),
        Loss("mean", error="kl", from_logits=True, targets="shares"),
    ),
    "nll of log_softmax": (
        LOGITS,
        lambda o, t: F.nll_loss(o.log_softmax(-1), t),
        Loss("mean", error="softmax", from_logits=True, targets="labels"),
    ),
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_loss_as_written_passes(name: str) -> None:
    """Its value and its gradients."""
    found = ask(*RIGHT[name], checks=("loss", "gradient", "input_gradient"))
    assert [verdict.status for verdict in found] == [Status.PASS] * 3, found[0].why


def focal(o: Tensor, t: Tensor) -> Tensor:
    """Focal loss."""
    cost = F.binary_cross_entropy_with_logits(o, t, reduction="none")
    return ((1 - (-cost).exp()) ** 2 * cost).mean()


GUESSES: dict[str, tuple[Network, Own, Loss]] = {
    "error forgotten": (LOGITS, nn.CrossEntropyLoss(), Loss()),
    "error forgotten, labels": (LOGITS, lambda o, t: F.cross_entropy(o, t.long()), Loss()),
    "error of one output forgotten": (ONE, nn.BCEWithLogitsLoss(), Loss()),
    "mean forgotten": (LOGITS, nn.CrossEntropyLoss(), Loss(error="softmax", from_logits=True)),
    "mean of rows forgotten": (
        LOGITS,
        lambda o, t: F.binary_cross_entropy_with_logits(o, t, reduction="none").sum(-1).mean(),
        Loss("mean", error="bce", from_logits=True),
    ),
    "labels forgotten": (LOGITS, lambda o, t: F.nll_loss(o.log_softmax(-1), t), CE),
    "entropy for bce": (
        Network(3, 2, 2, output="logistic"),
        nn.BCELoss(),
        Loss("mean", error="entropy", targets="shares"),
    ),
    "one half forgotten": (ONE, lambda o, t: 0.5 * F.mse_loss(o, t), Loss("mean")),
    "smoothing forgotten": (LOGITS, nn.CrossEntropyLoss(label_smoothing=0.1), CE),
    "weights forgotten": (
        LOGITS,
        nn.CrossEntropyLoss(weight=torch.tensor(WEIGHTS, dtype=torch.float64)),
        CE,
    ),
    "no reduction": (LOGITS, nn.CrossEntropyLoss(reduction="none"), CE),
    "broadcasting": (ONE, lambda o, t: ((o.squeeze(-1) - t) ** 2).mean(), Loss("mean")),
    "focal": (ONE, focal, Loss("mean", error="bce", from_logits=True)),
}


@pytest.mark.parametrize("name", GUESSES)
@pytest.mark.filterwarnings("ignore:Using a target size")
def test_a_wrong_guess_is_told_what_to_write(name: str, approved: Approved) -> None:
    """One sentence names the loss that the model has, or the mistake."""
    (verdict,) = ask(*GUESSES[name])
    assert verdict.status.fails
    approved(verdict.why, mask_figures=True)


@pytest.mark.parametrize("name", ["logits", "log_softmax"])
def test_outputs_that_are_no_probabilities_are_named(name: str, approved: Approved) -> None:
    """A model that returns logits, or their log_softmax, in a case of probabilities."""
    gives = BY_OUTPUT["identity"] if name == "logits" else nn.LogSoftmax(-1)
    loss = Loss("mean", error="softmax")
    own = nn.CrossEntropyLoss()
    (verdict,) = ask(PROBABILITIES, own, loss, checks=("forward",), activation=gives)
    assert verdict.status is Status.FAIL
    approved(verdict.why, mask_figures=True)


def test_a_model_that_returns_one_number_for_each_row_is_judged() -> None:
    """Outputs (n,), and targets (n,) for its loss."""
    found = ask(
        ONE,
        nn.BCEWithLogitsLoss(),
        Loss("mean", error="bce", from_logits=True),
        checks=("forward", "loss", "gradient"),
        activation=lambda z: z.squeeze(-1),
    )
    assert [verdict.status for verdict in found] == [Status.PASS] * 3
