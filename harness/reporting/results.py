"""Reads results.json strictly into a report; an incomplete or damaged file is refused."""

import json
import math
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from reprlib import repr as shown  # whatever the depth and length
from typing import Annotated, Any, Literal, TypedDict, TypeVar

import msgspec

from harness.core.report import SCHEMA, Report
from harness.core.verdict import Status, Verdict
from harness.reporting.older_results import add_finding
from harness.text.reading import read_regular

T = TypeVar("T")
# Limits of a file that somebody else may have made. A trial takes 700 bytes and 29 values, a
# failure twice as much: some 27,000 trials are read. Whatever they are, so many bytes and values
# take less than 256 MB of memory.
MOST_BYTES, MOST_VALUES, MOST_DIGITS = 24 << 20, 800_000, 100
# what makes a value, or a line of a text, which older reports are read by
MARKS = (b",", b"[", b"{", rb"\n", rb"\u000")
# how letters are written for which Python keeps the whole text around them in four bytes a letter,
# or the whole file in two
WIDE = (re.compile(rb"\\u[dD][89abAB]"), re.compile(rb"[\xc4-\xff]"))


class VerdictInFile(TypedDict):
    """The fields that a verdict must have in a file. In memory they have defaults, but comparisons
    of two files need their values.
    """

    budget_used: Annotated[float, msgspec.Meta(ge=0)] | None
    why: str
    expect: Literal["equal", "differs"]


class ReportInFile(TypedDict):
    """The fields that a report must have in a file, although in memory they have defaults."""

    complete: bool
    contracts: dict[str, str]
    costs: list[Any]
    verdicts: list[VerdictInFile]


def read(path: Path) -> Report:
    """Return the report of a results.json. Raises ValueError, with a sentence, if it is incomplete
    or damaged.
    """
    try:
        data = read_regular(path, MOST_BYTES)
        _check_size(data)
        return parse(data)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"{path} {error}: give a results.json as pytest wrote it") from None


def parse(data: bytes) -> Report:
    """Return the report of a results.json from its bytes.

    Raises ValueError, which names the place, if something is missing, wrong or unreadable.
    """
    return parse_strictly(data, "report", _check_report)


def parse_strictly(data: bytes, what: str, convert: Callable[[Any], T]) -> T:
    """Parse JSON strictly, convert it by `convert`, and return the result.

    `what` names the expected thing in errors. Raises ValueError if the JSON is not strict, or if
    `convert` raises msgspec.ValidationError.
    """
    try:
        found = json.loads(
            data.decode(),
            object_pairs_hook=_refuse_twice,
            parse_float=_finite,
            parse_int=_whole,
            parse_constant=_finite,
        )
        return convert(found)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except msgspec.ValidationError as error:
        raise ValueError(f"is no whole {what} ({error})") from None
    except ValueError as error:
        raise ValueError(f"is not JSON that can be trusted ({error})") from None


def explain_size(path: Path) -> str:
    """Return why a written report is too large to be read again; "" if it is not."""
    try:
        _check_size(read_regular(path, MOST_BYTES))
    except (ValueError, OSError) as error:
        return f"{path.name} is too large to be a baseline: it {error}"
    return ""


def _check_size(data: bytes) -> None:
    """Raise ValueError for JSON that would take much memory to be read."""
    values = sum(map(data.count, MARKS))
    if values > MOST_VALUES:
        raise ValueError(f"has {values:,} values, expected at most {MOST_VALUES:,}")
    most = MOST_BYTES // 2
    if len(data) > most and any(letter.search(data) for letter in WIDE):
        raise ValueError(
            f"has {len(data):,} bytes and letters that take several each, expected at most {most:,}"
        )


def _check_report(found: Any) -> Report:
    if isinstance(found, dict) and found.get("schema") != SCHEMA:
        raise msgspec.ValidationError(
            f"the schema is {shown(found.get('schema'))}, expected {SCHEMA!r}"
        )
    msgspec.convert(found, ReportInFile)
    report = msgspec.convert(found, Report)
    for number, verdict in enumerate(report.verdicts):
        _check_pass(verdict, f"$.verdicts[{number}].budget_used")
    return replace(report, verdicts=[add_finding(verdict) for verdict in report.verdicts])


def _check_pass(verdict: Verdict, place: str) -> None:
    """Check that a passing trial has the share of its bound that it used.

    Raises msgspec.ValidationError, which names the place.
    """
    used = verdict.budget_used
    if verdict.status is Status.PASS and verdict.expect == "equal" and (used is None or used > 1):
        raise msgspec.ValidationError(f"Expected `float` <= 1 of a PASS, got {used} - at `{place}`")


def _refuse_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    counts = Counter(name for name, _ in pairs)
    twice = next(name for name, count in counts.items() if count > 1)
    raise ValueError(f"{shown(twice)} stands more than once in one object")


def _finite(literal: str) -> float:
    if not math.isfinite(value := float(literal)):
        raise ValueError(f"{literal[:20]} is not finite")
    return value


def _whole(literal: str) -> int:
    if len(literal) > MOST_DIGITS:
        raise ValueError(f"{literal[:20]}... has {len(literal):,} digits")
    return int(literal)
