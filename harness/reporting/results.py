"""Reads results.json strictly into a report; a file that is not whole and sound is refused."""

import json
import math
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

T = TypeVar("T")
MOST_BYTES = 1 << 26  # 64 MiB; a thousand trials take less than one


class VerdictInFile(TypedDict):
    """The fields that a verdict must have in a file, though they have defaults in memory.

    A comparison of reports looks at them.
    """

    budget_used: Annotated[float, msgspec.Meta(ge=0)] | None
    why: str
    expect: Literal["equal", "differs"]


class ReportInFile(TypedDict):
    """The fields that a report must have in a file, though they have defaults in memory."""

    complete: bool
    contracts: dict[str, str]
    costs: list[Any]
    verdicts: list[VerdictInFile]


def read(path: Path) -> Report:
    """Return the report of a results.json. Raises ValueError, in a sentence, if it is not whole and
    sound.
    """
    try:
        return parse(content(path))
    except (ValueError, OSError) as error:
        raise ValueError(f"{path} {error}: give a results.json as pytest wrote it") from None


def content(path: Path) -> bytes:
    """Return the bytes of a file. Raises ValueError if it is no file or too long, and OSError."""
    if not path.is_file():  # a pipe would be waited for, a device might never end
        raise ValueError("is not a file")
    if (size := path.stat().st_size) > MOST_BYTES:
        raise ValueError(f"has {size} bytes, expected at most {MOST_BYTES}")
    return path.read_bytes()


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
        return convert(
            json.loads(
                data.decode(),
                object_pairs_hook=_refuse_twice,
                parse_float=_finite,
                parse_constant=_finite,
            )
        )
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except msgspec.ValidationError as error:
        raise ValueError(f"is no whole {what} ({error})") from None
    except ValueError as error:
        raise ValueError(f"is not JSON that can be trusted ({error})") from None


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
    """Check that a trial that passes says which share of its bound it used.

    Raises msgspec.ValidationError, which names the place.
    """
    used = verdict.budget_used
    if verdict.status is Status.PASS and verdict.expect == "equal" and (used is None or used > 1):
        raise msgspec.ValidationError(f"Expected `float` <= 1 of a PASS, got {used} - at `{place}`")


def _refuse_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if twice := [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]:
        raise ValueError(f"{shown(twice[0])} stands more than once in one object")
    return dict(pairs)


def _finite(literal: str) -> float:
    if not math.isfinite(value := float(literal)):
        raise ValueError(f"{literal[:20]} is not finite")
    return value
