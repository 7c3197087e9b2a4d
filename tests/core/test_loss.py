"""Weights of rows, and decays of single weights and blocks: one meaning for every part that reads a
loss.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness import Case, Contract, Formulation, Loss, Problem, Recipe, Status, Subject, Trained
from harness.core.contract import Array
from harness.judging.cache import Cache
from harness.running.trial import run
from harness.training.trainer import Population
from reference import (
    Network,
    OnData,
    least_squares,
    nnet_fit,
    numpy_net,
    optim_bfgs,
    probes,
    r_nnet,
    scipy_bfgs,
    starts,
)
from reference.faults.kinds import solve
from reference.training.objectives import Objective, objective
from tests.conftest import Approved
from tests.selfcheck.styles import STYLES
from tests.support import oracle_of, used

NET = Network(2, 3, 1, "logistic", skip=True)
RNG = np.random.default_rng(7)
X, Y = RNG.standard_normal((18, 2)), RNG.standard_normal((18, 1))
WEIGHTS = np.tile([0.3, 1, 0, 2.5, 1, 4], 3)
BY_WEIGHT = np.linspace(0, 1.5, NET.layout.size)
BY_BLOCK = {"W1": 0.25, "S1_w": [[0.0, 3.0]], "b_w": 0.1}
LOSSES = {
    "weights": Loss(weights=WEIGHTS),
    "by weight": Loss(decay=BY_WEIGHT),
    "by block": Loss(decay=BY_BLOCK),
    "both": Loss(decay=BY_WEIGHT, weights=WEIGHTS),
    "mean": Loss("mean"),
}


def on_data(loss: Loss, network: Network = NET) -> list[Problem]:
    """The data above at random parameters."""
    return OnData(X, Y, loss=loss)(Formulation.identity(network))


def by_hand(problem: Problem) -> Array:
    """The loss as nnet's documentation has it."""
    o = solve(problem, Contract())["forward"]
    rows = problem.loss.row_weights
    if rows is None:
        rows = np.ones(18)
    if problem.loss.reduction == "mean":
        rows = rows / 18
    decays = np.zeros(NET.layout.size)
    if problem.loss == LOSSES["by weight"] or problem.loss == LOSSES["both"]:
        decays = BY_WEIGHT
    elif problem.loss == LOSSES["by block"]:
        given: dict[str, Any] = {block.name: 0.0 for block in NET.layout.blocks}
        decays = NET.layout.join({**given, **BY_BLOCK})
    squares = (rows[:, None] * (o - problem.targets) ** 2).sum(axis=(1, 2))
    return np.asarray(squares + (decays * problem.theta**2).sum(axis=1))


@pytest.mark.parametrize("name", LOSSES)
def test_it_is_weighed_squares_and_decayed_parameters(name: str) -> None:
    """sum w (o - t)^2 + sum decay theta^2, without one half."""
    (problem,) = on_data(LOSSES[name])
    assert solve(problem, Contract())["loss"] == pytest.approx(by_hand(problem), rel=1e-14)


@pytest.mark.parametrize("name", LOSSES)
def test_right_implementations_are_inside(live_r: None, name: str) -> None:
    """PyTorch and NumPy in every style and both dtypes, and R."""
    (problem,) = on_data(LOSSES[name])
    answers = [(style(problem, d), d) for style in STYLES.values() for d in ("float64", "float32")]
    answers.append((dict(r_nnet.observe(problem).values), "float64"))
    for given, dtype in answers:
        contract = Contract(dtype)
        bounds = oracle_of(problem, contract)
        assert {"forward", "loss", "gradient"} <= given.keys()
        for quantity, answer in given.items():
            assert used(answer, bounds[quantity], contract.largest).max() <= 1, quantity


class Port(nn.Module):
    """NET, as its author writes it, with parameters in another order."""

    def __init__(self) -> None:
        super().__init__()
        self.S1_w = nn.Linear(2, 1, bias=False)
        self.W2, self.W1 = nn.Linear(3, 1), nn.Linear(2, 3)

    def forward(self, x: Tensor) -> Any:
        """With skip connections."""
        return self.W2(torch.sigmoid(self.W1(x))) + self.S1_w(x)


NAMES = {"b": "W1.bias"}


@pytest.mark.parametrize("name", LOSSES)
def test_a_port_is_judged_by_it(live_r: None, name: str) -> None:
    """Its loss is the harness's own, in the port's own order of parameters."""
    case = Case(
        "loss",
        NET,
        [Subject(Port, parameters=NAMES)],
        [r_nnet, numpy_net],
        OnData(X, Y, loss=LOSSES[name]),
    )
    cache = Cache(case)
    found = [run(trial, cache) for trial in case.trials()]
    assert {v.status for v in found} == {Status.PASS, Status.ABSENT}
    assert {v.check for v in found if v.status is Status.ABSENT} == {"input_gradient"}


@pytest.mark.parametrize("name", LOSSES)
def test_an_optimisers_objective_is_this_loss(name: str) -> None:
    """Written out and by the equations, as a sum of squared residuals, and their Jacobian."""
    (problem,) = on_data(LOSSES[name])
    theta = problem.theta[1]
    exact = solve(problem, Contract())
    for one in (objective(problem, 1), Objective(problem, 1)):
        loss, slope = one(theta)
        residuals, jacobian = one.residuals(theta), one.jacobian(theta)
        assert loss == pytest.approx(exact["loss"][1], rel=1e-14)
        assert residuals @ residuals == pytest.approx(loss, rel=1e-14)
        assert slope == pytest.approx(exact["gradient"][1], rel=1e-12)
        assert 2 * jacobian.T @ residuals == pytest.approx(slope, rel=1e-11)


def population(loss: Loss) -> Population:
    """The data above, the same for each start."""

    def data(starts: int) -> tuple[Array, Array]:
        return np.tile(X, (starts, 1, 1)), np.tile(Y, (starts, 1, 1))

    return Population(data, quality=3.0, grid=X[:2], loss=loss)


TRAINED = Trained(
    Subject(Port, parameters=NAMES), Recipe("sgd", 5, {"lr": 0.01}), start=starts.uniform(seed=3)
)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize(
    "trainer",
    [nnet_fit(), optim_bfgs, scipy_bfgs, least_squares],
    ids=["nnet", "optim", "scipy", "least squares"],
)
def test_what_is_fitted_and_claimed_is_this_loss(live_r: None, name: str, trainer: Any) -> None:
    """By R's nnet and optim, and by SciPy: nobody is accused."""
    case = Case("fit", NET, [TRAINED], [trainer], population(LOSSES[name]), checks=["final"])
    cache = Cache(case, starts=2)
    for trial in case.trials():
        verdict = run(trial, cache)
        assert verdict.status is Status.PASS, verdict.why


def stacked(inputs: Any, p: Any) -> Tensor:
    """Copies of Port."""
    (x,) = inputs
    h = torch.sigmoid(x @ p["W1.weight"].mT + p["W1.bias"][:, None])
    return h @ p["W2.weight"].mT + p["W2.bias"][:, None] + x @ p["S1_w.weight"].mT


@pytest.mark.parametrize("copies", [None, stacked], ids=["one", "stack"])
@pytest.mark.parametrize("name", LOSSES)
def test_training_is_judged_by_it(name: str, copies: Any) -> None:
    """The loss, gradient and step at every state that a model visits, by itself or in a stack."""
    trained = replace(TRAINED, stacked=copies)
    case = Case(
        "states",
        NET,
        [trained],
        [numpy_net],
        population(LOSSES[name]),
        checks=["loss", "gradient", "step"],
    )
    cache = Cache(case, starts=2)
    assert {run(trial, cache).status for trial in case.trials()} == {Status.PASS}


class NoSkip(Port):
    """Its author has forgotten the skip connections in the second half of its rows."""

    def forward(self, x: Tensor) -> Any:
        """Not as the network."""
        past = self.S1_w(x) * (x[:, :1] > 0)
        return self.W2(torch.sigmoid(self.W1(x))) + past


@pytest.mark.parametrize("reference", [r_nnet, numpy_net], ids=["r", "numpy"])
@pytest.mark.parametrize("name", ["both", "by block"])
def test_a_failure_has_a_script_that_fails_alone(
    live_r: None, tmp_path: Path, reference: Any, name: str
) -> None:
    """With its weights and decays, of which the script says the numbers."""
    case = Case(
        "loss",
        NET,
        [Subject(NoSkip, parameters=NAMES)],
        [reference],
        OnData(X, Y, loss=LOSSES[name]),
        checks=["loss", "gradient"],
        dtypes=["float64"],
    )
    cache = Cache(case)
    for trial in case.trials():
        verdict = run(trial, cache, folder=tmp_path)
        assert verdict.status is Status.FAIL
        assert verdict.alone, verdict.finding and verdict.finding.no_script
        text = Path(verdict.alone).read_text()
        assert "decays = [" in text
        assert ("Rscript" in text) == (reference is r_nnet)
        assert ("WEIGHTS = [" in text) == (name == "both")


UNEVEN = Network(2, 3, (1, 2), "logistic")
TANH = Network(2, 3, 1, "tanh")


@pytest.mark.parametrize("trainer", [nnet_fit(), optim_bfgs], ids=["nnet", "optim"])
@pytest.mark.parametrize(
    ("network", "loss"),
    [(UNEVEN, Loss("mean")), (TANH, Loss(decay=0.1))],
    ids=["uneven heads", "tanh with decay"],
)
def test_r_fits_no_loss_that_it_has_not(
    live_r: None, trainer: Any, network: Network, loss: Loss, approved: Approved
) -> None:
    """It is ABSENT, and says why."""
    targets = np.zeros((18, sum(network.outputs)))

    def data(starts: int) -> tuple[Array, Array]:
        return np.tile(X, (starts, 1, 1)), np.tile(targets, (starts, 1, 1))

    case = Case(
        "fit",
        network,
        [scipy_bfgs],
        [trainer],
        Population(data, quality=1.0, grid=X[:1], loss=loss),
        checks=["final"],
        dtypes=["float64"],
    )
    verdict = run(case.trials()[0], Cache(case, starts=1))
    assert verdict.status is Status.ABSENT
    approved(verdict.why, mask_figures=True)


def identity(network: Network = NET) -> Formulation:
    return Formulation.identity(network)


WRONG = {
    "weights of other rows": lambda: OnData(X, Y, loss=Loss(weights=[1, 2]))(identity()),
    "weights of probes": lambda: probes(loss=Loss(weights=[1, 2, 3, 4, 5])),
    "weights below 0": lambda: Loss(weights=[1, -1]),
    "weights of none": lambda: OnData(X, Y, loss=Loss(weights=[]))(identity()),
    "weights as text": lambda: Loss(weights=["a"]),
    "weights of columns": lambda: Loss(weights=np.ones((3, 1))),
    "decays of columns": lambda: Loss(decay=np.ones((3, 1))),
    "weights of a mean": lambda: Loss("mean", weights=[1, 2]),
    "decays of others": lambda: OnData(X, Y, loss=Loss(decay=[0.1, 0.2]))(identity()),
    "decay of no block": lambda: OnData(X, Y, loss=Loss(decay={"W3": 1}))(identity()),
    "decay of another shape": lambda: OnData(X, Y, loss=Loss(decay={"b": [1, 2]}))(identity()),
    "decays below 0": lambda: Loss(decay={"b": -1}),
    "decays not finite": lambda: Loss(decay=[np.nan, 1]),
    "decays of a formulation": lambda: OnData(X, Y @ np.ones((1, 3)), loss=Loss(decay={"b": 1}))(
        Subject(lambda: nn.Linear(2, 3), parameters=twice).formulation(Network(2, 0, 3))
    ),
}


def twice(p: dict[str, Array]) -> dict[str, Array]:
    """Parameters that are not the network's, renamed."""
    return {"S1_w": 2 * p["weight"], "b_w": p["bias"]}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_loss_that_does_not_fit_is_told_so(wrong: str, approved: Approved) -> None:
    """In a sentence that says what was expected."""
    with approved.raises(ValueError):
        WRONG[wrong]()


def test_losses_are_compared_by_their_numbers() -> None:
    """Equal numbers are equal losses; another number is another question."""
    assert Loss(weights=[1, 2]) == Loss(weights=np.array([1.0, 2.0]))
    assert hash(Loss(decay={"b": [1, 2]})) == hash(Loss(decay={"b": np.array([1, 2])}))
    (one,), (other,) = (on_data(Loss(weights=[1] * 17 + [w])) for w in (1.0, 2.0))
    assert one.key != other.key


def test_zeros_are_exact() -> None:
    """A decay of 0 for some weights costs no proof: with powers of two everything is exact."""
    decays = np.where(np.arange(NET.layout.size) % 2, 0.25, 0.0)
    relu = Network(2, 3, 1, "relu", skip=True)
    for loss in (Loss(decay=decays), Loss(weights=[0, 1, 2, 4])):
        (problem,) = probes(0, draws=4, rows=4, kinds=["exact"])(identity(relu))
        asked = Problem(
            "exact", identity(relu), problem.own, problem.inputs, problem.targets, loss, exact=True
        )
        bounds = oracle_of(asked, Contract("float32"))
        assert (bounds["loss"].error == 0).any()
        assert (bounds["gradient"].error == 0).any()
