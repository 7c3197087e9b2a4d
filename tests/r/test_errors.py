"""nnet's errors entropy, softmax and censored, by its engine: they are the formulas, and the losses
that nnet does not have are refused in a sentence.
"""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harness.core.contract import NNET_CLIP, NNET_FLOOR, NNET_LOST, Array, Contract
from harness.core.formulation import Formulation
from harness.core.implementation import Missing
from harness.core.loss import Loss
from harness.core.problem import Problem
from reference import Network, numpy_net, r_nnet
from reference.nnet.losses import cannot_lose
from reference.r.nnet_reference import LIVE, topology
from reference.r.recorded import Recorded, Recorder
from reference.r.recording import CODE, Facts, Recording, read, write
from reference.r.topology import FLAGS, Topology
from tests.conftest import Approved

ERRORS = [error for error in FLAGS if error != "squares"]
ROWS, DRAWS = 7, 5


def build(error: str, skip: bool = True, outputs: int = 3) -> Topology:
    """A net of two inputs and four hidden units with an error."""
    linear = error in ("softmax", "censored")
    return Topology.dense(2, 4, outputs, linear, skip, error)


def draw(net: Topology, scale: float = 1.0) -> list[Array]:
    """theta (D, T), inputs (D, R, I), targets 0 and 1 (D, R, O), row weights (D, R)."""
    rng = np.random.default_rng(3)
    theta = scale * rng.normal(size=(DRAWS, net.n_weights))
    y = (rng.random((DRAWS, ROWS, net.outputs)) < 0.5) * 1.0
    y[..., 0] = 1 - y[..., 1:].max(axis=-1)
    weights = rng.random((DRAWS, ROWS))
    return [theta, rng.normal(size=(DRAWS, ROWS, net.inputs)), y, weights]


def squash(z: Array) -> Array:
    """nnet's logistic function, with its clip, of complex numbers too."""
    h = 1 / (1 + np.exp(-z))
    return np.where(z.real > NNET_CLIP, 1, np.where(z.real < -NNET_CLIP, 0, h))


def lose(error: str, z: Array, t: Array) -> Array:
    """The errors of rows (D, R), from sums (D, R, O) that may be complex, as nnet.c writes them."""
    if error == "entropy":
        p = squash(z)
        of_ones = np.log((p + NNET_FLOOR) / np.where(t > 0, t, 1))
        of_zeros = np.log((1 - p + NNET_FLOOR) / np.where(t < 1, 1 - t, 1))
        terms = np.where(t > 0, t * of_ones, 0) + np.where(t < 1, (1 - t) * of_zeros, 0)
        return -terms.sum(axis=-1)
    p = np.exp(z - z.real.max(axis=-1, keepdims=True))
    p = p / p.sum(axis=-1, keepdims=True)
    if error == "censored":
        return -np.log(np.where(t == 1, p, 0).sum(axis=-1))
    return -(t * np.log(p)).sum(axis=-1)


def find_logits(net: Topology, theta: Array, x: Array) -> Array:
    """The sums of the outputs (D, R, O) of a dense net with skip connections."""
    split = net.hidden * (1 + net.inputs)
    A = theta[:, :split].reshape(len(theta), net.hidden, -1)
    B = theta[:, split:].reshape(len(theta), net.outputs, -1)
    h = squash(A[:, None, :, 0] + np.einsum("dhi,dri->drh", A[:, :, 1:], x))
    inner = np.concatenate([h, x], axis=-1)
    return B[:, None, :, 0] + np.einsum("doh,drh->dro", B[:, :, 1:], inner)


@pytest.mark.parametrize("error", ERRORS)
def test_values_and_gradients_are_the_formulas(live_r: None, error: str) -> None:
    """Value, outputs and gradient of each error, with row weights and a decay of each weight, are
    those of NumPy, whose gradient is a complex step.
    """
    net = build(error)
    theta, x, y, weights = draw(net)
    decay = np.linspace(0, 0.1, net.n_weights)
    found = LIVE.evaluate(net, theta, x, y, weights, decay)

    def total(theta: Array) -> Array:
        errors = lose(error, find_logits(net, theta, x), y)
        return (weights * errors).sum(axis=1) + (decay * theta**2).sum(axis=1)

    z = find_logits(net, theta, x)
    p = squash(z)
    if error != "entropy":
        p = np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)
    assert found.outputs == pytest.approx(p, rel=1e-12)
    assert found.value == pytest.approx(total(theta), rel=1e-12)
    gradient = np.empty_like(theta)
    for weight in range(net.n_weights):
        step = np.zeros(net.n_weights, complex)
        step[weight] = 1e-30j
        gradient[:, weight] = total(theta + step).imag / 1e-30
    assert found.gradient == pytest.approx(gradient, abs=1e-12)


@pytest.mark.parametrize("error", ERRORS)
def test_logits_are_the_sums_of_the_outputs(live_r: None, error: str) -> None:
    """With `logits` the outputs are linear, also beyond the clip; value and gradient stay, to the
    bit.
    """
    net = build(error)
    theta, x, y, weights = draw(net, scale=30.0)
    y[..., 0] = 1
    usual = LIVE.evaluate(net, theta, x, y, weights)
    found = LIVE.evaluate(net, theta, x, y, weights, logits=True)
    z = find_logits(net, theta, x)
    assert abs(z).max() > NNET_CLIP
    assert found.outputs == pytest.approx(z, abs=1e-12)
    assert (found.value == usual.value).all()
    assert np.array_equal(found.gradient, usual.gradient, equal_nan=True)


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("maxit", [0, 6])
def test_a_fit_is_the_users_call(live_r: None, error: str, maxit: int) -> None:
    """nnet() with the error as an argument gives the same value, weights and outputs, to the bit;
    so does the engine, which fits what nnet() has no words for.
    """
    net = build(error, skip=False)
    (theta, *_), (x, *_), (y, *_), (weights, *_) = draw(net)
    mask = np.arange(net.n_weights) % 5 > 0
    how: dict[str, Any] = {"mask": mask, "row_weights": weights, "maxit": maxit, "decay": 0.01}
    fit = LIVE.fit(net, theta, x, y, **how)
    texts = {"x": x.T, "y": y.T, "w": weights, "start": theta, "mask": mask * 1.0}
    given = "".join(
        f"{name} <- c({', '.join(f'{n:.17g}' for n in array.ravel())})\n"
        for name, array in texts.items()
    )
    said = LIVE.eval_text(
        f"{given}fit <- nnet::nnet(matrix(x, {ROWS}), matrix(y, {ROWS}), w, size = 4, Wts = start,"
        f" mask = mask != 0, {error} = TRUE, maxit = {maxit}, decay = 0.01, trace = FALSE)\n"
        "c(fit$value, fit$wts, fit$fitted.values)"
    )
    assert said.tolist() == [fit.value, *fit.weights, *fit.outputs.T.ravel()]
    assert (fit.weights[~mask] == theta[~mask]).all()
    # an input with two weights, the first of which stays 0: nnet() has no such net
    twice = replace(net, connections=((0, 1, 1, 2), *net.connections[1:]))
    assert not twice.is_dense
    same = LIVE.fit(
        twice,
        np.insert(theta, 2, 0.0),
        x,
        y,
        **(how | {"mask": np.insert(mask, 2, False)}),
    )
    assert same.value == fit.value
    assert (np.delete(same.weights, 2) == fit.weights).all()


@pytest.mark.parametrize("error", ERRORS)
def test_optim_ends_where_nnet_does(live_r: None, error: str) -> None:
    """R's optim() on nnet's value and gradient of an error reaches nnet's own loss."""
    net = build(error, outputs=2)
    (theta, *_), (x, *_), (y, *_), (weights, *_) = draw(net)
    y[:, 1] = 1 - y[:, 0]
    how: dict[str, Any] = {"maxit": 2_000, "decay": 0.01, "row_weights": weights}
    by_nnet = LIVE.fit(net, theta, x, y, abstol=1e-8, reltol=1e-9, **how)
    by_optim = LIVE.optim(net, theta, x, y, **how)
    assert by_optim.value == by_nnet.value
    assert LIVE.time_gradients(net, theta, x, y, 2) > 0


NETS: dict[str, tuple[Any, ...]] = {
    "unknown": (2, 3, 3, True, False, "deviance"),
    "linear entropy": (2, 3, 3, True, False, "entropy"),
    "logistic softmax": (2, 3, 3, False, False, "softmax"),
    "one output": (2, 3, 1, True, False, "censored"),
}


@pytest.mark.parametrize("name", NETS)
def test_nets_that_nnet_refuses_are_refused(name: str, approved: Approved) -> None:
    """Entropy is of logistic outputs, softmax and censored of two linear ones or more."""
    with approved.raises(ValueError):
        Topology.dense(*NETS[name])


def test_a_net_that_crashes_r_is_refused(approved: Approved) -> None:
    """A softmax of fewer weights than units is never asked: nnet writes beyond its memory."""
    with approved.raises(ValueError):
        Topology(3, 0, 2, ((0,), (0,)), True, "softmax")


LOGITS = Network(2, 3, 3, "logistic")
PROBABILITIES = Network(2, 3, 3, "logistic", "logistic")
HEADS = Network(2, 3, (2, 2), "logistic")


def ask(network: Network, loss: Loss, kind: str = "classes") -> Problem:
    """Two draws with targets 0 and 1, or any shares."""
    rng = np.random.default_rng(1)
    formulation = Formulation.identity(network)
    own = rng.normal(size=(2, formulation.own.size))
    x, outputs = rng.normal(size=(2, 4, 2)), sum(network.outputs)
    y = np.eye(outputs)[rng.integers(outputs, size=(2, 4))]
    if kind == "shares":
        y = rng.dirichlet(np.ones(outputs), (2, 4))
    return Problem("random", formulation, own, x, y, loss)


LOSSES = {
    "several errors": (HEADS, Loss(error=("softmax", "entropy"), from_logits=True)),
    "softmax of heads": (HEADS, Loss(error="softmax", from_logits=True)),
    "linear probabilities": (LOGITS, Loss(error="entropy")),
    "logistic logits": (PROBABILITIES, Loss(error="bce", from_logits=True)),
    "softmax of logistic": (PROBABILITIES, Loss(error="softmax")),
    "a factor for each head": (HEADS, Loss(error="entropy", from_logits=True, factor=(1, 2))),
    "mean over heads": (
        Network(2, 3, (2, 1), "logistic"),
        Loss("mean", error="bce", from_logits=True),
    ),
    "tanh with decay": (Network(2, 3, 3), Loss(error="entropy", from_logits=True, decay=0.1)),
    "squares of softmax": (Network(2, 3, 3, "logistic", "softmax"), Loss()),
    "few weights": (
        Network(2, 0, 2, skip=[[True, False], [False, False]]),
        Loss(error="softmax", from_logits=True),
    ),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses_that_nnet_has_not_are_refused(live_r: None, name: str, approved: Approved) -> None:
    """In one sentence; the outputs are answered all the same, except those of tanh with decay."""
    problem = ask(*LOSSES[name])
    found = r_nnet.observe(problem)
    for quantity in ("loss", "gradient"):
        assert isinstance(found.answer(quantity), Missing)
    missing = found.answer("loss")
    assert isinstance(missing, Missing)
    approved(missing.why)
    if name != "tanh with decay":
        expected = numpy_net.observe(replace(problem, loss=Loss())).values["forward"]
        assert found.values["forward"] == pytest.approx(expected, rel=1e-14)


OUTPUTS = {
    "one for each head": Network(2, 3, (2, 2), "logistic", ("logistic", "softmax")),
    "softmax of heads": Network(2, 3, (2, 2), "logistic", "softmax"),
    "few weights": Network(2, 0, 2, "logistic", "softmax", skip=[[True, False], [False] * 2]),
    "softmax of one": Network(2, 3, 1, "logistic", "softmax"),
    "relu": Network(2, 3, 2, "logistic", "relu"),
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_outputs_that_nnet_has_not_are_refused(name: str, approved: Approved) -> None:
    """In one sentence, whatever is asked."""
    why = {r_nnet.cannot_answer(OUTPUTS[name], quantity) for quantity in ("forward", "loss")}
    (said,) = why
    approved(str(said))


def test_a_port_of_a_classifier_matches_live_r(live_r: None) -> None:
    """Outputs, loss and gradient of logistic and softmax outputs, and of logits, are within the
    bounds of both sides, in NumPy and live R.
    """
    for error, output in (("entropy", "logistic"), ("softmax", "softmax"), ("censored", "softmax")):
        for network in (Network(2, 3, 3, "tanh", output), Network(2, 3, 3, "logistic")):
            loss = Loss(error=error, from_logits=network.output == "identity")
            problem = ask(network, loss)
            asked = r_nnet.as_evaluated(problem)
            bounds = network.oracle(problem, Contract())
            of_r = asked.formulation.network.oracle(asked, r_nnet.contract())
            found, ours = r_nnet.observe(problem).values, numpy_net.observe(problem).values
            for quantity in ("forward", "loss", "gradient"):
                off = found[quantity] - ours[quantity]
                off -= of_r[quantity].value - bounds[quantity].value
                allowed = bounds[quantity].error + of_r[quantity].error
                assert (abs(off) <= allowed).all(), (error, network, quantity)
                assert (allowed < 1e-12).all()


def test_bce_is_nnets_entropy_of_targets_0_and_1(live_r: None, approved: Approved) -> None:
    """Of other targets nnet has the gradient, and no value: it takes their own entropy off."""
    for kind in ("classes", "shares"):
        bce = ask(LOGITS, Loss(error="bce", from_logits=True), kind)
        entropy = replace(bce, loss=Loss(error="entropy", from_logits=True))
        of_bce, of_entropy = r_nnet.observe(bce), r_nnet.observe(entropy)
        for quantity in ("forward", "gradient"):
            assert (of_bce.values[quantity] == of_entropy.values[quantity]).all()
        loss = of_bce.answer("loss")
        if isinstance(loss, Missing):
            assert kind == "shares"
            approved(loss.why)
        else:
            assert (loss == of_entropy.values["loss"]).all()


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_class_weights_and_smoothing_are_other_targets(live_r: None, reduction: str) -> None:
    """nnet's loss of changed targets and rows is torch's cross entropy with class weights and label
    smoothing.
    """
    loss = Loss(
        reduction,
        error="softmax",
        from_logits=True,
        class_weights=[0.5, 2, 1],
        label_smoothing=0.1,
    )
    problem = ask(LOGITS, loss)
    found = r_nnet.observe(problem).values
    for draw in range(problem.draws):
        by_torch = torch.nn.functional.cross_entropy(
            torch.tensor(found["forward"][draw]),
            torch.tensor(problem.targets[draw].argmax(axis=-1)),
            torch.tensor([0.5, 2, 1], dtype=torch.float64),
            reduction=reduction,
            label_smoothing=0.1,
        )
        assert found["loss"][draw] == pytest.approx(float(by_torch), rel=1e-13)


def test_class_weights_are_one_for_each_class(approved: Approved) -> None:
    """A table of weights is refused."""
    with approved.raises(ValueError):
        Loss(error="softmax", class_weights=[[1, 2]])


def test_a_factor_and_a_mean_are_row_weights(live_r: None) -> None:
    """A factor and a mean over rows multiply nnet's value and gradient."""
    plain = ask(LOGITS, Loss(error="softmax", from_logits=True))
    loss = Loss("mean_of_rows", error="softmax", from_logits=True, factor=3.0)
    changed = replace(plain, loss=loss)
    of_plain, of_changed = r_nnet.observe(plain).values, r_nnet.observe(changed).values
    for quantity in ("loss", "gradient"):
        expected = 0.75 * of_plain[quantity]
        assert of_changed[quantity] == pytest.approx(expected, rel=1e-14)


def test_the_contract_of_nnet() -> None:
    """Its losses are of probabilities, with a floor of 1e-80 and a cost of 1000; with the clip left
    out the rest stays.
    """
    declared = Contract(
        logistic_clip=NNET_CLIP, from_probabilities=True, log_floor=1e-80, log_lost=1000.0
    )
    assert r_nnet.contract() == declared
    assert (NNET_FLOOR, NNET_LOST) == (1e-80, 1000.0)
    left_out = replace(r_nnet, declare_clip=False)
    assert left_out.contract() == replace(declared, logistic_clip=None)
    assert left_out.real_contract() == declared


def test_a_problem_is_asked_with_its_error(live_r: None) -> None:
    """The topology of a problem names its error; no loss is refused that nnet has."""
    for error in ("entropy", "bce", "softmax", "censored"):
        assert not cannot_lose(ask(LOGITS, Loss(error=error, from_logits=True)))
    assert topology(LOGITS, "entropy").output == "logistic"
    assert topology(LOGITS, "censored").output == "softmax"
    assert topology(LOGITS).output == "identity"


SCRIPTS = {
    "entropy of logits": (LOGITS, Loss(error="entropy", from_logits=True, weights=[1, 2, 0, 3])),
    "softmax": (Network(2, 3, 3, "tanh", "softmax"), Loss("mean", error="softmax")),
    "censored logits": (LOGITS, Loss(error="censored", from_logits=True, decay=0.1)),
    "class weights": (
        LOGITS,
        Loss("mean", error="softmax", from_logits=True, class_weights=[1, 2, 3]),
    ),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_script_of_a_failure_asks_r_the_same(live_r: None, name: str) -> None:
    """What it prints is nnet's answer in this process, to the bit: loss, gradient, outputs."""
    problem = ask(*SCRIPTS[name]).part(slice(0, 1))
    problem = r_nnet.as_evaluated(problem)
    problem = replace(
        problem,
        formulation=Formulation.identity(problem.formulation.network),
        own=problem.theta,
    )
    script = r_nnet.script(problem)
    assert script is not None
    run = subprocess.run(
        ["Rscript", "--vanilla", "-e", script[1]], capture_output=True, text=True, check=True
    )
    found = r_nnet.observe(problem).values
    expected = [found["loss"], found["gradient"].ravel(), found["forward"][0].T.ravel()]
    assert [float(line) for line in run.stdout.split()] == np.concatenate(expected).tolist()


def test_a_recording_holds_the_error(live_r: None, tmp_path: Path) -> None:
    """It answers as R did, outputs as logits too, and has no answer to the same numbers with
    another error.
    """
    recorder = Recorder(LIVE)
    problem = ask(LOGITS, Loss(error="entropy", from_logits=True))
    live = replace(r_nnet, r=recorder).observe(problem).values
    versions = recorder.versions()
    facts = Facts("case", "create", "", "2026-11-29", "0.1.0", 20, CODE, versions)
    path = tmp_path / "case.recording"
    write(path, Recording(facts, list(recorder.noted.values())))
    recorded = replace(r_nnet, r=Recorded(read(path, "case"), path, "test_case.py"))
    found = recorded.observe(problem)
    assert {name: found.values[name].tobytes() for name in live} == {
        name: live[name].tobytes() for name in live
    }
    other = recorded.observe(replace(problem, loss=Loss(error="softmax", from_logits=True)))
    missing = other.answer("loss")
    assert isinstance(missing, Missing)
    assert "is stale" in missing.why
