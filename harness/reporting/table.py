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
    """The result of a row's trials in a column.

    `kind` is a CSS class, `text` is shown, and `title` says where the worst element is, or why
    there is no judgement.
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
    """Return the columns and rows of the table.

    `idle` has the reason by device why a device was not used; such a device has a column too.
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
    """Return the cell of the worst verdict: its status or, for a pass, the share of the bound
    used.
    """
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
    """Return a key that sorts the worst verdict first: by status, ABSENT last, then by the share of
    the bound used.
    """
    order = list(Status).index(verdict.status)
    return verdict.status is Status.ABSENT, order, -(verdict.budget_used or 0.0)
