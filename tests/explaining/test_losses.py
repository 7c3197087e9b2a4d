"""Another loss is found from observed losses, and said in a plain sentence."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from harness import Contract, Formulation, Loss, Problem
from harness.core.contract import Array
from reference import Network, probes
from reference.explaining.likely import likely
from reference.explaining.loss_words import OUTPUTS, TOGETHER, Found, describe
from reference.faults.kinds import Answers, solve
from reference.faults.outputs import ErrorsOf, find_any_errors
from reference.faults.residuals import WithLoss, absolute, huber
from tests.conftest import Approved

DUAL = Network((3, 2), 4, (2, 3), "tanh")
SOFTMAX = Network(3, 4, 3, "tanh", "softmax")
CLASSES = Loss(error="softmax")


def asked(network: Network, loss: Loss) -> list[Problem]:
    made = probes(0, draws=8, rows=4, kinds=["exact", "few-term", "random"], loss=loss)
    return made(Formulation.identity(network))


def name_loss(
    network: Network, loss: Loss, other: Loss, errors_of: ErrorsOf = find_any_errors
) -> str:
    """What is offered for answers under another loss."""
    fault = WithLoss("other", "", lambda before, widths: other, errors_of=errors_of)
    problems = asked(network, loss)
    observed = [fault.run(problem, Contract()) for problem in problems]
    return likely(problems, observed, "loss", Contract())


OTHERS: dict[str, tuple[Loss, Loss, ErrorsOf]] = {
    "0.3 times": (Loss(), Loss(factor=0.3), find_any_errors),
    "mean over rows": (Loss(), Loss("mean_of_rows"), find_any_errors),
    "sum for mean": (Loss("mean"), Loss(), find_any_errors),
    "half the mean": (Loss(), Loss("mean", factor=0.5), find_any_errors),
    "one head": (Loss(), Loss(factor=(1.0, 0.0)), find_any_errors),
    "weighted heads": (Loss(), Loss(factor=(0.3, 0.7)), find_any_errors),
    "penalty": (Loss(), Loss(decay=0.01), find_any_errors),
    "half the decay": (Loss(decay=0.1), Loss(decay=0.04), find_any_errors),
    "L1": (Loss(), Loss(), absolute),
    "mean L1": (Loss(), Loss("mean"), absolute),
    "Huber": (Loss("mean"), Loss("mean"), huber(1.0)),
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_loss_is_named(name: str, approved: Approved) -> None:
    """By its reduction, the factors of its heads, its penalty or its errors."""
    loss, other, errors_of = OTHERS[name]
    approved(name_loss(DUAL, loss, other, errors_of))


def test_another_loss_of_classes_is_named(approved: Approved) -> None:
    """Factors and penalties are found for every error of outputs."""
    approved(
        [
            name_loss(SOFTMAX, CLASSES, replace(CLASSES, factor=0.3)),
            name_loss(SOFTMAX, CLASSES, replace(CLASSES, decay=0.01)),
        ]
    )


def test_a_negated_loss_is_named(approved: Approved) -> None:
    """A sign is no factor that a Loss has."""

    def negate(answers: Answers) -> Answers:
        return {name: -a if name != "forward" else a for name, a in answers.items()}

    problems = asked(DUAL, Loss())
    observed = [negate(solve(problem, Contract())) for problem in problems]
    approved(likely(problems, observed, "loss", Contract()))


STRANGE: dict[str, Callable[[Array], Array]] = {
    "cubes": lambda r: abs(r) ** 3,
    "log cosh": lambda r: np.logaddexp(r, -r) - np.log(2),
    "positive differences only": lambda r: np.maximum(r, 0) ** 2,
    "relative": lambda r: (r / (1 + abs(r))) ** 2,
}


@pytest.mark.parametrize("name", STRANGE)
def test_a_loss_that_is_none_of_these_is_offered_nothing(name: str) -> None:
    """Factors that differ from stack to stack explain nothing."""
    problems, observed = asked(DUAL, Loss()), []
    for problem in problems:
        answers = solve(problem, Contract())
        errors = STRANGE[name](answers["forward"] - problem.targets)
        observed.append({**answers, "loss": errors.sum(axis=(1, 2))})
    assert likely(problems, observed, "loss", Contract()) == ""


def test_a_gradient_that_does_not_follow_tells_against_another_loss() -> None:
    """The loss is 0.3 times the right one, but its gradient is not."""
    problems = asked(DUAL, Loss())
    observed = []
    for problem in problems:
        answers = solve(problem, Contract())
        observed.append({**answers, "loss": 0.3 * answers["loss"]})
    assert likely(problems, observed, "loss", Contract()) == ""


SAID = (
    Found("", "sum", (0.5, 0.5)),
    Found("", "sum", (0.25, 0.25)),
    Found("", "sum", (-1.0, -1.0)),
    Found("", "sum", (2.0, 2.0)),
    Found("", "sum", (1000.0, 1000.0)),
    Found("", "sum", (1.0, 0.5)),
    Found("", "sum", (0.0, 1.0)),
    Found("", "mean_of_rows", (2.0, 2.0)),
    Found("", OUTPUTS, (1.0, 1.0)),
    Found("", TOGETHER, (1.0, 1.0)),
    Found("absolute", TOGETHER, (1.0, 1.0)),
    Found("Huber 0.1", "mean", (1.0, 0.0)),
    Found("", "sum", (1.0, 1.0), (0.01, 0.01)),
    Found("", "sum", (1.0, 1.0), (0.01, 0.0)),
    Found("", "sum", (1.0, 1.0), (0.01, 0.02)),
)


def test_the_sentences_of_losses(approved: Approved) -> None:
    """Each says what the loss has, and what the reference's has."""
    decayed = Loss(decay=0.1)
    said = [describe(found, Loss(), (2, 3)) for found in SAID]
    said += [describe(found, decayed, (2, 3)) for found in SAID[-3:-1]]
    said.append(describe(Found("", "mean", (1.0,)), Loss(), (1,)))
    said.append(describe(Found("", "sum", (1.0,)), Loss("mean", error="softmax"), (3,)))
    approved(said)
