"""Mistakes of classifiers are caught, named, and inside their own bounds."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from harness import Contract, Formulation, Loss, Problem
from harness.core.contract import BCE_LEAST
from reference import Network, probes
from reference.explaining.likely import offered
from reference.faults.bounds import bounds
from reference.faults.kinds import Fault
from reference.mistakes.catalogue import FAULTS, OF_CLASSIFIERS, made_in
from tests.conftest import Approved
from tests.selfcheck.classifier_faults import Count, count_in
from tests.support import used

SOFT = {"targets": "shares"}
ASKED: dict[str, tuple[Network, Loss]] = {
    "softmax": (Network(3, 2, 3, output="softmax"), Loss(error="softmax", **SOFT)),
    "weighted": (
        Network(3, 2, 3),
        Loss(
            "mean",
            error="softmax",
            from_logits=True,
            class_weights=[1, 2, 3],
            label_smoothing=0.1,
            **SOFT,
        ),
    ),
    "censored": (Network(3, 2, 3, output="softmax"), Loss(error="censored")),
    "entropy": (Network(3, 2, 3, output="logistic"), Loss("mean", error="entropy", **SOFT)),
    "bce": (Network(3, 2, (3, 2), output="logistic"), Loss(error="bce", **SOFT)),
    "bce of logits": (
        Network(3, 2, (3, 2)),
        Loss(error="bce", from_logits=True, decay={"W1": 0.1, "W2": 0.1}, **SOFT),
    ),
    "kl": (Network(3, 2, 3, output="softmax"), Loss("mean", error="kl", **SOFT)),
    "one output": (Network(3, 2, 1), Loss("mean")),
    "one output, sum": (Network(3, 2, 1, output="logistic"), Loss()),
}
NAMES = {fault.name for fault in OF_CLASSIFIERS}


@cache
def problems_of(name: str) -> list[Problem]:
    network, loss = ASKED[name]
    made = probes(0, draws=3, rows=4, kinds=["random", "few-term"], loss=loss)
    return made(Formulation.identity(network))


PLANTED = [
    pytest.param(fault, name, id=f"{fault.name}-{name}")
    for name, (network, loss) in ASKED.items()
    for fault in made_in(network, [loss])
    if fault.name in NAMES
]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("fault", "name"), PLANTED)
def test_the_equations_with_a_fault_are_inside_its_bounds(fault: Fault, name: str) -> None:
    """Every mistake of classifiers in every loss that it fits, in float32."""
    contract = Contract("float32")
    for problem in problems_of(name):
        bound, wrong = bounds(fault, problem, contract), fault.run(problem, contract)
        for quantity, each in bound.items():
            assert (used(wrong[quantity], each, contract.largest) <= 1).all(), quantity


def test_each_fault_fits_somewhere_and_has_a_name_of_its_own() -> None:
    """No two of the whole catalogue share a name."""
    assert {param.values[0].name for param in PLANTED} == NAMES  # type: ignore[union-attr]
    every = [fault.name for fault in (*FAULTS, *OF_CLASSIFIERS)]
    assert len(every) == len(set(every))


def test_what_assumes_squares_is_not_offered_to_other_losses() -> None:
    """Nor is a mistake of classifiers to squares, but for outputs (n,) against targets (n, 1)."""
    squares = {fault.name for fault in FAULTS if fault.errors == ("squares",)}
    assert "half_square" in squares
    for name, (network, loss) in ASKED.items():
        offered = {fault.name for fault in made_in(network, [loss])}
        if loss.is_squares:
            averaged = {"rows_broadcast_and_averaged"} if loss.reduction == "sum" else set()
            assert offered & NAMES == {"rows_broadcast", "biases_decayed"} | averaged, name
        else:
            assert not offered & squares, name


@pytest.mark.parametrize("name", ["softmax", "weighted", "bce of logits"])
def test_changed_stacks_are_caught_and_named(name: str) -> None:
    """Every mistake of classifiers that fits, among all of the catalogue, where it changes what is
    computed.
    """
    network, loss = ASKED[name]
    count = Count()
    with np.errstate(all="ignore"):
        count_in(network, loss, 3, 1, "float64", count, draws=2, kinds=["random"], only=NAMES)
    assert count.caught == count.changed > 0
    assert not count.unnamed


def test_the_words_of_faults_of_classifiers(approved: Approved) -> None:
    """What is told, mistake by mistake."""
    approved(f"{fault.name}: {fault.words}" for fault in OF_CLASSIFIERS)


def test_a_lost_draw_does_not_hide_a_mistake() -> None:
    """A probability that rounds to 0 has an infinite loss; the draws that do not are explained."""
    network = Network(3, 2, 3, output="softmax")
    loss = Loss(error="softmax")
    made = probes(0, draws=4, rows=4, kinds=["random", "saturated"], loss=loss)
    problems = [
        replace(problem, own=64 * problem.own) if problem.kind == "saturated" else problem
        for problem in made(Formulation.identity(network))
    ]
    contract = Contract(log_least=BCE_LEAST, unfused_slope=True)
    with np.errstate(all="ignore"):
        fault = next(fault for fault in OF_CLASSIFIERS if fault.name == "errors_halved")
        observed = [fault.run(problem, contract) for problem in problems]
        right = [network.oracle(problem, contract)["loss"].value for problem in problems]
    assert not all(np.isfinite(each).all() for each in right)
    found = offered(problems, observed, "loss", contract)
    assert found is not None
    assert found.name == "errors_halved"
