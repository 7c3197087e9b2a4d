"""Searches for another loss that explains the observed losses: other factors of the heads, another
reduction, absolute errors, Huber's, or a penalty on the parameters.

In each stack the observed losses are fitted by the summed errors of each head and, if needed, by
the sums of squared weights and biases. In shapes, D counts draws (problems of a stack), R rows of
data, and K outputs of a head.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np

from harness.core.contract import Array, Contract
from harness.core.loss import Loss
from harness.core.problem import Problem
from reference.explaining.loss_words import Found, as_loss, describe, list_scales
from reference.explaining.stacks import ALIKE, Stack, are_alike
from reference.faults.changes import change_answers, multiply_by
from reference.faults.kinds import SLOPES, Answer, Fault, solve, undecayed
from reference.faults.outputs import ErrorsOf, find_any_errors
from reference.faults.residuals import WithLoss, absolute, huber
from reference.mistakes.losses import change_error

DETERMINED = 1e-6  # least ratio of singular values for which factors can be told apart
DIGITS = 4  # of a factor that is nearly one of so many digits
SPARE = 2  # draws more than factors at least


class Kind(NamedTuple):
    """A kind of error of outputs: its name ("" for the case's own), and two ways to compute it.

    `of` computes errors from differences of outputs and targets (None for the case's own error);
    `errors_of` does so on a tape, for the equations.
    """

    name: str
    of: Callable[[Array], Array] | None
    errors_of: ErrorsOf


def _huber(delta: float) -> Kind:
    def of(r: Array) -> Array:
        size = abs(r)
        return np.where(size <= delta, r * r / 2, delta * (size - delta / 2))

    return Kind(f"Huber {delta:g}", of, huber(delta))


KINDS = (
    Kind("", None, find_any_errors),
    Kind("absolute", np.abs, absolute),
    *map(_huber, (1.0, 0.1, 0.5, 10.0, 1.35)),
)


def find_losses(stacks: Sequence[Stack]) -> Iterator[Fault]:
    """Yield faults (mistakes) with another loss than the case's that explains the observed
    losses.
    """
    first = stacks[0].problem
    if not all("loss" in stack.observed for stack in stacks) or first.loss.weights is not None:
        return
    for kind in KINDS if first.loss.is_squares else KINDS[:1]:
        for has_penalty in (False, True) if first.formulation.is_renaming else (False,):
            fits = [_fit(stack, kind, has_penalty) for stack in stacks]
            known = [fit for fit in fits if fit is not None]
            if known and (made := _make(first, kind, known)):
                yield made
                return


def list_kinds(problem: Problem) -> Iterator[Fault]:
    """Yield faults (mistakes) with another kind of error than squares.

    They explain gradients of a training whose losses are not observed, so that no factor can be
    fitted to them.
    """
    loss, widths = problem.loss, problem.formulation.network.outputs
    if not loss.is_squares or loss.weights is not None:
        return
    for kind in KINDS[1:]:
        for reduction in ("sum", "mean"):
            found = Found(kind.name, reduction, tuple(1.0 for _ in widths))
            changed = as_loss(found, loss, widths)
            name, words = f"another_loss {reduction} {kind.name}", describe(found, loss, widths)
            yield WithLoss(name, words, partial(_choose_loss, changed), errors_of=kind.errors_of)


def _choose_loss(changed: Loss, before: Loss, outputs: int) -> Loss:
    return changed


class _Fit(NamedTuple):
    """The factors that fit the losses of a stack of problems.

    They are those of the summed errors of each head (an output tensor), and of the sums of squared
    weights and biases. `rows` is the number of rows in the stack's problem.
    """

    rows: int
    heads: Array
    penalty: Array


def _fit(stack: Stack, kind: Kind, has_penalty: bool) -> _Fit | None:
    """Return the factors that fit the observed losses of a stack of problems; None if none fit, or
    if several do.

    `kind` is the kind of error, and `has_penalty` adds the sums of squared weights and biases.
    """
    problem, losses = stack.problem, stack.observed["loss"]
    parts = _sum_by_head(stack, kind)
    heads = parts.shape[1]
    if has_penalty:
        parts = np.concatenate([parts, _sum_squares(problem)], axis=1)
    if not has_penalty and problem.loss.has_decay:
        losses = losses - (problem.decays * problem.theta**2).sum(axis=1)
    used = np.isfinite(losses) & np.isfinite(parts).all(axis=1) & (abs(losses) > 0)
    if used.sum() < parts.shape[1] + SPARE:
        return None
    weighed = parts[used] / losses[used, None]
    size = np.linalg.norm(weighed, axis=0)
    if not size.all():
        return None
    factors, _, _, singular = np.linalg.lstsq(weighed / size, np.ones(used.sum()), rcond=None)
    if singular[-1] < DETERMINED * singular[0]:
        return None
    if not abs(weighed / size @ factors - 1).max() <= ALIKE:
        return None
    factors = factors / size
    return _Fit(problem.rows, factors[:heads], factors[heads:])


def _sum_by_head(stack: Stack, kind: Kind) -> Array:
    """Return the summed errors of each output tensor (D, heads), without factors and weight decay.

    D counts draws (problems of a stack).
    """
    problem, widths = stack.problem, stack.problem.network.outputs
    if kind.of is not None or problem.loss.is_squares:
        r = stack.right["forward"] - problem.targets
        errors = r * r if kind.of is None else kind.of(r)
        by_head = np.split(errors, np.cumsum(widths)[:-1], axis=-1)
        return np.stack([each.sum(axis=(1, 2)) for each in by_head], axis=1)
    columns = []
    for head in range(len(widths)):
        factor = [0.0] * len(widths)
        factor[head] = 1.0
        loss = replace(undecayed(problem).loss, factor=tuple(factor), reduction="sum")
        columns.append(solve(replace(problem, loss=loss), Contract())["loss"])
    return np.stack(columns, axis=1)


def _sum_squares(problem: Problem) -> Array:
    """Return the sums of squares of all weights and of all biases (D, 2).

    D counts draws (problems of a stack).
    """
    squares = problem.theta**2
    sums = []
    for role in ("weight", "bias"):
        blocks = [b for b in problem.network.layout.blocks if b.role == role]
        places = np.concatenate([block.places.ravel() for block in blocks] or [np.zeros(0, int)])
        sums.append(squares[:, places[places >= 0]].sum(axis=1))
    return np.stack(sums, axis=1)


def _make(problem: Problem, kind: Kind, fits: Sequence[_Fit]) -> Fault | None:
    """Return a fault (a mistake) with the loss that fits all stacks; None if there is none, or if
    it is the case's own loss.
    """
    loss, widths = problem.loss, problem.network.outputs
    found = _choose(problem, kind.name, fits)
    if found is None:
        return None
    penalty = None
    if fits[0].penalty.size:
        penalty = _share_penalty(loss, fits)
        if penalty is None:
            return None
    found = found._replace(penalty=penalty)
    words = describe(found, loss, widths)
    if not words:
        return None
    if min(found.factors) < 0:
        return _negate(found, loss, words)
    changed = as_loss(found, loss, widths)
    if penalty is not None:
        changed = replace(changed, decay=_spell_decay(problem, penalty))
    name = f"another_loss {changed!r} {kind.name}"
    return WithLoss(name, words, partial(_choose_loss, changed), errors_of=kind.errors_of)


def _negate(found: Found, loss: Loss, words: str) -> Fault | None:
    """Return a fault (a mistake) that multiplies the errors by a negative number, which a Loss
    cannot express.

    `words` describes it. Return None if the factors of heads (output tensors) differ, or if errors
    or reduction are not the reference's.
    """
    if len(set(found.factors)) > 1 or found.reduction != loss.reduction or found.kind:
        return None
    own = loss.factor if isinstance(loss.factor, int | float) else None
    if own is None:
        return None
    change = change_answers(("loss", *SLOPES), multiply_by(found.factors[0] / own))
    return Answer("loss_negated", words, change_error(change), "loss")


def _choose(problem: Problem, kind: str, fits: Sequence[_Fit]) -> Found | None:
    """Return the simplest reduction and factors that fit all stacks; None if there are none.

    `kind` is the name of the errors.
    """
    loss, widths = problem.loss, problem.network.outputs
    own = np.broadcast_to(np.asarray(loss.factor, dtype=float), (len(widths),))
    best: tuple[int, Found] | None = None
    for reduction, scale in list_scales(loss, widths).items():
        every = np.stack([fit.heads / scale(fit.rows) for fit in fits])
        if not all(are_alike(np.where(abs(row) < ALIKE, 0, row), _clean(every)) for row in every):
            continue
        factors = tuple(_snap(factor) for factor in _clean(every).tolist())
        rank = _rank(
            reduction == loss.reduction, [f / b for f, b in zip(factors, own, strict=True)]
        )
        if best is None or rank < best[0]:
            best = rank, Found(kind, reduction, factors)
    return best[1] if best else None


def _clean(every: Array) -> Array:
    """Return the median over all stacks of each factor, with negligible factors set to 0."""
    middle = np.median(every, axis=0)
    return np.asarray(np.where(abs(middle) < ALIKE * abs(middle).max(), 0.0, middle))


def _rank(is_own: bool, factors: Sequence[float]) -> int:
    """Return a rank for how simple a loss is: 0 is the simplest.

    `is_own` says that the reduction is the case's own. `factors` has a factor for each head (an
    output tensor), divided by that of the case.
    """
    if len(set(factors)) > 1:
        return 4 if is_own else 5
    if is_own and factors[0] in (1, 0.5, 2, -1):
        return 0
    if factors[0] == 1:
        return 1
    return 2 if is_own else 3


def _snap(factor: float) -> float:
    """Return a number of few digits near a factor, if there is one; else the factor."""
    short = float(f"{factor:.{DIGITS}g}")
    return short if abs(short - factor) <= ALIKE * abs(factor) / 2 else factor


def _share_penalty(loss: Loss, fits: Sequence[_Fit]) -> tuple[float, float] | None:
    """Return the median over all stacks of the factors of squared weights and squared biases; None
    if they are the reference's, or if no Loss can have them.
    """
    every = np.stack([fit.penalty for fit in fits])
    shared = _clean(every)
    if loss.one_decay is None or (shared < 0).any():
        return None
    of_weights, of_biases = (_snap(each) for each in shared.tolist())
    if of_weights == of_biases == loss.one_decay:
        return None
    return of_weights, of_biases


def _spell_decay(problem: Problem, penalty: tuple[float, float]) -> float | dict[str, float]:
    if penalty[0] == penalty[1]:
        return penalty[0]
    blocks = problem.network.layout.blocks
    return {block.name: penalty[block.role == "bias"] for block in blocks}
