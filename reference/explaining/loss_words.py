"""Describes the differences of a loss from the reference's, in words and as a Loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple, get_args

from harness.core.loss import OF_A_ROW, Loss, Reduction

ORDINALS = ("first", "second", "third", "fourth", "fifth")
OUTPUTS, TOGETHER = "mean_of_outputs", "mean_of_all"  # reductions that Loss does not know


class Found(NamedTuple):
    """A loss that explains observed losses.

    It has the name of its errors ("" for the reference's), its reduction, the factor of each head
    (an output tensor), and the factors of the sums of squared weights and biases (None: those of
    the reference).
    """

    kind: str
    reduction: str
    factors: tuple[float, ...]
    penalty: tuple[float, float] | None = None


def list_scales(loss: Loss, widths: Sequence[int]) -> dict[str, Callable[[int], tuple[float, ...]]]:
    """Return by the name of each reduction, such as "mean", a function from the number of rows to
    factors: one for the summed errors of each head (an output tensor).
    """
    of_rows = [error in OF_A_ROW for error in loss.errors(len(widths))]
    counts = [1 if one else width for one, width in zip(of_rows, widths, strict=True)]
    total = sum(counts)
    scales: dict[str, Callable[[int], tuple[float, ...]]] = {
        "sum": lambda rows: tuple(1.0 for _ in counts),
        "mean": lambda rows: tuple(1 / (rows * count) for count in counts),
        "mean_of_rows": lambda rows: tuple(1 / rows for _ in counts),
    }
    if max(counts) > 1:
        scales[OUTPUTS] = lambda rows: tuple(1 / count for count in counts)
    if len(counts) > 1:
        scales[TOGETHER] = lambda rows: tuple(1 / (rows * total) for _ in counts)
    return scales


def as_loss(found: Found, loss: Loss, widths: Sequence[int]) -> Loss:
    """Return a copy of `loss` (the reference's) in which reduction and factors are those of
    `found`.
    """
    factors = list(found.factors)
    reductions: dict[str, Reduction] = {name: name for name in get_args(Reduction)}
    reductions |= {OUTPUTS: "sum", TOGETHER: "mean_of_rows"}
    if found.reduction == OUTPUTS:
        factors = [f / width for f, width in zip(factors, widths, strict=True)]
    if found.reduction == TOGETHER:
        factors = [f / sum(widths) for f in factors]
    return replace(loss, reduction=reductions[found.reduction], factor=tuple(factors))


def describe(found: Found, loss: Loss, widths: Sequence[int]) -> str:
    """Return the differences of the loss `found` from the reference's, in one sentence."""
    own = loss.factor if isinstance(loss.factor, Sequence) else [loss.factor] * len(widths)
    factors = [f / before for f, before in zip(found.factors, own, strict=True)]
    parts = []
    if found.kind == "absolute":
        parts.append("the loss has absolute errors (L1), the reference's has squares")
    elif found.kind:
        delta = found.kind.removeprefix("Huber ")
        parts.append(f"the loss is Huber's (smooth L1, delta {delta}), the reference's has squares")
    parts += _describe_size(found.reduction, factors, loss, widths)
    if found.penalty is not None:
        parts.append(_describe_penalty(found.penalty, loss))
    return "; ".join(parts)


def _describe_size(
    reduction: str, factors: Sequence[float], loss: Loss, widths: Sequence[int]
) -> list[str]:
    is_other = reduction != loss.reduction
    names = _name_reduction(reduction, loss, widths), _name_reduction(loss.reduction, loss, widths)
    if len(set(factors)) > 1:
        found = [f"the loss is {names[0]}, the reference's is {names[1]}"] if is_other else []
        return [*found, *_describe_heads(factors)]
    factor = factors[0]
    if is_other:
        much = "" if factor == 1 else f"{_times(factor)} "
        return [f"the loss is {much}{names[0]}, the reference's is {names[1]}"]
    if factor == 1:
        return []
    if factor == -1:
        return ["the loss has the opposite sign of the reference's"]
    more = ""
    if factor in (0.5, 2):
        more = ": one of them has a factor 1/2 before its errors"
    if len(factors) > 1 and factor == 1 / len(factors):
        more = ": it is the mean over the heads, the reference's is the sum"
    return [f"the loss is {_times(factor)} the reference's{more}"]


def _describe_heads(factors: Sequence[float]) -> list[str]:
    """Return a sentence for each head (an output tensor) whose factor differs from the
    reference's.
    """
    other = [number for number, factor in enumerate(factors) if factor != 1]
    if len(other) > 1 and 0 not in factors:
        spelled = " and ".join(f"{factor:.4g}" for factor in factors)
        return [f"the losses of the heads are multiplied by {spelled}, expected by 1 each"]
    said = []
    for number in other:
        head = f"the loss of the {_ordinal(number)} head"
        if factors[number] == 0:
            said.append(f"{head} is left out")
        else:
            said.append(f"{head} is multiplied by {factors[number]:.4g}, expected by 1")
    return said


def _describe_penalty(penalty: tuple[float, float], loss: Loss) -> str:
    of_weights, of_biases = penalty
    if of_weights == of_biases:
        what, factor = "all parameters", of_weights
    elif of_biases == 0:
        what, factor = "the weights, without the biases,", of_weights
    else:
        return (
            f"the loss has a decay of {of_weights:.4g} for weights and {of_biases:.4g} for biases,"
            f" the reference's has {loss.one_decay:g}"
        )
    if not loss.has_decay:
        return (
            f"{factor:.4g} times the sum of squares of {what} is added to the loss (a penalty,"
            " weight decay), which the reference does not add"
        )
    of = "" if of_weights == of_biases else " of the weights and none of the biases"
    return f"the loss has a decay of {factor:.4g}{of}, the reference's has {loss.one_decay:g}"


def _name_reduction(reduction: str, loss: Loss, widths: Sequence[int]) -> str:
    several = len(widths) > 1
    of_rows = set(loss.errors(len(widths))) <= set(OF_A_ROW)
    if reduction == "mean":
        if of_rows or max(widths) == 1:
            return "the mean over rows"
        return "the sum of the heads' means" if several else "the mean over rows and outputs"
    return {
        "sum": "the sum",
        "mean_of_rows": "the mean over rows of the sum over outputs",
        OUTPUTS: "the mean over outputs of the sum over rows",
        TOGETHER: "the mean over rows and the outputs of all heads",
    }[reduction]


def _times(factor: float) -> str:
    named = {0.5: "one half of", 2.0: "twice", 0.25: "one quarter of"}
    return named.get(factor, f"{factor:,.4g} times")


def _ordinal(number: int) -> str:
    return ORDINALS[number] if number < len(ORDINALS) else f"{number + 1}th"
