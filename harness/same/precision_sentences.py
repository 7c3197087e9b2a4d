"""The sentences on precision that a model loses."""

from __future__ import annotations

import math

from harness.locating.located import locate
from harness.same.evidence import Shown
from harness.words.naming import format_factor
from harness.words.wording import describe_operation


def describe_lost(bits: float, shown: Shown, dtype: str) -> str:
    """Return the first line of a failure in which precision is lost in a narrower dtype; `bits` is
    the number of bits lost.
    """
    headline = f"{shown.answer} may lose {bits:.0f} bits more than {dtype} must"
    named = list(dict.fromkeys(shown.compared.lost_in))
    if not named:
        return headline
    most, first = (describe_operation(locate(named[place])) for place in (0, -1))
    if most == first:
        return f"{headline}, most of them in {most}"
    return f"{headline}, most of them in {most}; the first in a narrower dtype is {first}"


def describe_worse(bits: float, shown: Shown, other: str) -> str:
    """Return the first line of a failure in which the form of a model loses `bits` more than that
    of the reference, called `other`.
    """
    headline = (
        f"{shown.answer} may lose {bits:.0f} bits more than by the operations of {other}: the same"
        " function in a form that rounds worse"
    )
    operation = shown.compared.worse_in
    if operation is None:
        return headline
    return f"{headline}, most in {describe_operation(locate(operation))}"


def describe_run(shown: Shown, name: str, dtype: str) -> str:
    """Return the first line of a failure in which an answer, as the model `name` ran, is outside
    its bound.
    """
    factor, label = shown.compared.run_factor, shown.result.ask.label
    endless = shown.result.endless
    if math.isinf(factor) and endless is not None:
        return (
            f"{shown.answer}, as {name} ran in {dtype}, is not finite, and in float64 it is: the"
            f" first number that is not comes of {describe_operation(endless)}, from finite ones"
            f" ({label})"
        )
    return (
        f"{shown.answer}, as {name} ran, errs by {format_factor(factor)} times the {dtype} rounding"
        f" bound of its own operations ({label})"
    )
