"""Mistakes in the loss: its error and its decay."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from harness.core.contract import Contract
from harness.core.problem import Problem
from reference.faults.changes import ChangeOfAnswers, change_answers, multiply_by
from reference.faults.kinds import SLOPES, Answer, Answers, Fault, Posed, solve, undecayed

SCALED = ("loss", *SLOPES)  # quantities that scale with the loss


def change_error(change: ChangeOfAnswers) -> ChangeOfAnswers:
    """Return a function that changes the squared error and its gradients, and leaves the weight
    decay as it is.
    """

    def changed(a: Answers, problem: Problem) -> Answers:
        if not problem.loss.decay:
            return change(a, problem)
        alone = solve(undecayed(problem), Contract())
        other = change(alone, problem)
        return {name: a[name] + (other[name] - alone[name]) for name in a}

    return changed


def _take_mean(a: Answers, problem: Problem) -> Answers:
    count = problem.rows * sum(problem.formulation.network.outputs)
    return change_answers(SCALED, multiply_by(1 / count))(a, problem)


def _drop_last_row(a: Answers, problem: Problem) -> Answers:
    if problem.rows == 1:
        return a
    part = replace(
        undecayed(problem), inputs=problem.inputs[:, :-1], targets=problem.targets[:, :-1]
    )
    rest = solve(part, Contract())
    rest["input_gradient"] = np.pad(rest["input_gradient"], ((0, 0), (0, 1), (0, 0)))
    return {**rest, "forward": a["forward"]}


def _multiply_decay(factor: float) -> Callable[[Problem], Problem]:
    return lambda problem: replace(
        problem, loss=replace(problem.loss, decay=factor * problem.loss.decay)
    )


def _leave_biases_undecayed(a: Answers, problem: Problem) -> Answers:
    """Return answers with weight decay for weights only, not for biases."""
    network, decay = problem.formulation.network, problem.loss.decay
    biases = np.zeros(network.layout.size)
    for block in network.layout.blocks:
        biases[block.places.ravel()] = block.role == "bias"
    own = problem.theta * biases
    return {
        **a,
        "loss": a["loss"] - decay * (own**2).sum(axis=1),
        "gradient": a["gradient"] - 2 * decay * own,
    }


def _take_root(a: Answers, problem: Problem) -> Answers:
    """Return answers whose loss is the root of the mean square."""
    mean = _take_mean(a, problem)
    root = np.sqrt(mean["loss"])
    found = {**a, "loss": root}
    for name in SLOPES:
        slope = mean[name]
        found[name] = slope / (2 * root.reshape(-1, *[1] * (slope.ndim - 1)))
    return found


FAULTS: tuple[Fault, ...] = (
    Answer("mean_for_sum", "mean in place of the sum", change_error(_take_mean), "loss"),
    Answer(
        "half_square",
        "one half of the squared error",
        change_error(change_answers(SCALED, multiply_by(0.5))),
        "loss",
    ),
    Posed("decay_doubled", "decay counted twice", _multiply_decay(2.0), "loss"),
    Posed("decay_halved", "one half of the decay", _multiply_decay(0.5), "loss"),
    Posed("decay_dropped", "decay left out", _multiply_decay(0.0), "loss"),
    Answer("biases_undecayed", "decay left out for biases", _leave_biases_undecayed, "loss"),
    Answer(
        "root_mean_square",
        "root of the mean square in place of the sum",
        change_error(_take_root),
        "loss",
    ),
    Answer(
        "last_row_dropped", "last row left out of the loss", change_error(_drop_last_row), "loss"
    ),
)
