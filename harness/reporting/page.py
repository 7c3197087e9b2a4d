"""The report as one file without scripts (page.html.j2): `python -m harness.reporting.page
RESULTS.json OUT.html`.
"""

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from warnings import catch_warnings

from harness.core.files import replace_whole
from harness.core.report import Report
from harness.core.template import filled
from harness.core.text import printable
from harness.core.verdict import Status
from harness.reporting.results import read
from harness.reporting.screen import answered, costed, counted, unjudged
from harness.reporting.selfcheck_result import Selfcheck, read_beside
from harness.reporting.table import table

CELLS = 1_500  # of the tables of trials at most: the page stays under 500 KiB


def page(report: Report, trust: Selfcheck | None = None) -> str:
    """The page, with what the selfcheck said. Raises ValueError for curves that cannot be drawn."""
    tables = _tables(report)
    unjudged_cells = (
        cell for *_, rows, _ in tables for row in rows for cell in row.cells if cell.kind == "none"
    )
    drawing: dict[str, Any] = {}
    if report.fits or trust:
        from harness.reporting import figures  # here: matplotlib takes half a second

        drawing = {"draw": figures, "series": figures.series(report.fits)}
    with catch_warnings(action="ignore"):  # of numbers too large to be drawn
        return filled(
            "reporting/page.html.j2",
            printable,
            **vars(report)
            | {"points": report.points if report.points and report.points["x"] else None},
            answers=answered(report),
            sentences=[counted(report), *costed(report)],
            counts={status: count for status in Status if (count := report.counts()[status])},
            without_evidence=unjudged(report),
            failures=report.failures(),
            tables=tables,
            trust=trust,
            notes=list(dict.fromkeys(cell.title for cell in unjudged_cells)),
            **drawing,
        )


def _tables(report: Report) -> list[Any]:
    """For every question its table, as far as there is room; a device that no trial ran on has a
    column too.
    """
    ran = {v.device.partition(":")[0] for v in report.verdicts}
    idle = {
        name: why or "not asked for"
        for name, why in report.devices.items()
        if name.partition(":")[0] not in ran
    }
    tables, room = [], CELLS
    for question, verdicts in report.questions().items():
        columns, rows = table(verdicts, idle)
        shown = rows[: room // len(columns)]
        room -= len(shown) * len(columns)
        tables.append(
            (question, Counter(v.status for v in verdicts), columns, shown, len(rows) - len(shown))
        )
    return tables


def main(arguments: Sequence[str]) -> int:
    """Write the page of a results.json; 2, and one line, where that cannot be."""
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
