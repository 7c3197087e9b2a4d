"""Faults in PyTorch modules: a port without mistake is right, one with a fault has that fault and
no other.
"""

from functools import cache

import numpy as np
import pytest
import torch

from harness import Contract, Problem
from reference import Network
from reference.faults.kinds import Data, Fault
from reference.mistakes.catalogue import FAULTS, OPERATORS
from reference.probes.kinds import KINDS
from tests.selfcheck import planted
from tests.selfcheck.corpus import Case, Stack, changed, first_outside
from tests.support import ACTIVATIONS, DTYPES, dual

NETWORKS = {f"{g}-{f}": dual(g, f) for g, f in ACTIVATIONS}
NETWORKS["skip"] = Network((3, 2), 4, (3, 1), "tanh", skip=True)
BY_NAME = {fault.name: fault for fault in FAULTS}
ONE_OF_EACH = {  # kind: a fault, the network that it is planted in, what is outside first
    "Misread": ("bias_shared", "tanh-identity", "forward", {"o1", "o2"}),
    "Off": ("W1_off_1e-6", "relu-relu", "forward", {"o1", "o2"}),
    "Slope": ("bias_grad_twice", "logistic-identity", "gradient", {"b"}),
    "Data": ("rows_reversed", "tanh-identity", "forward", {"o1", "o2"}),
    "targets": ("targets_negated", "tanh-identity", "loss", {"loss"}),
    "Hidden": ("tanh_slope_1-h", "tanh-identity", "gradient", {"W1", "V1", "b"}),
    "Posed": ("decay_doubled", "relu-relu", "loss", {"loss"}),
    "Answer": (
        "gradient_stale",
        "logistic-logistic",
        "gradient",
        {"W1", "V1", "b", "W2", "b_w", "V2", "b_v"},
    ),
}


@cache
def case_of(network: Network, kinds: tuple[str, ...]) -> Case:
    """A small case, whose problems are drawn once."""
    return Case(network, seed=0, rows=3, draws=4, kinds=kinds)


def port(
    network: Network,
    dtype: str,
    mistake: planted.Mistake = planted.RIGHT,
    kinds: tuple[str, ...] = tuple(KINDS),
) -> tuple[list[Problem], list[Stack]]:
    """The problems of a small case, and a port's answers to them."""
    case = case_of(network, kinds)
    found = planted.answers(case, dtype, mistake)
    return planted.asked(case), found


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(
    "mistake",
    [planted.RIGHT, planted.WITH_OWN_LOSS, *planted.UNCHANGED],
    ids=["", "own loss", "hidden", "output"],
)
def test_a_port_without_mistake_is_inside(name: str, dtype: str, mistake: planted.Mistake) -> None:
    """With the loss of the harness and with its own, with torch's activations and with them as
    functions of its own.
    """
    assert first_outside(*port(NETWORKS[name], dtype, mistake), dtype) == ("", set())


def test_every_operator_is_planted_or_said_not_to_be() -> None:
    """Each is made into a mistake of a port of some network; those that are not say why."""
    for fault in OPERATORS:
        made = fault.at(1e-3) if fault.sized else fault
        network = next(network for network in NETWORKS.values() if made.fits(network))
        if planted.plants(made):
            assert planted.planted(made, network) != planted.RIGHT
    assert set(planted.NOT_PLANTED) == {"gradient_accumulated"}
    assert all(len(why) > 40 for why in planted.NOT_PLANTED.values())


@pytest.mark.parametrize(("name", "where", "first", "named"), ONE_OF_EACH.values(), ids=ONE_OF_EACH)
def test_a_fault_of_each_kind_is_caught_where_it_is_made(
    name: str, where: str, first: str, named: set[str]
) -> None:
    """The first quantity outside is the one that it spoils, and its tensors are those that it
    changes.
    """
    network, fault = NETWORKS[where], BY_NAME[name]
    problems, wrong = port(network, "float64", planted.planted(fault, network))
    assert first_outside(problems, wrong, "float64") == (first, named)


EXACTLY = [
    fault
    for fault in FAULTS
    if type(fault).__name__ in ("Misread", "Slope", "Data", "Hidden", "Posed")
]


@pytest.mark.parametrize("fault", EXACTLY, ids=lambda fault: fault.name)
def test_a_port_with_a_fault_is_what_the_equations_with_it_are(fault: Fault) -> None:
    """Outputs, loss and both gradients, as far as rounding goes: it is that fault, and no other."""
    network = next(network for network in NETWORKS.values() if fault.fits(network))
    mistake = planted.planted(fault, network)
    problems, wrong = port(network, "float64", mistake, kinds=("exact", "random", "saturated"))
    for problem, seen in zip(problems, wrong, strict=True):
        expected = fault.run(problem, Contract())
        expected = {**expected, "gradient": problem.formulation.pull_back(expected["gradient"])}
        for quantity, answer in expected.items():
            apart, size = abs(seen[quantity] - answer).max(), abs(answer).max()
            assert apart <= 1e-9 * size + 1e-300, (problem.kind, quantity, apart, size)


@pytest.mark.parametrize(
    "fault",
    [f for f in FAULTS if isinstance(f, Data) and f.part == "inputs"],
    ids=lambda fault: fault.name,
)
def test_the_gradient_of_inputs_read_wrongly_is_by_those_given(fault: Data) -> None:
    """What goes back is the adjoint of what is read: <read x, g> is <x, back g>."""
    rng = np.random.default_rng(0)
    x, g = rng.standard_normal((2, 3, 4, 5))
    assert np.vdot(fault.change(x), g) == pytest.approx(np.vdot(x, fault.back(g)))


def test_a_changed_tensor_is_named_and_what_is_not_given_is_changed() -> None:
    """By quantity; nothing where all is the same."""
    problems, right = port(NETWORKS["relu-relu"], "float64")
    assert changed(problems, right, right) == {}
    wrong = [{**answers, "gradient": answers["gradient"].copy()} for answers in right]
    wrong[0]["gradient"][0, 0] += 1
    assert changed(problems, right, wrong) == {"gradient": {"W1"}}
    assert changed(problems, right, [{}] * len(right))["forward"] == {"o1", "o2"}


def test_what_goes_through_is_differentiated_as_it_is_said() -> None:
    """Forward by one function, back by another."""
    x = torch.ones(3, dtype=torch.float64, requires_grad=True)
    y = planted.through(lambda a: 2 * a, lambda g: g + 5)(x)
    y.sum().backward()
    assert y.tolist() == [2, 2, 2]
    assert x.grad is not None
    assert x.grad.tolist() == [6, 6, 6]
