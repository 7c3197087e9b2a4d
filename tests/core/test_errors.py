"""What a loss, a network and targets say if they do not go together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from harness import Formulation, Loss
from harness.calling.targets import suit_targets
from harness.core.contract import Array, Contract
from reference import Equations, Network, OnData, numpy_net, probes, r_nnet
from reference.probes.targets import encode_targets
from tests.conftest import Approved

RNG = np.random.default_rng(3)
X = RNG.standard_normal((6, 2))
LABELS = np.array([0, 1, 2, 0, 1, 2])

WRONG_LOSSES: dict[str, dict[str, Any]] = {
    "error": {"error": "cross_entropy"},
    "reduction": {"reduction": "none"},
    "targets": {"targets": "one-hot"},
    "label smoothing": {"error": "softmax", "label_smoothing": 1.5},
    "class weights of squares": {"class_weights": [1, 2]},
    "class weights in a table": {"error": "softmax", "class_weights": [[1, 2]]},
    "factors in a table": {"factor": [[1.0, 2.0]]},
    "class weights below 0": {"error": "softmax", "class_weights": [1, -2]},
    "a factor that is not finite": {"factor": [1.0, np.nan]},
    "a mean with weights": {"reduction": "mean_of_rows", "weights": [1, 2]},
}


@pytest.mark.parametrize("name", WRONG_LOSSES)
def test_a_loss_that_is_none_says_what_is_expected(name: str, approved: Approved) -> None:
    """When it is written."""
    with approved.raises(ValueError):
        Loss(**WRONG_LOSSES[name])


UNFIT: dict[str, tuple[Network, Loss]] = {
    "errors of heads": (Network(2, 3, (1, 2)), Loss(error=["squares", "softmax", "bce"])),
    "logits of heads": (Network(2, 3, 2), Loss(error="softmax", from_logits=[True, False])),
    "softmax of one output": (Network(2, 3, 1), Loss(error="softmax", from_logits=True)),
    "class weights": (
        Network(2, 3, 2),
        Loss(error="softmax", from_logits=True, class_weights=[1, 2, 3]),
    ),
    "probabilities": (Network(2, 3, 1), Loss(error="entropy")),
    "logistic for softmax": (Network(2, 3, 2, output="logistic"), Loss(error="softmax")),
}


@pytest.mark.parametrize("name", UNFIT)
def test_a_loss_that_does_not_fit_a_network_says_why(name: str, approved: Approved) -> None:
    """When problems are made, or asked."""
    network, loss = UNFIT[name]
    with approved.raises(ValueError):
        for problem in probes(loss=loss, kinds=["random"])(Formulation.identity(network)):
            numpy_net.observe(problem)


NO_TARGETS: dict[str, tuple[Loss, int, Any]] = {
    "a label beyond the classes": (Loss(error="softmax"), 3, [0, 3]),
    "labels of R": (Loss(error="softmax"), 3, [1, 2, 3]),
    "a text": (Loss(error="softmax"), 3, ["a", "b"]),
    "a label of one output": (Loss(error="entropy"), 1, [1, 2]),
    "outside 0 and 1": (Loss(error="entropy"), 1, [[0.5], [1.5]]),
    "negative counts": (Loss(error="softmax"), 2, [[1, -1]]),
}


@pytest.mark.parametrize("name", NO_TARGETS)
def test_targets_that_are_none_say_what_is_expected(name: str, approved: Approved) -> None:
    """When data are encoded."""
    loss, width, given = NO_TARGETS[name]
    with approved.raises(ValueError):
        encode_targets(loss, (width,), given)


def test_a_network_needs_an_output_for_each_head(approved: Approved) -> None:
    """Or one for all; softmax is no activation of hidden units."""
    for output in (["softmax"], ["logistic", "sigmoid"], "soft"):
        with approved.raises(ValueError):
            Network(2, 3, (1, 2), output=output)
    with approved.raises(ValueError):
        Network(2, 3, 1, activation="softmax")


def test_labels_are_targets() -> None:
    """Of classes from 0, and of one output; the same as one column for each class."""
    network = Network(2, 3, 3)
    loss = Loss(error="softmax", from_logits=True)
    whole = np.eye(3)[LABELS]
    by_labels, by_columns = (
        OnData(X, y, loss=loss)(Formulation.identity(network))[0] for y in (LABELS, whole)
    )
    assert np.array_equal(by_labels.targets, by_columns.targets)
    of_one = encode_targets(Loss(error="bce"), (1,), LABELS > 0)
    assert of_one.tolist() == [[0.0], [1.0], [1.0], [0.0], [1.0], [1.0]]


@pytest.mark.parametrize("kind", ["classes", "shares"])
def test_probes_draw_targets_that_a_loss_takes(kind: str) -> None:
    """Drawn targets that suit it are not changed again."""
    widths = (2, 3, 3, 2)
    loss = Loss(error=["squares", "softmax", "censored", "entropy"], targets=kind)
    drawn: Array = RNG.standard_normal((4, 5, 10)) * 3
    found = suit_targets(loss, widths, drawn)
    assert np.array_equal(suit_targets(loss, widths, found), found)
    assert np.array_equal(found[..., :2], drawn[..., :2])
    assert found[..., 2:].min() >= 0
    assert found[..., 2:].max() <= 1
    assert (found[..., 5:8] == 1).any(axis=-1).all()  # a set is not empty
    if kind == "classes":
        assert (found[..., 2:5].sum(axis=-1) == 1).all()


def test_contracts_say_how_logarithms_are_taken(approved: Approved) -> None:
    """That of nnet, and that of a loss that goes through probabilities."""
    approved(r_nnet.contract().sentence())
    approved(Contract().through_probabilities().sentence())


def test_own_equations_end_with_probabilities_or_logits(approved: Approved) -> None:
    """A loss of probabilities asks how they were computed."""
    network = Equations(
        "own",
        2,
        3,
        {"W": (3, 2)},
        lambda m, p, x: m.scale(m.act("softmax", m.affine(x, p["W"])), 1.0),
    )
    with approved.raises(ValueError):
        numpy_net.observe(
            probes(loss=Loss(error="softmax"), kinds=["random"])(Formulation.identity(network))[0]
        )
