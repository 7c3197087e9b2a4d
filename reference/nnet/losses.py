"""The losses that R's nnet supports, and a problem's loss in nnet's form.

nnet has one error for all outputs, and a weight for each row. In shapes, D counts draws (problems
of a stack), R rows, O outputs of all heads, and T weights.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from harness.core.contract import Array
from harness.core.loss import OF_A_ROW, SUM_OF_SQUARES, Error, Loss
from harness.core.problem import Problem
from reference.mathematics.losses import ACTIVATION_OF
from reference.mathematics.network import Network
from reference.nnet.networks import BEYOND_MEMORY, is_beyond_memory

# of targets 0 and 1; nnet takes the entropy of any others off
IN_R: dict[Error, Error] = {"bce": "entropy"}
# nnet's errors of probabilities; squares are of linear and logistic outputs
OF_PROBABILITIES = ("entropy", "softmax", "censored")


def cannot_lose(problem: Problem) -> str:
    """Return why nnet cannot compute the gradient of a problem's loss; "" if it can.

    The network must be one that nnet supports. If nnet can compute the gradient, `cannot_sum` tells
    whether it can also compute the loss.
    """
    loss, network = problem.loss, _network_of(problem)
    if penalises_others(problem):
        return (
            "nnet computes tanh through other weights than these, and its decay would penalise"
            " those"
        )
    heads = len(network.outputs)
    errors = {IN_R.get(error, error) for error in loss.errors(heads)}
    if len(errors) > 1:
        return "R nnet has one error for all outputs, not one for each head"
    error = errors.pop()
    if error != "squares" and error not in OF_PROBABILITIES:
        return f"R nnet has no {error}"
    if why := _cannot_activate(problem, error):
        return why
    if error in OF_A_ROW and heads > 1:
        return f"R nnet's {error} is one over all outputs, not one for each head"
    if error in OF_A_ROW and is_beyond_memory(network):
        return BEYOND_MEMORY
    if (problem.shares == problem.shares[..., :1]).all():
        return ""
    if loss.reduction == "mean":
        return "nnet weighs rows, not outputs: it has no mean over heads of different widths"
    return "nnet weighs rows, not outputs: it has no factor for each head"


def penalises_others(problem: Problem) -> bool:
    """Would nnet's decay penalise other weights than the network's? (It computes tanh with other
    weights.)
    """
    return problem.loss.has_decay and _network_of(problem).activation == "tanh"


def _cannot_activate(problem: Problem, error: str) -> str:
    """Return why nnet does not support an error for the activation of a problem's outputs; "" if it
    does.
    """
    output: Any = _network_of(problem).output
    logits = set(problem.loss.logits(len(_network_of(problem).outputs)))
    if error == "squares":
        if output == "softmax":
            return "R nnet's softmax always means its own loss, not squares"
        return ""
    needed = ACTIVATION_OF[error]
    expected = {"identity": True, needed: False}  # are the outputs logits?
    if output in expected and logits == {expected[output]}:
        return ""
    kind = "logits" if True in logits else "probabilities"
    return (
        f"nnet's {error} is of {needed} outputs, or of identity outputs that are logits, not of"
        f" {output} outputs that are {kind}"
    )


def cannot_sum(problem: Problem) -> str:
    """Return why nnet can compute the gradient of a problem's loss but not its value; "" if it can
    compute both.
    """
    errors = problem.loss.errors(len(problem.network.outputs))
    if "bce" in errors and not np.isin(problem.targets, (0.0, 1.0)).all():
        return (
            "nnet takes the entropy of the targets off: it has no bce of targets other than 0 and 1"
        )
    return ""


def list_quantities(problem: Problem) -> tuple[tuple[str, ...], str]:
    """Return the names of the quantities that nnet can compute for a problem, and the reason if
    these are not all ("" if they are).

    The network must be one that nnet supports.
    """
    if why := cannot_lose(problem):
        return () if penalises_others(problem) else ("forward",), why
    if why := cannot_sum(problem):
        return ("forward", "gradient"), why
    return ("forward", "loss", "gradient"), ""


def without_loss(problem: Problem) -> Problem:
    """Return a copy of the problem with a loss that nnet supports for its outputs. It is used if
    only the outputs are needed.
    """
    is_softmax = _network_of(problem).output == "softmax"
    return replace(problem, loss=Loss(error="softmax") if is_softmax else SUM_OF_SQUARES)


def find_error(problem: Problem) -> Error:
    """Return the error of a loss that nnet supports, by nnet's name such as "entropy"."""
    error = problem.loss.errors(1)[0]
    return IN_R.get(error, error)


def find_row_weights(problem: Problem) -> Array | None:
    """Return the weight of each row of each draw (D, R) in nnet's form; None if all are 1.

    D counts draws (problems of a stack) and R rows.
    """
    weights = np.broadcast_to(problem.shares, problem.targets.shape)[..., 0]
    return None if (weights == 1).all() else np.array(weights)


def find_decay(problem: Problem) -> float | Array:
    """Return the decay in nnet's form: one number, or one for each weight (T,)."""
    one_decay = problem.loss.one_decay
    return problem.decays if one_decay is None else one_decay


def find_targets(problem: Problem) -> Array:
    """Return the targets (D, R, O) in nnet's form, with class weights and smoothing applied.

    D counts draws (problems of a stack), R rows and O outputs of all heads.
    """
    return problem.loss.change_targets(problem.targets)


def _network_of(problem: Problem) -> Network:
    network = problem.network
    assert isinstance(network, Network), network.sentence()
    return network
