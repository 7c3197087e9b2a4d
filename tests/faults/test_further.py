"""Mistakes that are only tried to explain a failure are inside their own bounds."""

from functools import cache

import pytest

from harness import Contract, Formulation, Loss, Problem
from reference import Network, probes
from reference.faults.bounds import bounds
from reference.faults.kinds import Fault
from reference.mistakes.catalogue import FURTHER, made_in
from tests.support import used

ASKED: dict[str, tuple[Network, Loss]] = {
    "tanh": (Network((3, 2), 4, (2, 2), "tanh"), Loss()),
    "relu": (Network(3, 4, 2, "relu"), Loss("mean")),
    "logistic": (Network(3, 4, 2, "logistic", "logistic"), Loss()),
    "softmax": (Network(3, 4, 3, "logistic", "softmax"), Loss(error="softmax")),
}
NAMES = {fault.name for fault in FURTHER}
MADE = [
    pytest.param(fault, name, id=f"{fault.name}-{name}")
    for name, (network, loss) in ASKED.items()
    for fault in made_in(network, [loss])
    if fault.name in NAMES
]


@cache
def problems_of(name: str) -> list[Problem]:
    network, loss = ASKED[name]
    made = probes(0, draws=3, rows=4, kinds=["random", "few-term"], loss=loss)
    return made(Formulation.identity(network))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("fault", "name"), MADE)
def test_the_equations_with_a_fault_are_inside_its_bounds(
    fault: Fault, name: str, dtype: str
) -> None:
    """In float32 too; a loss of logits that are taken for probabilities is not a number."""
    contract = Contract(dtype)
    for problem in problems_of(name):
        bound, wrong = bounds(fault, problem, contract), fault.run(problem, contract)
        for quantity, each in bound.items():
            if fault.name.endswith("_before_loss") and quantity != "forward":
                continue
            assert (used(wrong[quantity], each, contract.largest) <= 1).all(), quantity


def test_each_fault_fits_somewhere() -> None:
    """No mistake is listed in vain."""
    assert {param.values[0].name for param in MADE} == NAMES  # type: ignore[union-attr]
