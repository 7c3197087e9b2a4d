"""R's trainers on nnet's errors: they fit the loss that the case means, with all of its options."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from harness.core.contract import Array
from harness.core.formulation import Formulation
from harness.core.implementation import Missing
from harness.core.loss import Loss
from harness.core.problem import Problem
from harness.training.trainer import Fitted
from reference import Network, least_squares, nnet_fit, optim_bfgs, r_nnet
from reference.nnet.losses import cannot_lose
from reference.r.nnet_reference import LIVE
from reference.training.trainers import ReferenceTrainer
from tests.conftest import Approved

pytestmark = pytest.mark.usefixtures("live_r")
ROWS, STARTS = 24, 2
LOGISTIC = Network(2, 2, 2, "logistic", "logistic")
SOFTMAX = Network(2, 2, 3, "logistic", "softmax", skip=True)
LOGITS = Network(2, 2, 3, "logistic")
SPARSE = Network(2, 3, 3, "logistic", to_hidden=[[1, 0], [0, 1], [1, 1]])
WEIGHTS = np.tile([1.0, 0.5, 2.0, 0.0], ROWS // 4)
FITS: dict[str, tuple[Network, Loss]] = {
    "entropy": (LOGISTIC, Loss(error="entropy", decay=0.01, weights=WEIGHTS)),
    "bce": (LOGITS, Loss("mean", error="bce", from_logits=True)),
    "softmax": (SOFTMAX, Loss(error="softmax", decay=np.linspace(0, 0.1, 21))),
    "class weights": (
        LOGITS,
        Loss(
            "mean",
            error="softmax",
            from_logits=True,
            class_weights=[1, 2, 0.5],
            label_smoothing=0.1,
        ),
    ),
    "censored": (SOFTMAX, Loss(error="censored", decay={"W1": 0.1})),
    "by the engine": (SPARSE, Loss(error="softmax", from_logits=True, factor=0.5, decay=0.01)),
    "tanh": (Network(2, 2, 3, "tanh"), Loss(error="softmax", from_logits=True)),
}


def make_starts(network: Network, loss: Loss) -> Problem:
    """Starts on classes that overlap."""
    rng = np.random.default_rng(5)
    formulation = Formulation.identity(network)
    own = rng.uniform(-0.7, 0.7, (STARTS, formulation.own.size))
    x = rng.normal(size=(ROWS, 2))
    outputs = network.outputs[0]
    y = np.eye(outputs)[rng.integers(outputs, size=ROWS)]
    if loss.error == "censored":
        y = np.maximum(y, rng.random(y.shape) < 0.3)
    data = np.tile(x, (STARTS, 1, 1)), np.tile(y, (STARTS, 1, 1))
    return Problem("start", formulation, own, *data, loss)


def fit(trainer: ReferenceTrainer, start: Problem) -> tuple[Problem, Fitted | Missing]:
    """The starts as R trains them, and the fit."""
    asked = trainer.as_trained(start)
    return asked, trainer.fit(asked, "float64", "cpu", lambda text: None)


def found_weights(found: Fitted | Missing) -> Array:
    """The final weights (D, T) of all starts."""
    assert isinstance(found, Fitted), found
    assert found.end is not None
    return found.end.own


def find_losses(start: Problem, theta: Array) -> Array:
    """The exact losses (D,) at final weights, under nnet's contract."""
    end = start.at(theta)
    return end.formulation.network.oracle(end, r_nnet.contract())["loss"].value


@pytest.mark.parametrize("name", FITS)
@pytest.mark.parametrize("by", ["nnet", "optim"])
def test_a_fit_claims_the_loss_of_its_weights(name: str, by: str) -> None:
    """nnet's and optim's claims are the case's loss at the final weights, which is less than at the
    starts.
    """
    network, loss = FITS[name]
    trainer = nnet_fit(maxit=40) if by == "nnet" else optim_bfgs
    start, found = fit(trainer, make_starts(network, loss))
    before = find_losses(start, start.own)
    after = find_losses(start, found_weights(found))
    assert isinstance(found, Fitted)
    assert found.claimed == pytest.approx(after, rel=1e-8)
    assert (after < 0.95 * before).all()


def test_a_fit_of_the_user_is_the_same_call() -> None:
    """The final weights of a softmax with row weights are those of nnet() in R, to the bit."""
    loss = Loss(error="softmax", from_logits=True, weights=WEIGHTS, decay=0.01)
    start, found = fit(nnet_fit(maxit=25), make_starts(LOGITS, loss))
    parts: dict[str, Any] = {
        "start": start.own[0],
        "x": start.inputs[0].T.ravel(),
        "y": start.targets[0].T.ravel(),
        "w": WEIGHTS,
    }
    lines = [
        f"{name} <- c({', '.join(f'{n:.17g}' for n in numbers)});"
        for name, numbers in parts.items()
    ]
    weights = LIVE.eval_text(
        f"{' '.join(lines)} nnet::nnet(matrix(x, {ROWS}), matrix(y, {ROWS}), w, size = 2, softmax ="
        " TRUE, Wts = start, decay = 0.01, maxit = 25, abstol = 1e-8, reltol = 1e-9, trace ="
        " FALSE)$wts"
    )
    assert (weights == found_weights(found)[0]).all()


def test_a_mask_holds_the_biases() -> None:
    """Without biases they are 0 before and after a fit of an entropy."""
    network = replace(LOGISTIC)
    trainer = nnet_fit(maxit=10, biases=False)
    start = make_starts(network, Loss(error="entropy"))
    is_bias = np.array([network.layout.blocks[n].role == "bias" for n in network.layout.owners])
    start = replace(start, own=np.where(is_bias, 0.0, start.own))
    _, found = fit(trainer, start)
    assert not found_weights(found)[:, is_bias].any()
    assert found_weights(found)[:, ~is_bias].all()


def test_a_mask_on_biases_of_tanh_is_refused(approved: Approved) -> None:
    """nnet's output biases are those less the sum of weights: to hold them is another fit."""
    start = make_starts(Network(2, 2, 3), Loss(error="softmax", from_logits=True))
    asked, found = fit(nnet_fit(maxit=10, biases=False), start)
    assert asked.formulation.network.activations[0] == "tanh"
    assert isinstance(found, Missing)
    approved(found.why)


def test_a_loss_that_nnet_has_not_is_not_fitted(approved: Approved) -> None:
    """The trainer says why, and a loss of bce with soft targets is another one for nnet."""
    start = make_starts(Network(2, 2, 3), Loss(error="softmax", from_logits=True, decay=0.1))
    assert cannot_lose(start)
    shares = make_starts(LOGITS, Loss(error="bce", from_logits=True))
    shares = replace(shares, targets=0.9 * shares.targets)
    said = []
    for asked in (start, shares):
        _, found = fit(optim_bfgs, asked)
        assert isinstance(found, Missing)
        said.append(found.why)
    approved(said)


def test_least_squares_names_who_fits_an_entropy(approved: Approved) -> None:
    """Its loss is no sum of squares."""
    _, found = fit(least_squares, make_starts(LOGISTIC, Loss(error="entropy")))
    assert isinstance(found, Missing)
    approved(found.why)
