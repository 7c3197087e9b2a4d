"""How far the judge can be trusted: reads the file that `nnet-parity selfcheck` wrote beside the
report's folder.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec

from harness.reporting.results import content, converted

AGAIN = "run nnet-parity selfcheck again"
Rate = Annotated[float, msgspec.Meta(ge=0, le=1)]
Line = Annotated[str, msgspec.Meta(min_length=1, max_length=300)]
# the size of a fault, and a dtype: "structural float64", "1e-06 float32"
Size = Annotated[str, msgspec.Meta(pattern=r"^(structural|[1-9]e-[0-9]{2}) [a-z0-9]+$")]


class Caught(NamedTuple):
    """The rate of faults caught of a size, which is None for structural faults, in a dtype."""

    size: float | None
    dtype: str
    rate: float


@dataclass(frozen=True)
class Rule:
    """The judge or a published rule, with its rate of false alarms, and its rate of faults caught
    by their size and dtype.
    """

    rule: Line
    false_alarm_rate: Rate
    catch_rate: Annotated[dict[Size, Rate], msgspec.Meta(max_length=200)]

    @property
    def caught(self) -> list[Caught]:
        """`catch_rate`, with its names taken apart."""
        found = []
        for name, rate in self.catch_rate.items():
            size, dtype = name.split()
            found.append(Caught(None if size == "structural" else float(size), dtype, rate))
        return found


@dataclass(frozen=True)
class Selfcheck:
    """The results of a selfcheck, its date and commit; `note` is a sentence on why they do not hold
    here, or "".
    """

    date: Line
    commit: Line
    summary: Annotated[Sequence[Line], msgspec.Meta(max_length=50)]
    rules: Annotated[Sequence[Rule], msgspec.Meta(min_length=1, max_length=20)]
    note: str = ""


def read_beside(folder: Path, commit: str) -> Selfcheck | None:
    """Read the selfcheck beside a report's folder; None if there is none.

    Its note says that it is of another commit than the report's, or why it cannot be read. In the
    second case all other fields are empty.
    """
    path = folder.parent / "selfcheck.json"
    if not path.exists():
        return None
    try:
        result = converted(
            content(path), "selfcheck", lambda json: msgspec.convert(json, Selfcheck)
        )
    except (ValueError, OSError) as error:
        return Selfcheck("", "", (), (), note=f"{path.name} {error}: {AGAIN}.")
    if commit in (result.commit, "unknown"):
        return replace(result, note="")
    return replace(result, note=f"This report is of {commit}: {AGAIN}.")
