"""Mistakes of ported classifiers in their losses."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from math import log
from typing import Any

import numpy as np

from harness.core.formulation import Family
from harness.core.loss import OF_A_ROW, Error, Loss, Reduction
from harness.core.problem import Problem
from reference.faults.kinds import Fault, Posed
from reference.faults.outputs import (
    ROUNDINGS,
    ErrorsOf,
    OtherLoss,
    Output,
    WrongTape,
    find_any_errors,
)
from reference.mathematics.equations import evaluate
from reference.mathematics.errors import Errors, Head
from reference.mathematics.losses import find_errors, squares
from reference.mathematics.nodes import Node
from reference.mathematics.tape import Tape
from reference.mistakes.classifiers import OF_UNITS

Widths = tuple[int, ...]
Change = Callable[[Loss, Widths], Loss | None]
SMOOTHING = 0.1  # the planted label smoothing


def _multiply(loss: Loss, factors: float | tuple[float, ...], widths: Widths) -> Loss:
    """Return a copy of a loss whose errors are multiplied by a factor, or by one factor for each
    head. `widths` are those of the heads.
    """
    scaled = np.broadcast_to(np.asarray(loss.factor, dtype=float), len(widths)) * factors
    return replace(loss, factor=tuple(scaled.tolist()))


def _times(factor: float) -> Change:
    return lambda loss, widths: _multiply(loss, factor, widths)


def _reduce_as(reduction: Reduction, before: Reduction) -> Change:
    """Return a function that changes the reduction of a loss from `before` to `reduction`; it
    returns None for a loss that cannot have this mistake.
    """

    def changed(loss: Loss, widths: Widths) -> Loss | None:
        if loss.reduction != before or loss.weights is not None:
            return None
        return replace(loss, reduction=reduction)

    return changed


def _take_error(error: Error, before: Error) -> Change:
    """Return a function that changes the error of a loss in all heads (output tensors) from
    `before` to `error`; it returns None for a loss that cannot have this mistake.
    """

    def changed(loss: Loss, widths: Widths) -> Loss | None:
        if loss.errors(1) != (before,) or loss.changes_targets:
            return None
        if error in OF_A_ROW and min(widths) < 2:
            return None
        logits = loss.from_logits if error != "squares" else False
        return replace(loss, error=error, from_logits=logits)

    return changed


def _take_for_logits(loss: Loss, widths: Widths) -> Loss | None:
    return None if any(loss.logits(len(widths))) else replace(loss, from_logits=True)


def _forget_class_weights(loss: Loss, widths: Widths) -> Loss | None:
    return replace(loss, class_weights=None)


def _forget_smoothing(loss: Loss, widths: Widths) -> Loss | None:
    return replace(loss, label_smoothing=0.0)


def _smooth(loss: Loss, widths: Widths) -> Loss | None:
    if loss.label_smoothing > 0 or loss.error != "softmax":
        return None
    return replace(loss, label_smoothing=SMOOTHING)


def _forget_head(number: int) -> Change:
    """Return a function that leaves the errors of the head (an output tensor) `number` out of a
    loss; -1 is the last head.
    """

    def changed(loss: Loss, widths: Widths) -> Loss | None:
        if len(widths) < 2:
            return None
        factors = [1.0] * len(widths)
        factors[number] = 0.0
        return _multiply(loss, tuple(factors), widths)

    return changed


def _of_soft(change: Change) -> Change:
    """Return a function that does the same as `change`, but only for losses whose targets may be
    any shares; it returns None for others.
    """
    return lambda loss, widths: change(loss, widths) if loss.targets == "shares" else None


def _decay_biases(problem: Problem) -> Problem:
    """Return a copy of the problem in which every parameter, biases included, has the largest
    weight decay of any parameter.
    """
    return replace(problem, loss=replace(problem.loss, decay=float(problem.decays.max())))


def _forget_total(tape: Tape[Any], head: Head[Any]) -> Errors[Any]:
    """Return the errors of a head (an output tensor) with the derivative p - t (probabilities minus
    targets), which is right only if the targets of a row add up to 1.
    """
    m, found = tape.m, find_any_errors(tape, head)
    z = found.by.sum.formed
    slope = m.sub(m.softmax(z), m.lift(head.targets))
    return replace(found, slope=m.scale(slope, head.shares, ROUNDINGS * m.contract.roundoff))


def _leave_out_zeros(tape: Tape[Any], head: Head[Any]) -> Errors[Any]:
    """Return errors -t log p of probabilities p and targets t, without the terms (1 - t) log(1 -
    p), and their derivative -t (1 - p) by the logits.
    """
    m = tape.m
    found = find_any_errors(tape, replace(head, error="bce"))
    z = found.by.sum.formed
    off = m.act("logistic", m.scale(z, -1.0))[0]
    slope = m.mul(off, m.scale(m.lift(-head.targets), head.shares))
    slope = m.scale(slope, 1.0, ROUNDINGS * m.contract.roundoff)
    return replace(found, pairs=found.pairs[:1], slope=slope)


def _keep(name: str) -> Callable[[WrongTape[Any], Node[Any]], Node[Any]]:
    """Return a function that computes the outputs' activation `name` without a mistake: the mistake
    is only in the errors.
    """
    return lambda tape, z: tape.act(name, z)


def _activate_first(name: str) -> ErrorsOf:
    """Return a function that computes errors as if from logits, but takes an activation (`name`) of
    the logits for them.
    """

    def errors_of(tape: Tape[Any], head: Head[Any]) -> Errors[Any]:
        return find_errors(tape, replace(head, outputs=tape.act(name, head.outputs)))

    return errors_of


def _forget_log(tape: Tape[Any], head: Head[Any]) -> Errors[Any]:
    """Return the errors -sum t o of outputs o and targets t, and their derivative: as NLLLoss
    computes them, which expects logarithms.
    """
    m = tape.m
    factor = m.scale(m.lift(-head.targets), head.shares, ROUNDINGS * m.contract.roundoff)
    return Errors(((head.outputs.value, factor),), head.outputs, factor)


def _pair_all_rows(times: float, tape: Tape[Any], head: Head[Any]) -> Errors[Any]:
    """Return the squared differences of every output (R, 1) from every target, with a factor
    `times` / R.

    The sum of (o_i - t_j)^2 over all i and j is R times the sum over i of (o_i - mean)^2 and (t_i -
    mean)^2, where mean is the mean target. So only squares of differences from this mean are
    computed. R counts rows.
    """
    m, t = tape.m, head.targets
    centre = np.broadcast_to(t.mean(axis=1, keepdims=True), t.shape)
    around = squares(m, replace(head, targets=centre, shares=times * head.shares))
    apart = m.scale(m.lift(t - centre), 1.0, ROUNDINGS * m.contract.roundoff)
    return replace(around, pairs=(*around.pairs, (apart, m.scale(apart, times * head.shares))))


class _Broadcast(Output):
    """The squared differences of each output from the targets of all rows, as by wrong
    broadcasting; a mean is over all pairs.
    """

    def suits(self, loss: Loss, network: Family) -> bool:
        return network.outputs == (1,) and loss.is_squares and loss.weights is None

    def equations(self, problem: Problem) -> Callable[..., Any]:
        times = problem.rows if problem.loss.reduction == "sum" else 1
        return partial(evaluate, errors_of=partial(_pair_all_rows, times))


class _BroadcastMean(_Broadcast):
    """The same as a mean over all pairs, where the reference's loss is a sum: as by mse_loss."""

    def suits(self, loss: Loss, network: Family) -> bool:
        return loss.reduction == "sum" and super().suits(loss, network)

    def equations(self, problem: Problem) -> Callable[..., Any]:
        return partial(evaluate, errors_of=partial(_pair_all_rows, 1 / problem.rows))


FAULTS: tuple[Fault, ...] = (
    OtherLoss(
        "errors_averaged",
        "the loss is the mean of the errors, the reference's is their sum",
        _reduce_as("mean", "sum"),
    ),
    OtherLoss(
        "errors_averaged_over_rows",
        "the loss is the mean over rows, the reference's is the sum",
        _reduce_as("mean_of_rows", "sum"),
    ),
    OtherLoss(
        "errors_summed",
        "the loss is the sum of the errors, the reference's is their mean",
        _reduce_as("sum", "mean"),
    ),
    OtherLoss(
        "mean_not_divided",
        "errors divided by the number of rows, expected a mean over all outputs, or by the weights"
        " of their classes",
        _reduce_as("mean_of_rows", "mean"),
    ),
    OtherLoss(
        "errors_halved",
        "the loss is one half of the reference's: one of them has a factor 1/2 before its errors",
        _times(0.5),
    ),
    OtherLoss("log_base_2", "logarithms to the base 2", _times(1 / log(2))),
    OtherLoss("log_base_10", "logarithms to the base 10", _times(1 / log(10))),
    OtherLoss("first_head_forgotten", "loss of the first head left out", _forget_head(0)),
    OtherLoss("last_head_forgotten", "loss of the last head left out", _forget_head(-1)),
    OtherLoss("class_weights_dropped", "weights of classes left out", _forget_class_weights),
    OtherLoss("smoothing_dropped", "label smoothing left out", _forget_smoothing),
    OtherLoss("smoothing_added", "label smoothing of 0.1 added", _smooth),
    OtherLoss(
        "probabilities_taken_for_logits",
        "probabilities given to a loss that expects logits (CrossEntropyLoss, BCEWithLogitsLoss)",
        _take_for_logits,
    ),
    *(
        Output(
            f"{name}_before_loss",
            f"{called} of the logits given to a loss that expects logits",
            _keep("identity"),
            "loss",
            errors=errors,
            of="identity",
            errors_of=_activate_first(name),
        )
        for name, called, errors in (
            ("softmax", "softmax", ("softmax", "kl")),
            ("logistic", "sigmoid", OF_UNITS),
        )
    ),
    *(
        Output(
            f"log_of_{of}_forgotten",
            f"{called} given to a loss that expects logarithms of probabilities (NLLLoss)",
            _keep(of),
            "loss",
            errors=("softmax",),
            of=of,
            errors_of=_forget_log,
        )
        for of, called in (("softmax", "probabilities"), ("identity", "logits"))
    ),
    OtherLoss(
        "entropy_counted",
        "the targets' own entropy counted (BCELoss), which nnet takes off",
        _of_soft(_take_error("bce", "entropy")),
    ),
    OtherLoss(
        "entropy_taken_off",
        "the targets' own entropy taken off, as nnet does",
        _of_soft(_take_error("entropy", "bce")),
    ),
    OtherLoss(
        "bce_for_softmax",
        "binary cross entropy of each class in place of cross entropy",
        _take_error("bce", "softmax"),
    ),
    OtherLoss(
        "softmax_for_bce",
        "cross entropy in place of binary cross entropy",
        _take_error("softmax", "bce"),
    ),
    OtherLoss(
        "softmax_for_censored",
        "sets of classes taken for classes",
        _take_error("softmax", "censored"),
    ),
    OtherLoss(
        "squares_for_softmax",
        "squares in place of cross entropy",
        _take_error("squares", "softmax"),
    ),
    OtherLoss(
        "squares_for_bce",
        "squares in place of binary cross entropy",
        _take_error("squares", "bce"),
    ),
    OtherLoss(
        "softmax_entropy_taken_off",
        "the targets' own entropy taken off (KLDivLoss)",
        _of_soft(_take_error("kl", "softmax")),
    ),
    OtherLoss(
        "softmax_entropy_counted",
        "the targets' own entropy counted, expected it taken off (KLDivLoss)",
        _take_error("softmax", "kl"),
    ),
    Posed("biases_decayed", "decay of biases too", _decay_biases, "loss"),
    Output(
        "total_forgotten",
        "p - t as the slope of cross entropy, expected p times the sum of the targets, less t",
        _keep("softmax"),
        "gradient",
        errors=("softmax",),
        errors_of=_forget_total,
    ),
    Output(
        "total_forgotten_of_logits",
        "p - t as the slope of cross entropy, expected p times the sum of the targets, less t",
        _keep("identity"),
        "gradient",
        errors=("softmax",),
        of="identity",
        errors_of=_forget_total,
    ),
    Output(
        "zeros_left_out",
        "-t log p without (1 - t) log(1 - p)",
        _keep("logistic"),
        "loss",
        errors=OF_UNITS,
        of="logistic",
        errors_of=_leave_out_zeros,
    ),
    Output(
        "zeros_left_out_of_logits",
        "-t log p without (1 - t) log(1 - p)",
        _keep("identity"),
        "loss",
        errors=OF_UNITS,
        of="identity",
        errors_of=_leave_out_zeros,
    ),
    _Broadcast(
        "rows_broadcast",
        "outputs (n,) against targets (n, 1), which broadcast to (n, n): write .squeeze(-1) on"
        " both, or on neither",
        lambda tape, z: z,
        "loss",
    ),
    _BroadcastMean(
        "rows_broadcast_and_averaged",
        "outputs (n,) against targets (n, 1), which broadcast to (n, n), and their mean, the"
        " reference's is the sum: write .squeeze(-1) on both, or on neither",
        lambda tape, z: z,
        "loss",
    ),
)
