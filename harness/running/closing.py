"""The end of a run: its report is written, or what an older run left in its place is removed."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple
from warnings import catch_warnings

from harness.core.numpy_errors import ours
from harness.core.report import Report
from harness.core.text import shown
from harness.pytorch.errors import at, raised
from harness.reporting.writing import discard, summarise, write
from harness.running.session import Run


class Closed(NamedTuple):
    """The report where it could be made, where it was written, and what went wrong, in sentences.

    `lacking` says whether the report is not there, or not whole: then the run fails.
    """

    report: Report | None
    said: str
    wrong: list[str]
    lacking: bool


@ours()
def close(run: Run, folder: Path) -> Closed:
    """Make and write the report of a run. Whatever goes wrong with it is told, not raised."""
    report, said, wrong, summary = None, "", [], []
    try:
        report = run.report()
        wrong += [f"the report lacks {each}" for each in run.lost]
        # of what draws it: a user's pytest may make them errors
        with catch_warnings(action="ignore"):
            write(report, folder)
        said = f"report: {folder / 'index.html'}, report.md and results.json"
    except KeyboardInterrupt:  # told a second time to stop
        discard(folder, bool(run.races))
        raise
    except Exception as error:
        advice = (
            "; choose a folder with --parity-report-dir" if issubclass(type(error), OSError) else ""
        )
        wrong.append(f"report not written to {folder}: {_why(error)}{advice}")
        if left := discard(folder, bool(run.races)):
            wrong.append(
                f"what lies in {folder} is of another run: {', '.join(left)} could not be removed"
            )
    try:
        if report is not None:
            summarise(report)
    except Exception as error:
        summary.append(f"summary not written to $GITHUB_STEP_SUMMARY: {_why(error)}")
    return Closed(report, said, wrong + summary, bool(wrong))


def _why(error: Exception) -> str:
    """What the system, or a report that cannot be read back, says; of anything else also where it
    was raised.
    """
    if issubclass(type(error), OSError | ValueError):
        return shown(error, 2_000, str)
    return raised(error) + at(error)
