"""The sentences on digits that two models lose in narrower dtypes than the claimed ones."""

from __future__ import annotations

from harness.core.finding import Located
from harness.evaluating.given import Given
from harness.locating.located import CAST, locate
from harness.matching.narrow import Narrow
from harness.same.evidence import Shown
from harness.shadow.recording import Operation
from harness.words.naming import format_factor
from harness.words.wording import describe_operation

METHODS = {"float16": "half", "float32": "float", "bfloat16": "bfloat16", "float64": "double"}


def describe_lost(bits: float, shown: Shown, dtype: str) -> str:
    """Return the first line of a failure in which precision is lost in a narrower dtype; `bits` is
    the number of bits lost.
    """
    headline = f"{shown.answer} may lose {bits:.0f} bits more than {dtype} must"
    operation = shown.compared.narrow.operation
    if operation is None:
        return headline
    narrow = shown.compared.narrow
    most = describe_operation(locate(operation))
    said = _describe_where("most of them", narrow, most)
    return f"{headline}{said}{_describe_written(narrow, dtype)}"


def describe_moved(shown: Shown, dtype: str, roundoff: float) -> str:
    """Return the first line of a failure in which a rounding to a narrower dtype than `dtype`, with
    this roundoff, moves an answer, though the bounds hide it.
    """
    narrow = shown.compared.narrow
    most = describe_operation(_locate(narrow))
    return (
        f"{shown.answer} loses digits in {_list_dtypes(narrow)}: rounding there may move it"
        f" by {narrow.share:.1g} of its size, {format_factor(narrow.share / roundoff)} times what"
        f" {dtype} rounds{_describe_where('most of it', narrow, most)}"
    )


def describe_alike(given: Given, shown: Shown) -> str:
    """Return the sentence on two models that lose the same digits in narrower dtypes."""
    mine, theirs = shown.compared.narrow, shown.compared.narrow_theirs
    return (
        f"both compute {shown.answer} in {_list_dtypes(mine)} in part: {given.name} in"
        f" {describe_operation(_locate(mine))}, {given.name_reference} in"
        f" {describe_operation(_locate(theirs))}; {given.name} loses no more by it"
    )


def _describe_where(most_of: str, narrow: Narrow, most: str) -> str:
    """Return where digits are lost: the first cast to a narrower dtype, or the operation `most` and
    the first one in such a dtype.
    """
    first = narrow.first
    if first is not None and first.functional == CAST:
        return f": {_describe_cast(first)}"
    said = "" if first is None else describe_operation(locate(first))
    more = "" if said in ("", most) else f"; the first in {_list_dtypes(narrow)} is {said}"
    return f", {most_of} in {most}{more}"


def _describe_cast(operation: Operation) -> str:
    """Return a cast in words: "rounded to float16 by .half() (net.py:9: h = x.half())"."""
    found = locate(operation)
    dtype = found.operation.removeprefix("cast to ")
    method = f".{METHODS.get(dtype, dtype)}()"
    by = f" by {method}" if method in found.source and not found.backward else ""
    by = ", on the way back" if found.backward else by
    where = f" in {found.layer}" if found.layer else ""
    line = f" ({found.line}: {found.source})" if found.source else ""
    return f"rounded to {dtype}{by}{where}{line}"


def _describe_written(narrow: Narrow, dtype: str) -> str:
    """Return advice where only float64 loses digits, since the model computes in float32."""
    if dtype != "float64" or narrow.dtypes != frozenset({"float32"}):
        return ""
    return '; float32 is written in it, so only float64 loses: dtypes=["float32"] asks for no more'


def _list_dtypes(narrow: Narrow) -> str:
    return " and ".join(sorted(narrow.dtypes))


def _locate(narrow: Narrow) -> Located:
    """Return the operation that loses most digits."""
    operation = narrow.mover or narrow.operation
    assert operation is not None
    return locate(operation)
