"""Mistakes of ported classifiers in their outputs and classes."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from harness.core.contract import Array
from harness.core.loss import ERRORS, OF_A_ROW
from harness.core.problem import Problem
from reference.faults.kinds import Blocks, Fault, Misread, Posed
from reference.faults.outputs import Output, WrongTape, find_errors_of_logits
from reference.mathematics.nodes import Node

OF_UNITS = ("entropy", "bce")
OF_CLASSES = tuple(error for error in ERRORS if error != "squares")


# Other outputs: functions of a tape and the argument z of the right activation.


def _twice(name: str) -> Callable[[WrongTape[Any], Node[Any]], Node[Any]]:
    return lambda tape, z: tape.act(name, tape.act(name, z))


def _instead(name: str) -> Callable[[WrongTape[Any], Node[Any]], Node[Any]]:
    return lambda tape, z: tape.act(name, z)


def _over_rows(tape: WrongTape[Any], z: Node[Any]) -> Node[Any]:
    return tape.softmax_over_rows(z)


def _log_softmax(tape: WrongTape[Any], z: Node[Any]) -> Node[Any]:
    return tape.log_softmax(z)


# Other classes.


def _change_classes(change: Callable[[Array], Array]) -> Callable[[Blocks], Blocks]:
    """Return a function that takes the network's blocks (parameter tensors) and applies `change` to
    the outputs' order in each head.
    """

    def changed(p: Blocks) -> Blocks:
        return {block: w if block.head is None else change(w) for block, w in p.items()}

    return changed


def _reverse(w: Array) -> Array:
    return w[::-1]


def _move_by_one(w: Array) -> Array:
    return np.roll(w, 1, axis=0)


def _reverse_levels(problem: Problem) -> Problem:
    """Return a copy of the problem in which the targets of each head (an output tensor) have the
    classes in reverse order.
    """
    widths = problem.network.outputs
    heads = np.split(problem.targets, np.cumsum(widths)[:-1], axis=-1)
    return replace(problem, targets=np.concatenate([t[..., ::-1] for t in heads], axis=-1))


def _exchange_levels(problem: Problem) -> Problem:
    return replace(problem, targets=1 - problem.targets)


FAULTS: tuple[Fault, ...] = (
    Output("softmax_twice", "softmax applied twice", _twice("softmax"), errors=OF_CLASSES),
    Output(
        "softmax_over_rows",
        "softmax over the rows of a column in place of the classes of a row (dim=0)",
        _over_rows,
        errors=OF_CLASSES,
    ),
    Output(
        "logistic_for_softmax",
        "sigmoid of each output in place of softmax",
        _instead("logistic"),
        errors=("softmax", "kl"),
    ),
    Output(
        "logistic_twice",
        "sigmoid applied twice",
        _twice("logistic"),
        errors=OF_UNITS,
        of="logistic",
    ),
    Output(
        "softmax_for_logistic",
        "softmax in place of the sigmoid of each output",
        _instead("softmax"),
        errors=OF_UNITS,
        of="logistic",
    ),
    Output(
        "probabilities_for_logits",
        "probabilities (softmax) given where logits are expected",
        _instead("softmax"),
        errors=OF_A_ROW,
        of="identity",
    ),
    Output(
        "probability_for_logit",
        "probabilities (sigmoid) given where logits are expected",
        _instead("logistic"),
        errors=OF_UNITS,
        of="identity",
    ),
    Output(
        "logits_for_probabilities",
        "logits given where probabilities are expected: softmax is left out, or the case means"
        " output='identity' and Loss(from_logits=True)",
        _instead("identity"),
        errors=OF_A_ROW,
        errors_of=find_errors_of_logits,
    ),
    Output(
        "logit_for_probability",
        "logits given where probabilities are expected: sigmoid is left out, or the case means"
        " output='identity' and Loss(from_logits=True)",
        _instead("identity"),
        errors=OF_UNITS,
        of="logistic",
        errors_of=find_errors_of_logits,
    ),
    Output(
        "log_softmax_for_softmax",
        "logarithms of probabilities (log_softmax) given where probabilities are expected",
        _log_softmax,
        errors=OF_A_ROW,
        errors_of=find_errors_of_logits,
    ),
    Output(
        "log_softmax_for_logits",
        "logarithms of probabilities (log_softmax) given where logits are expected",
        _log_softmax,
        errors=OF_A_ROW,
        of="identity",
    ),
    Misread(
        "classes_reversed",
        "outputs (classes) of each head in reverse order",
        _change_classes(_reverse),
        errors=OF_CLASSES,
    ),
    Misread(
        "classes_rolled",
        "outputs (classes) of each head rolled by one",
        _change_classes(_move_by_one),
        errors=OF_CLASSES,
    ),
    Posed(
        "levels_reversed",
        "levels of the targets in reverse order",
        _reverse_levels,
        "loss",
        errors=OF_CLASSES,
    ),
    Posed(
        "levels_exchanged",
        "the two levels of each target exchanged",
        _exchange_levels,
        "loss",
        errors=OF_UNITS,
    ),
)
