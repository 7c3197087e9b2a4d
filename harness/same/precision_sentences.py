"""The sentences on forms that round worse, and on answers outside the bounds of their dtype."""

from __future__ import annotations

import math

from harness.locating.located import locate
from harness.same.evidence import Shown
from harness.words.naming import format_factor
from harness.words.wording import describe_operation


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
