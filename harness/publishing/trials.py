"""The trials of a report as tables: a summary of each subject, and a row for each trial."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from harness.core.report import Report, grouped, name_implementation
from harness.core.verdict import Status, Verdict
from harness.reporting.answers import write_share
from harness.reporting.counts import NOT_APPLICABLE, describe_status
from harness.words.naming import title

ROWS_BYTES = 320_000  # of all rows of trials on a page, and of their cells in summaries, roughly
ROW_BYTES = 110  # of the markup of a row, and of its share of a summary
NOT_HERE = "not here"  # a device that this machine lacks
SHORT = {NOT_APPLICABLE: "n/a"}  # of what a cell has no room for


class Column(NamedTuple):
    """The device, reference and dtype of a trial."""

    device: str
    reference: str = ""
    dtype: str = ""


class Cell(NamedTuple):
    """The content of a table's cell: the result of a row's trials for one column.

    `kind` is a CSS class, and `text` is shown. `worst` is the worst verdict of these trials, None
    if there are none.
    """

    kind: str
    text: str
    worst: Verdict | None = None


class Row(NamedTuple):
    """A row of the summary: a subject (model under test) of a case, with a cell for each column."""

    case: str
    subject: str
    cells: list[Cell]


class TrialRow(NamedTuple):
    """A row for one trial, or for several trials that could not be judged for the same reason.

    `checks` and `dtypes` name those of all its trials.
    """

    trials: list[Verdict]
    checks: list[str]
    dtypes: list[str]


class Question(NamedTuple):
    """The trials of a question: a summary (columns and rows), and the trials by case.

    `left` is the number of trials omitted from both.
    """

    text: str
    counts: Counter[str]
    columns: list[Column]
    rows: list[Row]
    trials: dict[str, list[TrialRow]]
    left: int


def list_questions(report: Report) -> list[Question]:
    """Return the trials of each question; if there is no room for all, failed trials have priority.

    A device on which no trial ran has a column too.
    """
    idle = list_idle(report)
    rows_of = {question: make_rows(mine) for question, mine in report.questions().items()}
    kept = _choose_rows([row for rows in rows_of.values() for row in rows])
    found = []
    for question, rows in rows_of.items():
        shown = [row for row in rows if id(row) in kept]
        left = sum(len(row.trials) for row in rows if id(row) not in kept)
        counts = Counter(describe_status(each) for row in rows for each in row.trials)
        columns, summary = make_table([each for row in shown for each in row.trials], idle)
        trials = grouped(shown, lambda row: row.trials[0].case)
        found.append(Question(question, counts, columns, summary, trials, left))
    return found


def _choose_rows(rows: Sequence[TrialRow]) -> set[int]:
    """Return the `id()` of each row that has room on the page; failed rows have priority."""
    room, kept = ROWS_BYTES, set()
    for row in sorted(rows, key=lambda row: not row.trials[0].status.fails):
        room -= _estimate_bytes(row)
        if room >= 0:
            kept.add(id(row))
    return kept


def make_rows(verdicts: Sequence[Verdict]) -> list[TrialRow]:
    """Return a row for each trial. Trials of a subject that could not be judged for the same reason
    share one row.
    """
    groups: dict[tuple[str, ...], list[Verdict]] = {}
    for verdict in verdicts:
        key: tuple[str, ...] = verdict.case, verdict.id
        if not verdict.status.judges:
            key = (verdict.case, verdict.subject, verdict.reference, verdict.device, verdict.why)
        groups.setdefault(key, []).append(verdict)
    rows = []
    for trials in groups.values():
        checks = dict.fromkeys(title(verdict.check) for verdict in trials)
        dtypes = dict.fromkeys(verdict.dtype for verdict in trials)
        rows.append(TrialRow(trials, list(checks), list(dtypes)))
    return rows


def _estimate_bytes(row: TrialRow) -> int:
    """Return the approximate size in bytes of a row, and of its trials' part of the summary."""
    first = row.trials[0]
    words = len(first.subject) + len(first.reference) + len(describe_result(first))
    return ROW_BYTES + words


def list_idle(report: Report) -> dict[str, str]:
    """Return the devices on which no trial ran, as a dict from the device to the reason."""
    ran = {verdict.device.partition(":")[0] for verdict in report.verdicts}
    idle: dict[str, str] = {}
    for device, why in report.devices.items():
        if device.partition(":")[0] not in ran:
            idle[device] = why or "not asked for"
    return idle


def make_table(
    verdicts: Sequence[Verdict], idle: Mapping[str, str] | None = None
) -> tuple[list[Column], list[Row]]:
    """Return the columns and rows of a summary of these verdicts.

    Each device in `idle` (a dict from devices without trials to reasons) has a column too.
    """
    columns = {_column_of(verdict) for verdict in verdicts}
    columns |= {Column(device) for device in idle or ()}
    ordered = sorted(columns)
    rows = []
    for (case, subject), mine in grouped(verdicts, lambda v: (v.case, v.subject)).items():
        by_column = grouped(mine, _column_of)
        cells = []
        for column in ordered:
            if idle and column.device in idle:
                cells.append(Cell("none", NOT_HERE))
            else:
                cells.append(make_cell(by_column.get(column, ())))
        rows.append(Row(case, subject, cells))
    return ordered, rows


def _column_of(verdict: Verdict) -> Column:
    return Column(verdict.device, name_implementation(verdict), verdict.dtype)


def make_cell(verdicts: Sequence[Verdict]) -> Cell:
    """Return the cell that shows the worst of some trials; an empty cell if there are no trials."""
    if not verdicts:
        return Cell("", "")
    worst = min(verdicts, key=_rank)
    used = worst.budget_used or 0.0
    if worst.status.fails:
        return Cell("fails", f"✗ {worst.status}", worst)
    if worst.status is not Status.PASS:
        word = describe_status(worst)
        return Cell("none", SHORT.get(word, word), worst)
    if worst.expect == "differs":
        return Cell("differs", "≠", worst)
    return Cell(f"u{min(4, int(5 * used))}", write_share(used), worst)


def _rank(verdict: Verdict) -> tuple[bool, int, float]:
    """Return a sort key that puts the worst verdict first: by status, with ABSENT (no answer) last,
    then by the share of the rounding bound that was used.
    """
    order = list(Status).index(verdict.status)
    return verdict.status is Status.ABSENT, order, -(verdict.budget_used or 0.0)


def describe_result(verdict: Verdict) -> str:
    """Return a text on the worst element of a trial or, if nothing was compared, the reason."""
    is_equal = verdict.status is Status.PASS and verdict.expect == "equal"
    if is_equal or verdict.status.fails:
        return verdict.where or ""
    return verdict.known or verdict.why
