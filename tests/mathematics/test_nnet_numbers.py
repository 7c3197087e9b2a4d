"""Numbers that R 4.2.2 gave for nnet(x, y, size = 1, Wts = 1:n, maxit = 0): by R itself, as its
user calls it and by its engine, by NumPy, and by the oracle.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from harness import Contract, Formulation, Loss, Problem
from harness.core.contract import Array
from harness.core.loss import SUM_OF_SQUARES
from reference import Network, numpy_net, r_nnet
from reference.faults.kinds import solve
from reference.mistakes.catalogue import FAULTS
from reference.nnet.losses import find_error
from reference.r.nnet_reference import LIVE, topology

X, Y = np.array([[-1.0], [0.0], [2.0]]), np.array([[0.0], [1.0], [1.0]])


@dataclass(frozen=True)
class Call:
    """A call of nnet(): its options in R, the network that it is here, and what R gave."""

    said: str
    network: Network
    value: float
    predicted: tuple[float, ...] = ()
    loss: Loss = SUM_OF_SQUARES
    y: str = "c(0, 1, 1)"


ONE = Network(1, 1, 1, "logistic")
PLAIN = 4.07576568547998, 5.92423431452002, 6.97322859630286
CALLS = {
    "linout": Call("linout = TRUE", ONE, 76.5394093709228, PLAIN),
    "logistic": Call("", Network(1, 1, 1, "logistic", "logistic"), 0.966895276999546),
    "entropy": Call(
        "entropy = TRUE",
        Network(1, 1, 1, "logistic", "logistic"),
        4.09620883036524,
        loss=Loss(error="entropy"),
    ),
    "entropy of logits": Call(
        "entropy = TRUE",
        ONE,
        4.09620883036524,
        PLAIN,
        Loss(error="entropy", from_logits=True),
    ),
    "softmax": Call(
        "softmax = TRUE",
        Network(1, 1, 3, "logistic", "softmax"),
        8.67028602626398,
        (0.00575547578707287, 0.0728231977738724, 0.921421326439055),
        Loss(error="softmax"),
        "diag(3)",
    ),
    "skip": Call(
        "linout = TRUE, skip = TRUE",
        Network(1, 1, 1, "logistic", skip=True),
        280.24632444218,
        (-0.924234314520019, 5.92423431452002, 16.9732285963029),
    ),
    "weights": Call(
        "linout = TRUE, weights = 1:3", ONE, 172.1464126826, PLAIN, Loss(weights=[1, 2, 3])
    ),
    "decay": Call(
        "linout = TRUE, decay = c(0, .5, .25, 1)",
        ONE,
        76.5394093709228 + 0.5 * 4 + 0.25 * 9 + 1 * 16,
        PLAIN,
        Loss(decay=[0, 0.5, 0.25, 1]),
    ),
    "blocks": Call(
        "linout = TRUE, decay = c(0, .5, 0, 1)",
        ONE,
        76.5394093709228 + 0.5 * 4 + 1 * 16,
        PLAIN,
        Loss(decay={"W1": 0.5, "W2": [[1.0]]}),
    ),
}
# what a port predicts that reads the weights in another order, with the fault that it makes
MISREAD = {
    "bias_last": ("linout", (6.19317573589001, 6.64239123393365, 6.94604137011373)),
    "skip_first": ("skip", (0.344707106849976, 6.65529289315002, 15.9665357453786)),
}


def asked(call: Call) -> Problem:
    """One draw at the weights 1, 2, 3, ..."""
    wts = np.arange(1.0, 1 + call.network.layout.size)
    identity = Formulation.identity(call.network)
    y = Y if call.y == "c(0, 1, 1)" else np.eye(3)
    return Problem(call.said, identity, wts[None], X[None], y[None], call.loss)


def answers(problem: Problem) -> dict[str, dict[str, Array]]:
    """Of R's engine, NumPy, and the oracle."""
    bounds = problem.formulation.network.oracle(problem, Contract())
    return {
        "R": dict(r_nnet.observe(problem).values),
        "NumPy": dict(numpy_net.observe(problem).values),
        "oracle": {name: bound.value for name, bound in bounds.items()},
    }


@pytest.mark.parametrize("name", CALLS)
def test_everybody_gives_rs_numbers(live_r: None, name: str) -> None:
    """The value and the predictions."""
    call = CALLS[name]
    for who, given in answers(asked(call)).items():
        assert given["loss"] == pytest.approx(call.value, rel=1e-14), who
        if call.predicted:
            predicted = given["forward"].ravel()[: len(call.predicted)]
            assert predicted == pytest.approx(call.predicted, rel=1e-14), who


@pytest.mark.parametrize("name", CALLS)
def test_gradients_are_the_same_too(live_r: None, name: str) -> None:
    """By R's engine and by NumPy."""
    given = answers(asked(CALLS[name]))
    assert given["NumPy"]["gradient"] == pytest.approx(given["R"]["gradient"], rel=1e-12)


@pytest.mark.parametrize("name", CALLS)
def test_a_fit_is_the_users_call(live_r: None, name: str) -> None:
    """The same options in R give the same value and weights, to the bit."""
    call = CALLS[name]
    problem = asked(call)
    options: dict[str, Any] = {"decay": problem.decays, "row_weights": call.loss.weights}
    for maxit in (0, 4):
        net = topology(call.network, find_error(problem))
        fit = LIVE.fit(net, problem.theta[0], X, problem.targets[0], maxit=maxit, **options)
        extra = f", {call.said}" if call.said else ""
        said = LIVE.eval_text(
            f"fit <- nnet::nnet(c(-1, 0, 2), {call.y}, size = 1, Wts = 1:{len(fit.weights)},"
            f" maxit = {maxit}, abstol = 1e-4, reltol = 1e-8, trace = FALSE{extra});"
            " c(fit$value, fit$wts)"
        )
        assert said.tolist() == [fit.value, *fit.weights]
        assert maxit or fit.value == pytest.approx(call.value, rel=1e-14)


@pytest.mark.parametrize("fault", MISREAD)
def test_weights_in_another_order_give_what_the_catalogue_says(fault: str) -> None:
    """The wrong predictions that a port was seen to make."""
    call, predicted = MISREAD[fault]
    (made,) = [each for each in FAULTS if each.name == fault]
    problem = asked(CALLS[call])
    assert made.run(problem, Contract())["forward"].ravel() == pytest.approx(predicted, rel=1e-14)
    right = solve(problem, Contract())["forward"].ravel()
    assert right == pytest.approx(CALLS[call].predicted, rel=1e-14)


def test_a_factor_of_two_levels_is_an_entropy(live_r: None) -> None:
    """nnet(factor(y) ~ x) gives the value of entropy = TRUE, to the bit."""
    values = LIVE.eval_text(
        "x <- c(-1, 0, 2); y <- c(0, 1, 1); f <- function(...) nnet::nnet(..., size = 1, Wts ="
        " 1:4, maxit = 0, trace = FALSE)$value; c(f(factor(y) ~ x), f(x, y, entropy = TRUE))"
    )
    assert values[0] == values[1] == pytest.approx(4.09620883036524, rel=1e-14)
