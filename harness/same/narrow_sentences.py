"""The sentences on digits that two models lose in narrower dtypes than the claimed ones."""

from __future__ import annotations

from harness.core.finding import Located
from harness.evaluating.given import Given
from harness.locating.located import locate
from harness.matching.narrow import Narrow
from harness.same.evidence import Shown
from harness.words.naming import format_factor
from harness.words.wording import describe_operation


def describe_lost(bits: float, shown: Shown, dtype: str) -> str:
    """Return the first line of a failure in which precision is lost in a narrower dtype; `bits` is
    the number of bits lost.
    """
    headline = f"{shown.answer} may lose {bits:.0f} bits more than {dtype} must"
    operation = shown.compared.narrow.operation
    if operation is None:
        return headline
    most = describe_operation(locate(operation))
    return f"{headline}, most of them in {most}{_describe_first(shown.compared.narrow, most)}"


def describe_moved(shown: Shown, dtype: str, roundoff: float) -> str:
    """Return the first line of a failure in which a rounding to a narrower dtype than `dtype`, with
    this roundoff, moves an answer, though the bounds hide it.
    """
    narrow = shown.compared.narrow
    most = describe_operation(_locate(narrow))
    return (
        f"{shown.answer} loses digits in {_list_dtypes(narrow)}: rounding there may move it"
        f" by {narrow.share:.1g} of its size, {format_factor(narrow.share / roundoff)} times what"
        f" {dtype} rounds, most of it in {most}{_describe_first(narrow, most)}"
    )


def describe_alike(given: Given, shown: Shown) -> str:
    """Return the sentence on two models that lose the same digits in narrower dtypes."""
    mine, theirs = shown.compared.narrow, shown.compared.narrow_theirs
    return (
        f"both compute {shown.answer} in {_list_dtypes(mine)} in part: {given.name} in"
        f" {describe_operation(_locate(mine))}, {given.name_reference} in"
        f" {describe_operation(_locate(theirs))}; {given.name} loses no more by it"
    )


def _describe_first(narrow: Narrow, most: str) -> str:
    """Return which operation ran in a narrower dtype first, unless it is that of `most`."""
    first = "" if narrow.first is None else describe_operation(locate(narrow.first))
    return f"; the first in {_list_dtypes(narrow)} is {first}" if first not in ("", most) else ""


def _list_dtypes(narrow: Narrow) -> str:
    return " and ".join(sorted(narrow.dtypes))


def _locate(narrow: Narrow) -> Located:
    """Return the operation that loses most digits."""
    operation = narrow.mover or narrow.operation
    assert operation is not None
    return locate(operation)
