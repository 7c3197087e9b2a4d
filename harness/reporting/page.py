"""The report as an HTML page without scripts (page.html.j2).

`python -m harness.reporting.page RESULTS.json OUT.html` writes the page of an older report.
"""

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple
from warnings import catch_warnings

from harness.core.report import Report
from harness.core.verdict import Status
from harness.reporting.answers import list_answers
from harness.reporting.asked import describe_not_asked, list_asked
from harness.reporting.counts import count_reasons, describe_costs, describe_counts
from harness.reporting.results import read
from harness.reporting.selfcheck_result import Selfcheck, read_beside
from harness.reporting.table import Column, Row, table
from harness.text.files import replace_whole
from harness.text.harmless import printable
from harness.words.template import fill_template

CELLS = 1_500  # of all tables at most: the page stays under 500 KiB


def page(report: Report, trust: Selfcheck | None = None) -> str:
    """Return the HTML page of a report, with the results of the selfcheck.

    Raises ValueError for curves that cannot be drawn.
    """
    tables = _list_tables(report)
    given = dict(vars(report)) | _list_parts(report)
    if not (report.points and report.points["x"]):
        given["points"] = None
    given["asked"] = list_asked(report)
    with catch_warnings(action="ignore"):  # of numbers too large to be drawn
        return fill_template(
            "reporting/page.html.j2",
            printable,
            **given,
            not_asked=describe_not_asked(report),
            tables=tables,
            trust=trust,
            notes=_list_notes(tables),
            **_load_figures(report, trust),
        )


def card(report: Report, complaints: Sequence[str], most: int, whole: str) -> str:
    """Return the answers, the counts and `most` failures of a report as HTML for a notebook.

    It needs nothing else, and changes nothing else in its document. `complaints` stand first;
    `whole` says where all failures are.
    """
    return fill_template(
        "reporting/card.html.j2",
        printable,
        complaints=complaints,
        devices=report.devices,
        most=most,
        whole=whole,
        **_list_parts(report),
    )


def _list_parts(report: Report) -> dict[str, Any]:
    """Return the template's variables on what the page and the card share."""
    return {
        "answers": list_answers(report),
        "sentences": [describe_counts(report), *describe_costs(report)],
        "counts": _count_statuses(report),
        "without_evidence": count_reasons(report),
        "failures": report.failures(),
    }


def _load_figures(report: Report, trust: Selfcheck | None) -> dict[str, Any]:
    """Return the template's functions that draw figures; none if the page has no figures.

    They need matplotlib, whose import takes half a second.
    """
    if not report.fits and not trust:
        return {}
    from harness.reporting import diagram, figures, svg

    return {
        "draw": figures,
        "diagram": diagram.diagram,
        "DASHES": svg.DASHES,
        "series": figures.series(report.fits),
    }


def _count_statuses(report: Report) -> dict[Status, int]:
    """Return the number of trials by status, without statuses that no trial has."""
    counts = report.counts()
    return {status: counts[status] for status in Status if counts[status]}


class QuestionTable(NamedTuple):
    """The table of a question: its columns, the rows that fit on the page, and its trials by
    status.

    `left` is the number of rows left out.
    """

    question: str
    counts: Counter[Status]
    columns: list[Column]
    rows: list[Row]
    left: int


def _list_tables(report: Report) -> list[QuestionTable]:
    """Return the table of each question; all tables have at most CELLS cells together.

    A device on which no trial ran has a column too.
    """
    ran = {verdict.device.partition(":")[0] for verdict in report.verdicts}
    idle: dict[str, str] = {}
    for device, why in report.devices.items():
        if device.partition(":")[0] not in ran:
            idle[device] = why or "not asked for"
    tables, room = [], CELLS
    for question, verdicts in report.questions().items():
        counts = Counter(verdict.status for verdict in verdicts)
        columns, rows = table(verdicts, idle)
        shown = rows[: room // len(columns)]
        room -= len(shown) * len(columns)
        tables.append(QuestionTable(question, counts, columns, shown, len(rows) - len(shown)))
    return tables


def _list_notes(tables: Sequence[QuestionTable]) -> list[str]:
    """Return the reasons in all cells that have no judgement, each reason once."""
    notes: dict[str, None] = {}
    for each in tables:
        for row in each.rows:
            for cell in row.cells:
                if cell.kind == "none":
                    notes[cell.title] = None
    return list(notes)


def main(arguments: Sequence[str]) -> int:
    """Write the page of a results.json. Returns 2, and prints why, if that is not possible."""
    try:
        if len(arguments) != 2:
            raise ValueError("expected two paths: RESULTS.json OUT.html")
        report = read(path := Path(arguments[0]))
        replace_whole({Path(arguments[1]): page(report, read_beside(path.parent, report.commit))})
    except (OSError, ValueError) as error:
        print(f"no page: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
