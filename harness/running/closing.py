"""The end of a run: its report is written, and what goes wrong is told."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple
from warnings import catch_warnings

from harness.core.numpy_errors import ours
from harness.core.report import Report
from harness.model.errors import at, raised
from harness.reporting.results import explain_size
from harness.reporting.writing import PAGE, RESULTS, Exchange, list_left, summarise, write
from harness.running.findings import make_report
from harness.running.runner import Runner
from harness.text.harmless import shown


class Closed(NamedTuple):
    """The result of closing a run: the report, where it was written, and what went wrong.

    `report` is None if it could not be made, `place` the path of its page, or "" if it was not
    written. `note` is a sentence on a report that is too large to be read again, or "". `wrong` has
    a sentence for each thing that went wrong. `lacking` says that the report was not written, or
    lacks something: then the run fails.
    """

    report: Report | None
    place: str
    note: str
    wrong: list[str]
    lacking: bool


@ours()
def close(runner: Runner, is_interrupted: bool, folder: Path, exchange: Exchange) -> Closed:
    """Make the report of a run, and write it into a folder; see `writing.write` for `exchange`.

    The result tells any error; only KeyboardInterrupt is raised.
    """
    report, place, note, wrong, summary = None, "", "", [], []
    try:
        runner.close_case()
        report = make_report(runner.found, is_interrupted)
        wrong += [f"the report lacks {each}" for each in runner.found.lost]
        # of what draws it: a user's pytest may make them errors
        with catch_warnings(action="ignore"):
            write(report, folder, exchange)
        place, note = str(folder / PAGE), explain_size(folder / RESULTS)
    except KeyboardInterrupt:  # told a second time to stop
        raise
    except Exception as error:
        advice = ""
        if issubclass(type(error), OSError):
            advice = "; choose a folder with --parity-report-dir"
        wrong.append(f"report not written to {folder}: {_why(error)}{advice}")
        if left := list_left(folder):
            wrong.append(f"what lies in {folder} is not of this run: {', '.join(left)}")
    try:
        if report is not None:
            summarise(report)
    except Exception as error:
        summary.append(f"summary not written to $GITHUB_STEP_SUMMARY: {_why(error)}")
    return Closed(report, place, note, wrong + summary, bool(wrong))


def _why(error: Exception) -> str:
    """Return the message of an error and, for most errors, the place where it was raised.

    The place is left out for an OSError, whose message is the system's, and for a ValueError, whose
    message says why the report cannot be read back.
    """
    if issubclass(type(error), OSError | ValueError):
        return shown(error, 2_000, str)
    return raised(error) + at(error)
