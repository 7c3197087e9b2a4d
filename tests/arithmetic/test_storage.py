"""Numbers that a dtype cannot hold: they are rounded when they are handed over, and bounds allow
for this and for no more.
"""

from functools import lru_cache

import numpy as np
import pytest
import torch
from torch import nn

from harness import Case, Contract, Formulation, Loss, Problem, Status, Subject
from harness.core.contract import Array
from harness.judging.cache import Cache
from harness.running.trial import run
from reference import Network, OnData, numpy_net, r_nnet
from reference.faults.kinds import Fault, solve
from reference.mathematics.oracle import certificates
from reference.mistakes.catalogue import FAULTS
from tests.selfcheck.corpus import first_outside
from tests.selfcheck.styles import fused, in_torch
from tests.support import ACTIVATIONS, oracle_of, used

SINGLE = Contract("float32")
TORCH = in_torch(fused)


def any_problem(rng: np.random.Generator, draws: int = 2) -> Problem:
    """Numbers of float64, on all scales, for a network of any activation, with skip connections or
    without.
    """
    g, f = ACTIVATIONS[rng.integers(len(ACTIVATIONS))]
    inputs, hidden, outputs, rows = (int(w) for w in rng.integers(1, 6, 4))
    network = Network(inputs, hidden, outputs, g, f, skip=bool(rng.random() < 0.3))
    sizes = (network.layout.size,), (rows, inputs), (rows, outputs)
    own, x, t = (
        rng.standard_normal((draws, *size)) * 10.0 ** rng.uniform(-3, 1.5) for size in sizes
    )
    return Problem("float64", Formulation.identity(network), own, x, t)


def test_right_implementations_are_inside_on_numbers_of_float64() -> None:
    """PyTorch and NumPy in float32 and in float64, on random stacks."""
    rng = np.random.default_rng(0)
    for _ in range(150):
        problem = any_problem(rng)
        for dtype in ("float32", "float64"):
            bounds = oracle_of(problem, Contract(dtype))
            for answers in (TORCH(problem, dtype), solve(problem, Contract(dtype))):
                for name, answer in answers.items():
                    largest = Contract(dtype).largest
                    assert used(answer, bounds[name], largest).max() <= 1, (name, dtype)


def test_without_the_term_they_would_be_outside() -> None:
    """A product in float32 is not within one rounding of what float64 computes of its factors,
    which float32 cannot hold; with the term it is, and uses most of its bound.
    """
    rng, product = np.random.default_rng(1), Network(1, 0, 1)
    own = np.stack([np.zeros(500), rng.uniform(1, 2, 500)], axis=1)
    x = rng.uniform(1, 2, (500, 1, 1))
    problem = Problem("product", Formulation.identity(product), own, x, 0 * x)
    answer = TORCH(problem, "float32")["forward"]
    exact = oracle_of(problem, Contract())["forward"].value
    term, without = (
        abs(answer - exact) / oracle_of(asked, SINGLE)["forward"].error
        for asked in (problem, problem.rounded(SINGLE))
    )
    assert without.max() > 1
    assert 0.5 < term.max() <= 1


def test_nothing_is_certified_exact_of_them() -> None:
    """A sum of numbers that are rounded is not proved to be exact, however few bits it has."""
    network = Network(1, 1, 1, "relu")
    own = np.array([[0.0, 1.0, 0.0, 1.0]])
    for x, proved in ((1.0, True), (1.0 + 2.0**-24, False), (0.1, False)):
        problem = Problem(
            "one", Formulation.identity(network), own, np.full((1, 1, 1), x), np.zeros((1, 1, 1))
        )
        assert certificates(problem, SINGLE)["forward"].tolist() == [proved]


X = np.random.default_rng(2).standard_normal((24, 3)) / 3
Y = np.random.default_rng(3).standard_normal((24, 2)) / 3
NET = Network(3, 4, 2, "logistic", skip=True)


def test_data_and_weights_are_asked_as_they_are() -> None:
    """Nothing is rounded before the reference sees it."""
    weights = {block.name: np.full(block.places.shape, 0.1) for block in NET.layout.blocks}
    (problem,) = OnData(X, Y, weights=weights)(Formulation.identity(NET))
    assert (problem.inputs[0] == X).all()
    assert (problem.targets[0] == Y).all()
    assert (problem.own == 0.1).all()


class Port(nn.Module):
    """NET, as its author writes it."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.W2 = nn.Linear(3, 4), nn.Linear(4, 2)
        self.S1_w = nn.Linear(3, 2, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """With skip connections."""
        out: torch.Tensor = self.W2(torch.sigmoid(self.hidden(x))) + self.S1_w(x)
        return out


def test_a_right_port_passes_in_every_dtype(live_r: None) -> None:
    """On data of float64, against R and NumPy, with weights of float64 that it cannot hold too."""
    numbers = np.random.default_rng(4)
    weights = {
        name: numbers.standard_normal(tuple(p.shape)) for name, p in Port().state_dict().items()
    }
    data = [OnData(X, Y), OnData(X, Y, weights=weights)]
    dtypes = ["float64", "float32", "bfloat16"]
    case = Case("data", NET, [Subject(Port)], [r_nnet, numpy_net], data, dtypes=dtypes)
    cache = Cache(case)
    found = [run(trial, cache) for trial in case.trials()]
    assert {v.status for v in found} == {Status.PASS, Status.ABSENT}
    assert sum(v.status is Status.PASS for v in found) == 3 * 7


TOO_SMALL = "1ulp", "float32", "nnet_clip"  # for float32, or for these data
STRUCTURAL = [
    fault
    for fault in FAULTS
    if fault.size is None and fault.fits(NET) and not fault.name.endswith(TOO_SMALL)
]


@lru_cache
def on_data() -> list[Problem]:
    """Eight draws, with weights of rows and decay."""
    loss = Loss(decay=0.1, weights=1 + np.arange(24) % 3)
    return [*OnData(X, Y, draws=8, loss=loss)(Formulation.identity(NET))]


@pytest.mark.parametrize("fault", STRUCTURAL, ids=lambda fault: fault.name)
def test_a_mistake_is_caught_in_float32_on_data_of_float64(fault: Fault) -> None:
    """The first quantity outside is the one that it spoils."""
    answers: list[dict[str, Array]] = [fault.run(p, SINGLE) for p in on_data()]
    assert first_outside(on_data(), answers, "float32")[0] == fault.spoils
