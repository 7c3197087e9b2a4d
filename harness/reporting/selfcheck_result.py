"""Reads the results of `nnet-parity selfcheck`: measurements of the judge's reliability.

The command writes them beside the report's folder. It plants faults (wrong answers made on purpose)
and counts how many the judge and published rules catch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import msgspec

from harness.reporting.results import parse_strictly
from harness.text.reading import read_regular

MOST_BYTES = 1 << 20  # a selfcheck writes 50 to 150 kB
AGAIN = "run nnet-parity selfcheck again"
Rate = Annotated[float, msgspec.Meta(ge=0, le=1)]
Line = Annotated[str, msgspec.Meta(min_length=1, max_length=300)]
# the size of a fault, and a dtype: "structural float64", "1e-06 float32"
Size = Annotated[str, msgspec.Meta(pattern=r"^(structural|[1-9]e-[0-9]{2}) [a-z0-9]+$")]


@dataclass(frozen=True)
class Rule:
    """The judge or a published rule: its rate of false alarms, and its rates of faults (mistakes)
    caught.

    `catch_rate` maps a text of the fault's size and the dtype, such as "1e-06 float32", to a rate.
    """

    rule: Line
    false_alarm_rate: Rate
    catch_rate: Annotated[dict[Size, Rate], msgspec.Meta(max_length=200)]

    @property
    def rates(self) -> dict[str, list[tuple[float, float]]]:
        """Return, by dtype, pairs (size of a fault, percentage of such faults caught), in ascending
        order of size.

        A fault is a wrong answer made on purpose. Structural faults, which have no size, are left
        out.
        """
        found: dict[str, list[tuple[float, float]]] = {}
        for name, rate in self.catch_rate.items():
            size, dtype = name.split()
            if size != "structural":
                found.setdefault(dtype, []).append((float(size), 100 * rate))
        return {dtype: sorted(points) for dtype, points in found.items()}


@dataclass(frozen=True)
class Selfcheck:
    """The results of a selfcheck, with its date and commit.

    `note` is the reason why they do not apply to the report, or "".
    """

    date: Line
    commit: Line
    summary: Annotated[Sequence[Line], msgspec.Meta(max_length=50)]
    rules: Annotated[Sequence[Rule], msgspec.Meta(min_length=1, max_length=20)]
    note: str = ""


def read_beside(folder: Path, commit: str) -> Selfcheck | None:
    """Return the selfcheck beside a report's folder; None if there is none.

    If it is of another commit than the report, its note says so. If it cannot be read, its note is
    the reason, and all other fields are empty.
    """
    path = folder.parent / "selfcheck.json"
    if not path.exists():
        return None
    try:
        result = parse_strictly(
            read_regular(path, MOST_BYTES),
            "selfcheck",
            lambda json: msgspec.convert(json, Selfcheck),
        )
    except (ValueError, OSError) as error:
        return Selfcheck("", "", (), (), note=f"{path.name} {error}: {AGAIN}.")
    if commit in (result.commit, "unknown"):
        return replace(result, note="")
    return replace(result, note=f"This report is of {commit}: {AGAIN}.")
