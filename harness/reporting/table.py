"""Verdicts as a table: a row for each case and subject, a column for each device, reference and
dtype.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from harness.core.report import grouped
from harness.core.verdict import Status, Verdict


class Column(NamedTuple):
    """Where, against what and in which dtype was judged."""

    device: str
    reference: str = ""
    dtype: str = ""


class Cell(NamedTuple):
    """What the trials of a row came to in a column: its kind, in a word, and where or why."""

    kind: str
    text: str
    title: str


class Row(NamedTuple):
    """A subject of a case, with a cell for each column."""

    case: str
    subject: str
    cells: list[Cell]


def table(
    verdicts: Sequence[Verdict], idle: Mapping[str, str] | None = None
) -> tuple[list[Column], list[Row]]:
    """Columns and rows; a device that is `idle`, for the reason given, has a column too."""
    idle = idle or {}
    columns = sorted(
        {Column(v.device, v.reference, v.dtype) for v in verdicts} | {Column(name) for name in idle}
    )
    rows = []
    for (case, subject), mine in grouped(verdicts, lambda v: (v.case, v.subject)).items():
        found = grouped(mine, lambda v: Column(v.device, v.reference, v.dtype))
        cells = [
            Cell("none", Status.NOT_RUN, idle[column.device])
            if column.device in idle
            else _cell(found.get(column, ()))
            for column in columns
        ]
        rows.append(Row(case, subject, cells))
    return columns, rows


def _cell(found: Sequence[Verdict]) -> Cell:
    """The worst status, ABSENT only where there is nothing else; of a pass the budget used."""
    if not found:
        return Cell("", "", "not asked")
    order = list(Status)
    worst = min(
        found,
        key=lambda v: (v.status is Status.ABSENT, order.index(v.status), -(v.budget_used or 0.0)),
    )
    place, used = f"{worst.check} {worst.where or ''}", worst.budget_used or 0.0
    if worst.status.fails:
        return Cell("fails", worst.status, place)
    if worst.status is not Status.PASS:
        return Cell("none", worst.status, worst.why)
    if worst.expect == "differs":
        return Cell("differs", "≠", worst.why)
    return Cell(f"used{min(4, int(5 * used))}", f"{used:.2g}", place)
