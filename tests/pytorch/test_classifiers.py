"""Classifiers in PyTorch, as their users write them, against NumPy and live R."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from harness import Case, Loss, Status, Subject, Verdict
from harness.judging.cache import Cache
from harness.running.trial import run
from reference import Equations, Network, numpy_net, probes, r_nnet
from tests.conftest import Approved

Heads = Callable[[Tensor], Any]


class Scores(nn.Module):
    """A model with one hidden layer, whose outputs are a function of its logits."""

    def __init__(self, outputs: int = 3, ends: Heads = lambda z: z) -> None:
        super().__init__()
        self.hidden, self.out = nn.Linear(4, 5), nn.Linear(5, outputs)
        self.ends = ends

    def forward(self, x: Tensor) -> Any:
        """Return the outputs."""
        return self.ends(self.out(torch.sigmoid(self.hidden(x))))


def probabilities(z: Tensor) -> Tensor:
    """Return softmax, without its shift."""
    powers = z.exp()
    return powers / powers.sum(-1, keepdim=True)


def verdicts(
    network: Any, subject: Subject, loss: Loss, references: Any = (numpy_net,), **how: Any
) -> list[Verdict]:
    """The verdicts on a subject."""
    case = Case("c", network, [subject], list(references), probes(loss=loss, draws=6), **how)
    cache = Cache(case)
    return [run(trial, cache) for trial in case.trials()]


def statuses(found: list[Verdict]) -> set[Status]:
    """The statuses of verdicts."""
    return {verdict.status for verdict in found}


LOGITS = Network(4, 5, 3, "logistic")
RIGHT: dict[str, tuple[Network, Subject, Loss]] = {
    "cross_entropy": (
        LOGITS,
        Subject(Scores, loss=lambda o, t: functional.cross_entropy(o, t, reduction="sum")),
        Loss(error="softmax", from_logits=True),
    ),
    "labels": (
        LOGITS,
        Subject(Scores, loss=nn.CrossEntropyLoss()),
        Loss("mean", error="softmax", from_logits=True, targets="labels"),
    ),
    "log_softmax and NLLLoss": (
        LOGITS,
        Subject(Scores, loss=lambda o, t: nn.NLLLoss(reduction="sum")(o.log_softmax(-1), t)),
        Loss(error="softmax", from_logits=True, targets="labels"),
    ),
    "KLDivLoss": (
        LOGITS,
        Subject(
            Scores, loss=lambda o, t: nn.KLDivLoss(reduction="batchmean")(o.log_softmax(-1), t)
        ),
        Loss("mean", error="kl", from_logits=True, targets="shares"),
    ),
    "a given KL": (
        Network(4, 5, 3, "logistic", "softmax"),
        Subject(lambda: Scores(3, lambda z: z.softmax(-1))),
        Loss(error="kl", targets="shares"),
    ),
    "logsumexp": (
        LOGITS,
        Subject(Scores, loss=lambda o, t: (o.logsumexp(-1) - (o * t).sum(-1)).sum()),
        Loss(error="softmax", from_logits=True),
    ),
    "weights and smoothing": (
        LOGITS,
        Subject(
            Scores,
            loss=lambda o, t: nn.CrossEntropyLoss(
                torch.tensor([1.0, 2.0, 0.5], dtype=o.dtype), label_smoothing=0.1
            )(o, t),
        ),
        Loss(
            "mean",
            error="softmax",
            from_logits=True,
            class_weights=[1, 2, 0.5],
            label_smoothing=0.1,
            targets="labels",
        ),
    ),
    "BCEWithLogitsLoss": (
        Network(4, 5, 3, "logistic"),
        Subject(Scores, loss=nn.BCEWithLogitsLoss()),
        Loss("mean", error="bce", from_logits=True, targets="shares"),
    ),
    "logsigmoid": (
        Network(4, 5, 3, "logistic"),
        Subject(
            Scores,
            loss=lambda o, t: (
                -(t * functional.logsigmoid(o) + (1 - t) * functional.logsigmoid(-o)).sum()
            ),
        ),
        Loss(error="bce", from_logits=True),
    ),
    "probabilities": (
        Network(4, 5, 3, "logistic", "softmax"),
        Subject(lambda: Scores(3, lambda z: z.softmax(-1))),
        Loss(error="softmax"),
    ),
    "sigmoids": (
        Network(4, 5, 2, "logistic", "logistic"),
        Subject(lambda: Scores(2, torch.sigmoid)),
        Loss(error="entropy"),
    ),
    "censored": (LOGITS, Subject(Scores), Loss(error="censored", from_logits=True)),
    "a mean of rows, halved": (
        LOGITS,
        Subject(Scores, loss=lambda o, t: 0.5 * ((o - t) ** 2).sum(-1).mean()),
        Loss("mean_of_rows", factor=0.5),
    ),
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_classifier_passes(name: str) -> None:
    """In all quantities, in float64 and float32."""
    network, subject, loss = RIGHT[name]
    found = verdicts(network, subject, loss)
    assert statuses(found) == {Status.PASS}, [verdict.why for verdict in found]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", ["cross_entropy", "probabilities", "sigmoids", "censored"])
def test_a_right_classifier_passes_in_sixteen_bits(name: str, dtype: str) -> None:
    """Layer by layer."""
    network, subject, loss = RIGHT[name]
    found = verdicts(network, subject, loss, dtypes=[dtype])
    assert statuses(found) == {Status.PASS}, [verdict.why for verdict in found]


HEADS = Network(4, 5, (1, 3), "logistic", ("logistic", "softmax"))
OF_HEADS = Loss(error=["entropy", "softmax"], factor=[1.0, 0.25])


def split(z: Tensor) -> tuple[Tensor, Tensor]:
    """Return a head with a logistic and one with a softmax."""
    return torch.sigmoid(z[:, :1]), z[:, 1:].softmax(-1)


def split_meaning(p: dict[str, Any]) -> dict[str, Any]:
    """The blocks of both heads, in one matrix."""
    return {
        "W1": p["hidden.weight"],
        "b": p["hidden.bias"],
        "W2": p["out.weight"][:1],
        "b_w": p["out.bias"][:1],
        "V2": p["out.weight"][1:],
        "b_v": p["out.bias"][1:],
    }


def test_each_head_has_an_activation_and_a_loss() -> None:
    """NumPy judges them; R weighs rows, not outputs, and has one error for all."""
    subject = Subject(lambda: Scores(4, split), parameters=split_meaning)
    found = verdicts(HEADS, subject, OF_HEADS)
    assert statuses(found) == {Status.PASS}, [verdict.why for verdict in found]
    found = verdicts(HEADS, subject, OF_HEADS, [r_nnet])
    assert statuses(found) == {Status.ABSENT}


def test_a_head_with_anothers_loss_fails() -> None:
    """Its forward pass is right."""

    def exchanged(heads: Any, targets: Any) -> Tensor:
        first = functional.binary_cross_entropy(heads[1], targets[1], reduction="sum")
        return functional.binary_cross_entropy(heads[0], targets[0], reduction="sum") + first / 4

    subject = Subject(lambda: Scores(4, split), parameters=split_meaning, loss=exchanged)
    found = verdicts(HEADS, subject, OF_HEADS, checks=["forward", "loss"], dtypes=["float64"])
    assert [verdict.status for verdict in found] == [Status.PASS, Status.FAIL]


def test_own_equations_end_with_softmax() -> None:
    """The softmax of equations is that of a network."""

    def forward(m: Any, p: Any, x: Any) -> Any:
        h = m.act("logistic", m.affine(x, p["W1"], p["b1"]))
        return m.act("softmax", m.affine(h, p["W2"], p["b2"]))

    shapes = {"W1": (5, 4), "b1": (5,), "W2": (3, 5), "b2": (3,)}
    network = Equations("own", 4, 3, shapes, forward)
    for loss in (Loss(error="softmax"), Loss()):  # squares go back through the softmax
        words = {"W1": "hidden.weight", "b1": "hidden.bias", "W2": "out.weight", "b2": "out.bias"}
        subject = Subject(lambda: Scores(3, lambda z: z.softmax(-1)), parameters=words)
        found = verdicts(network, subject, loss)
        assert statuses(found) == {Status.PASS}, [verdict.why for verdict in found]


UNFUSED = {
    "BCELoss of a sigmoid": (
        Network(4, 5, 2, "logistic"),
        Subject(
            lambda: Scores(2),
            "BCE",
            loss=lambda o, t: nn.BCELoss(reduction="sum")(torch.sigmoid(o), t),
        ),
        Loss(error="bce", from_logits=True),
    ),
    "the logarithm of a softmax": (
        LOGITS,
        Subject(Scores, "Log", loss=lambda o, t: -(t * o.softmax(-1).log()).sum()),
        Loss(error="softmax", from_logits=True),
    ),
}


@pytest.mark.parametrize("name", UNFUSED)
def test_what_a_loss_of_probabilities_loses_is_named(name: str, approved: Approved) -> None:
    """Where they round to 0 or 1; declared, only that is not judged."""
    network, subject, loss = UNFUSED[name]
    how: dict[str, Any] = {"checks": ["gradient"], "dtypes": ["float32"]}
    found = verdicts(network, subject, loss, **how)
    assert statuses(found) == {Status.FAIL}
    approved([hint.cause for hint in found[0].finding.hints], mask_figures=True)
    declared = Subject(subject.build, subject.name, loss=subject.loss, unfused_loss=True)
    found = verdicts(network, declared, loss, **how)
    assert statuses(found) == {Status.PASS}, [verdict.why for verdict in found]
    approved(found[0].why, mask_figures=True)


def test_a_loss_that_is_wrong_fails_though_it_is_declared_unfused() -> None:
    """Half of it is not what it loses."""
    network, subject, loss = UNFUSED["BCELoss of a sigmoid"]
    half = Subject(
        subject.build,
        "Half",
        loss=lambda o, t: nn.BCELoss(reduction="sum")(torch.sigmoid(o), t) / 2,
        unfused_loss=True,
    )
    found = verdicts(network, half, loss, checks=["loss", "gradient"], dtypes=["float32"])
    assert statuses(found) == {Status.FAIL}


def test_softplus_of_torch_loses_digits_beyond_20() -> None:
    """There it returns z, which is off by 2e-9: more than float64 rounds, less than float32."""
    subject = Subject(Scores, loss=lambda o, t: (functional.softplus(o) - t * o).sum())
    loss, how = Loss(error="bce", from_logits=True), {"checks": ["loss"]}
    found = verdicts(Network(4, 5, 3, "logistic"), subject, loss, **how)
    assert [verdict.status for verdict in found] == [Status.FAIL, Status.PASS]


def test_one_column_may_be_a_vector() -> None:
    """The model returns (rows,), and its loss gets targets of that shape."""
    subject = Subject(
        lambda: Scores(1, lambda z: z.squeeze(-1)), loss=nn.BCEWithLogitsLoss(reduction="sum")
    )
    found = verdicts(Network(4, 5, 1, "logistic"), subject, Loss(error="bce", from_logits=True))
    assert statuses(found) == {Status.PASS}, [verdict.why for verdict in found]


def test_r_judges_the_loss_of_logits_and_of_probabilities() -> None:
    """Its outputs are logits where the network's are."""
    for name in ("cross_entropy", "probabilities", "sigmoids", "censored"):
        network, subject, loss = RIGHT[name]
        checks = ["forward", "loss", "gradient"]
        found = verdicts(network, subject, loss, [r_nnet], checks=checks)
        assert statuses(found) == {Status.PASS}, [verdict.why for verdict in found]


def test_right_values_of_nnet_are_the_equations() -> None:
    """R's own: softmax with Wts = 1..8 on x = -1, 0, 2, and entropy of a logistic output."""
    from harness.core.formulation import Formulation
    from harness.core.problem import Problem

    x = np.array([[[-1.0], [0.0], [2.0]]])
    cases: list[tuple[Network, Loss, Any, float]] = [
        (
            Network(1, 1, 3, "logistic", "softmax"),
            Loss(error="softmax"),
            np.eye(3),
            8.67028602626398,
        ),
        (
            Network(1, 1, 1, "logistic", "logistic"),
            Loss(error="entropy"),
            np.array([[0.0], [1.0], [1.0]]),
            4.09620883036524,
        ),
    ]
    for network, loss, y, value in cases:
        own = np.arange(1.0, network.layout.size + 1)[None]
        problem = Problem("R", Formulation.identity(network), own, x, y[None], loss)
        found = numpy_net.observe(problem).values
        assert abs(found["loss"][0] - value) < 1e-13
    row = [0.00575547578707287, 0.0728231977738724, 0.921421326439055]
    problem = Problem(
        "R",
        Formulation.identity(cases[0][0]),
        np.arange(1.0, 9.0)[None],
        x,
        np.eye(3)[None],
        cases[0][1],
    )
    assert np.allclose(numpy_net.observe(problem).values["forward"][0, 0], row, rtol=1e-14)
