"""Losses as people write them: judged, or one sentence says what to write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

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
    "bce": (Network(3, 2, 4, output="logistic"), nn.BCELoss(), Loss("mean", error="bce")),
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
        Network(3, 2, 4, output="logistic"),
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
    "divergence for cross entropy": (
        LOGITS,
        lambda o, t: F.kl_div(o.log_softmax(-1), t, reduction="batchmean"),
        Loss("mean", error="softmax", from_logits=True, targets="shares"),
    ),
    "probabilities for logits": (
        PROBABILITIES,
        nn.CrossEntropyLoss(),
        Loss("mean", error="softmax"),
    ),
    "log forgotten": (
        PROBABILITIES,
        lambda o, t: F.nll_loss(o, t),
        Loss("mean", error="softmax", targets="labels"),
    ),
    "softmax twice": (LOGITS, lambda o, t: F.cross_entropy(o.softmax(-1), t), CE),
    "focal": (ONE, focal, Loss("mean", error="bce", from_logits=True)),
}


@pytest.mark.parametrize("name", GUESSES)
@pytest.mark.filterwarnings("ignore:Using a target size")
def test_a_wrong_guess_is_told_what_to_write(name: str, approved: Approved) -> None:
    """One sentence names the loss that the model has, or the mistake."""
    (verdict,) = ask(*GUESSES[name])
    assert verdict.status.fails
    approved(verdict.why, mask_figures=True)


class TwoHeads(nn.Module):
    """Logits of four classes, and of two sets."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(3, 5)
        self.classes, self.sets = nn.Linear(5, 4), nn.Linear(5, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = torch.tanh(self.hidden(x))
        return self.classes(h), self.sets(h)


def of_two(o: list[Tensor], t: list[Tensor]) -> Tensor:
    """The mean of each head, the second with one half."""
    return F.cross_entropy(o[0], t[0]) + 0.5 * F.binary_cross_entropy_with_logits(o[1], t[1])


@pytest.mark.parametrize("targets", ["classes", "labels"])
def test_means_of_heads_with_weights_pass(targets: str) -> None:
    """Cross entropy of one head, and binary cross entropy of the other."""
    loss = Loss(
        "mean",
        error=("softmax", "bce"),
        from_logits=True,
        factor=(1.0, 0.5),
        targets=targets,
    )
    made = probes(seed=0, draws=3, kinds=["random"], loss=loss)
    network = Network(3, 5, (4, 2))
    subject = Subject(TwoHeads, "TwoHeads", loss=of_two)
    case = Case("heads", network, [subject], [numpy_net], made, dtypes=["float64"])
    cache = Cache(case)
    found = [run(trial, cache) for trial in case.trials()]
    assert {verdict.status for verdict in found} == {Status.PASS}, found[1].why


class Kept:
    """The model that was built last, whose parameters a loss reads."""

    built: ClassVar[list[nn.Module]] = []

    @classmethod
    def build(cls) -> nn.Module:
        cls.built = [Classifier(4)]
        return cls.built[0]

    @classmethod
    def loss(cls, o: Tensor, t: Tensor) -> Tensor:
        """Cross entropy, and a penalty on weights."""
        weights = [p for p in cls.built[0].parameters() if p.ndim > 1]
        penalty: Any = sum((p**2).sum() for p in weights)
        return F.cross_entropy(o, t, reduction="sum") + 0.1 * penalty


@pytest.mark.parametrize("decay", [{"W1": 0.1, "W2": 0.1}, 0.1], ids=["weights", "all"])
def test_a_penalty_on_weights_only(decay: Any, approved: Approved) -> None:
    """Passes as decay by block; a decay of all parameters is told what to write."""
    loss = Loss(error="softmax", from_logits=True, decay=decay)
    made = probes(seed=0, draws=3, kinds=["random"], loss=loss)
    subject = Subject(Kept.build, "Net", loss=Kept.loss)
    case = Case(
        "penalty", LOGITS, [subject], [numpy_net], made, checks=["loss"], dtypes=["float64"]
    )
    verdict = run(case.trials()[0], Cache(case))
    if isinstance(decay, dict):
        assert verdict.status is Status.PASS, verdict.why
    else:
        assert verdict.status is Status.FAIL
        approved(verdict.why, mask_figures=True)


@pytest.mark.parametrize(
    "given",
    [
        {"reduction": "none"},
        {"reduction": "batchmean", "error": "kl"},
        {"error": "cross_entropy"},
        {"error": "mse"},
        {"error": "hinge"},
    ],
    ids=str,
)
def test_names_of_pytorch_say_what_to_write(given: dict[str, Any], approved: Approved) -> None:
    """Reductions and errors that have another name here, or none."""
    with approved.raises(ValueError):
        Loss(**given)


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
