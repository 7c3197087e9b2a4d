"""The table of verdicts: a row for each case and subject, a column for each device, reference
and dtype.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from harness.core.report import grouped
from harness.core.verdict import Status, Verdict


class Column(NamedTuple):
    """The device, reference and dtype of a trial."""

    device: str
    reference: str = ""
    dtype: str = ""


class Cell(NamedTuple):
    """The result of a row's trials in a column: its kind, as a CSS class, its text, and where or
    why.
    """

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
    """The columns and rows of a table. `idle` gives the reason why a device was not used; such a
    device has a column too.
    """
    idle = idle or {}
    columns = {_column_of(verdict) for verdict in verdicts}
    columns |= {Column(device) for device in idle}
    ordered = sorted(columns)
    rows = []
    for (case, subject), mine in grouped(verdicts, lambda v: (v.case, v.subject)).items():
        by_column = grouped(mine, _column_of)
        cells = []
        for column in ordered:
            if column.device in idle:
                cells.append(Cell("none", Status.NOT_RUN, idle[column.device]))
            else:
                cells.append(_make_cell(by_column.get(column, ())))
        rows.append(Row(case, subject, cells))
    return ordered, rows


def _column_of(verdict: Verdict) -> Column:
    return Column(verdict.device, verdict.reference, verdict.dtype)


def _make_cell(verdicts: Sequence[Verdict]) -> Cell:
    """The cell of the worst verdict: its status, or how much of its budget a pass has used."""
    if not verdicts:
        return Cell("", "", "not asked")
    worst = min(verdicts, key=_rank)
    place, used = f"{worst.check} {worst.where or ''}", worst.budget_used or 0.0
    if worst.status.fails:
        return Cell("fails", worst.status, place)
    if worst.status is not Status.PASS:
        return Cell("none", worst.status, worst.why)
    if worst.expect == "differs":
        return Cell("differs", "≠", worst.why)
    return Cell(f"used{min(4, int(5 * used))}", f"{used:.2g}", place)


def _rank(verdict: Verdict) -> tuple[bool, int, float]:
    """A key that sorts the worst first: by status, ABSENT last, and then by budget used."""
    order = list(Status).index(verdict.status)
    return verdict.status is Status.ABSENT, order, -(verdict.budget_used or 0.0)
