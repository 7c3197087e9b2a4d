"""Another order of inputs or outputs is found from observed answers."""

import numpy as np
import pytest

from harness import Contract, Formulation, Loss, Problem
from reference import Network, probes
from reference.explaining.likely import likely
from reference.explaining.order_words import describe_inputs, describe_outputs
from reference.faults.kinds import solve
from tests.conftest import Approved

DUAL = Network((4, 4), 5, (4, 4), "tanh")


def asked(network: Network, loss: Loss | None = None) -> list[Problem]:
    made = probes(1, draws=8, rows=3, loss=loss or Loss())
    return made(Formulation.identity(network))


def name_inputs(order: list[int], loss: Loss | None = None) -> str:
    """What is offered for a network that reads its inputs in another order."""
    problems, observed = asked(DUAL, loss), []
    for problem in problems:
        moved = Problem(
            problem.kind,
            problem.formulation,
            problem.own,
            problem.inputs[..., order],
            problem.targets,
            problem.loss,
        )
        answers = solve(moved, Contract())
        back = np.zeros_like(answers["input_gradient"])
        for column, place in enumerate(order):
            back[..., place] += answers["input_gradient"][..., column]
        observed.append({**answers, "input_gradient": back})
    return likely(problems, observed, "forward", Contract())


INPUTS = {
    "two columns": [0, 3, 2, 1, 4, 5, 6, 7],
    "any order": [2, 0, 3, 1, 4, 5, 6, 7],
    "interleaved": [0, 2, 4, 6, 1, 3, 5, 7],
    "stacked": [0, 4, 1, 5, 2, 6, 3, 7],
    "first for both": [0, 1, 2, 3, 0, 1, 2, 3],
}


@pytest.mark.parametrize("name", INPUTS)
def test_another_order_of_the_inputs_is_named(name: str, approved: Approved) -> None:
    """The gradient of one row shows the inputs that the hidden units read."""
    approved(name_inputs(INPUTS[name]))


def test_an_order_is_found_under_a_mean_too(approved: Approved) -> None:
    """A gradient by a weight and the one by its bias have the same factor."""
    approved(name_inputs(INPUTS["any order"], Loss("mean")))


OUTPUTS = {
    "two outputs": [0, 1, 3, 2, 4, 5, 6, 7],
    "each head reversed": [3, 2, 1, 0, 7, 6, 5, 4],
    "interleaved": [0, 2, 4, 6, 1, 3, 5, 7],
    "first head twice": [0, 1, 2, 3, 0, 1, 2, 3],
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_another_order_of_the_outputs_is_named(name: str, approved: Approved) -> None:
    """Each observed output is compared with every right one."""
    order, problems, observed = OUTPUTS[name], asked(DUAL), []
    for problem in problems:
        network = problem.formulation.network
        own = problem.own.copy()
        for role in ("weight", "bias"):
            blocks = [b for b in network.layout.blocks if b.role == role and b.head is not None]
            places = np.concatenate([b.places for b in blocks])
            own[:, places] = problem.own[:, places[order]]
        moved = Problem(
            problem.kind, problem.formulation, own, problem.inputs, problem.targets, problem.loss
        )
        observed.append({"forward": solve(moved, Contract())["forward"]})
    approved(likely(problems, observed, "forward", Contract()))


def test_the_sentences_of_orders(approved: Approved) -> None:
    """Columns are numbered in their head or input if there are several."""
    approved(
        [
            describe_outputs([1, 0, 2], [3]),
            describe_outputs([2, 1, 0], [3]),
            describe_outputs([2, 0, 1], [3]),
            describe_outputs([2, 3, 0, 1], [2, 2]),
            describe_outputs([2, 3, 2, 3], [2, 2]),
            describe_outputs([0, 3, 2, 1], [2, 2]),
            describe_inputs([0, -1, 2], [3]),
            describe_inputs([0, 1, -1, -1], [2, 2]),
            describe_inputs([2, 3, 2, 3], [2, 2]),
            describe_inputs([*range(1, 20), 0], [20]),
        ]
    )
