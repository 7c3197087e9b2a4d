"""How far the judge can be trusted: what `nnet-parity selfcheck` wrote beside the report's folder,
read strictly.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import msgspec

from harness.reporting.results import content, converted

AGAIN = "run nnet-parity selfcheck again"
Rate = Annotated[float, msgspec.Meta(ge=0, le=1)]
Line = Annotated[str, msgspec.Meta(min_length=1, max_length=300)]
# and dtype
Size = Annotated[str, msgspec.Meta(pattern=r"^(structural|[1-9]e-[0-9]{2}) [a-z0-9]+$")]


@dataclass(frozen=True)
class Rule:
    """The judge or a published rule: what it flags of what is right, and what it catches, by size
    and dtype.
    """

    rule: Line
    false_alarm_rate: Rate
    catch_rate: Annotated[dict[Size, Rate], msgspec.Meta(max_length=200)]


@dataclass(frozen=True)
class Selfcheck:
    """What was measured, when and on which commit; `note` is why that does not hold here, or ""."""

    date: Line
    commit: Line
    summary: Annotated[Sequence[Line], msgspec.Meta(max_length=50)]
    rules: Annotated[Sequence[Rule], msgspec.Meta(min_length=1, max_length=20)]
    note: str = ""


def read_beside(folder: Path, commit: str) -> Selfcheck | None:
    """The selfcheck beside a report's folder, or None; `commit` is what the report is of.

    The note says, in a sentence, that it is of another, or why it cannot be read: then it says
    nothing else.
    """
    path = folder.parent / "selfcheck.json"
    if not path.exists():
        return None
    try:
        found = converted(content(path), "selfcheck", lambda json: msgspec.convert(json, Selfcheck))
    except (ValueError, OSError) as error:
        return Selfcheck("", "", (), (), note=f"{path.name} {error}: {AGAIN}.")
    fresh = commit in (found.commit, "unknown")
    return replace(found, note="" if fresh else f"This report is of {commit}: {AGAIN}.")
