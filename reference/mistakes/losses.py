"""Mistakes in the loss: its error and its decay."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from harness.core.contract import Contract
from harness.core.formulation import Family
from harness.core.problem import Problem
from reference.faults.changes import ChangeOfAnswers, change_answers, multiply_by
from reference.faults.kinds import SLOPES, Answer, Answers, Fault, Posed, solve, undecayed

SCALED = ("loss", *SLOPES)  # quantities that scale with the loss


def change_error(change: ChangeOfAnswers) -> ChangeOfAnswers:
    """Return a function that applies `change` to the squared error and its gradients, and leaves
    the weight decay as it is.
    """

    def changed(a: Answers, problem: Problem) -> Answers:
        if not problem.loss.has_decay:
            return change(a, problem)
        alone = solve(undecayed(problem), Contract())
        other = change(alone, problem)
        return {name: a[name] + (other[name] - alone[name]) for name in a}

    return changed


def _take_mean(a: Answers, problem: Problem) -> Answers:
    count = problem.rows * sum(problem.network.outputs)
    return change_answers(SCALED, multiply_by(1 / count))(a, problem)


def _drop_last_row(a: Answers, problem: Problem) -> Answers:
    if problem.rows == 1:
        return a
    first = slice(problem.rows - 1)
    part = replace(
        problem,
        inputs=problem.inputs[:, first],
        targets=problem.targets[:, first],
        loss=undecayed(problem).loss.of_rows(first),
    )
    rest = solve(part, Contract())
    rest["input_gradient"] = np.pad(rest["input_gradient"], ((0, 0), (0, 1), (0, 0)))
    return {**rest, "forward": a["forward"]}


def _multiply_decay(factor: float) -> Callable[[Problem], Problem]:
    def multiply(problem: Problem) -> Problem:
        decay = problem.loss.one_decay
        scaled = factor * (problem.decays if decay is None else decay)
        return replace(problem, loss=replace(problem.loss, decay=scaled))

    return multiply


def _drop_weights(problem: Problem) -> Problem:
    return replace(problem, loss=replace(problem.loss, weights=None))


def _divide_weights(problem: Problem) -> Problem:
    """Return a copy of the problem in which the weights of rows are divided by their sum, as in a
    weighted mean.
    """
    weights = problem.loss.row_weights
    if weights is None or not weights.any():
        return problem
    return replace(problem, loss=replace(problem.loss, weights=weights / weights.sum()))


def _square_weights(problem: Problem) -> Problem:
    """Return a copy of the problem in which the weights of rows are squared: they multiply the
    differences, not the squares.
    """
    weights = problem.loss.row_weights
    if weights is None:
        return problem
    return replace(problem, loss=replace(problem.loss, weights=weights**2))


def _leave_biases_undecayed(a: Answers, problem: Problem) -> Answers:
    """Return a copy of the answers in which weight decay acts on weights only, not on biases."""
    network = problem.network
    decays = np.zeros(network.layout.size)
    for block in network.layout.blocks:
        if block.role == "bias":
            decays[block.places] = problem.decays[block.places]
    return {
        **a,
        "loss": a["loss"] - (decays * problem.theta**2).sum(axis=1),
        "gradient": a["gradient"] - 2 * decays * problem.theta,
    }


def _take_root(a: Answers, problem: Problem) -> Answers:
    """Return a copy of the answers in which the loss is the root mean square."""
    return _root(_take_mean(_as_sum(a, problem), problem))


def _as_sum(a: Answers, problem: Problem) -> Answers:
    """Return a copy of the answers in which the loss is the sum of squares, for any reduction of
    the problem's loss.
    """
    if problem.loss.reduction == "sum":
        return a
    return solve(replace(problem, loss=replace(problem.loss, reduction="sum")), Contract())


def _root(a: Answers) -> Answers:
    root = np.sqrt(a["loss"])
    found = {**a, "loss": root}
    for name in SLOPES:
        slope = a[name]
        found[name] = slope / (2 * root.reshape(-1, *[1] * (slope.ndim - 1)))
    return found


FAULTS: tuple[Fault, ...] = (
    Answer(
        "mean_for_sum",
        "the loss is the mean over rows and outputs, the reference's is the sum",
        change_error(_take_mean),
        "loss",
        errors=("squares",),
    ),
    Answer(
        "half_square",
        "the loss is one half of the reference's: one of them has a factor 1/2 before its errors",
        change_error(change_answers(SCALED, multiply_by(0.5))),
        "loss",
        errors=("squares",),
    ),
    Posed("decay_doubled", "decay counted twice", _multiply_decay(2.0), "loss"),
    Posed("decay_halved", "one half of the decay", _multiply_decay(0.5), "loss"),
    Posed("decay_dropped", "decay left out", _multiply_decay(0.0), "loss"),
    Posed("row_weights_dropped", "weights of rows left out", _drop_weights, "loss"),
    Posed("row_weights_divided", "weights of rows divided by their sum", _divide_weights, "loss"),
    Posed("row_weights_squared", "weights of rows squared", _square_weights, "loss"),
    Answer("biases_undecayed", "decay left out for biases", _leave_biases_undecayed, "loss"),
    Answer(
        "root_mean_square",
        "the loss is the root of the mean square (RMSE)",
        change_error(_take_root),
        "loss",
        errors=("squares",),
    ),
    Answer(
        "last_row_dropped", "last row left out of the loss", change_error(_drop_last_row), "loss"
    ),
)


def _take_root_of_sum(a: Answers, problem: Problem) -> Answers:
    return _root(_as_sum(a, problem))


def _exchange_targets(problem: Problem) -> Problem:
    """Return a copy of the problem in which the targets of two heads (output tensors) are
    exchanged.
    """
    width = problem.network.outputs[0]
    exchanged = np.concatenate([problem.targets[..., width:], problem.targets[..., :width]], -1)
    return replace(problem, targets=exchanged)


class _OfEqualHeads(Posed):
    """A mistake of a network with two heads of equal width."""

    def fits(self, network: Family) -> bool:
        outputs = network.outputs
        return len(outputs) == 2 and outputs[0] == outputs[1]


# tried to explain a failure
OTHERS: tuple[Fault, ...] = (
    Answer(
        "root_of_sum",
        "the loss is the root of the sum of squares (a norm)",
        change_error(_take_root_of_sum),
        "loss",
        errors=("squares",),
    ),
    _OfEqualHeads(
        "targets_of_heads_exchanged",
        "the targets of the two heads are exchanged",
        _exchange_targets,
        "loss",
    ),
)
