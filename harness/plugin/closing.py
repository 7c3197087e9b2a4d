"""The end of a run: writes its report, and collects errors."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple
from warnings import catch_warnings

from harness.core.numpy_errors import ours
from harness.core.report import Report
from harness.keeping.folder import keep_run, keep_speed, read_kept
from harness.keeping.kept_run import summarise_run
from harness.keeping.trend import Trend, make_trend
from harness.model.errors import at, raised
from harness.plugin.options import Options
from harness.publishing.beside import Beside
from harness.publishing.writing import PAGE, RESULTS, list_left, speed_text, summarise, write
from harness.reporting.regressions import Comparison
from harness.reporting.results import explain_size
from harness.running.findings import make_report
from harness.running.runner import Runner
from harness.text.harmless import shown


class Closed(NamedTuple):
    """The result of closing a run: its report, the path of the report's page, and errors.

    `report` is None if it could not be made; `place` is the path of its page, or "" if no page was
    written. `note` is a sentence on a report that is too large to be read again, or "". `wrong` has
    a sentence for each error. `lacking` says that the report was not written, or is incomplete:
    then the run fails.
    """

    report: Report | None
    place: str
    note: str
    wrong: list[str]
    lacking: bool


class End(NamedTuple):
    """The circumstances at the end of a run.

    `is_interrupted` says that it was interrupted. `complaints` are reasons, other than failed
    trials, why it fails. `comparison` is the comparison with an older report (the baseline), None
    if there is none.
    """

    is_interrupted: bool
    complaints: Sequence[str]
    comparison: Comparison | None


@ours()
def close(runner: Runner, options: Options, end: End) -> Closed:
    """Make the report of a run, write it into its folder and, if an option asks for it, keep its
    results.

    Errors are part of the result; only KeyboardInterrupt is raised.
    """
    folder, exchange = options.report_folder, options.exchange
    report, place, note, wrong, summary = None, "", "", [], []
    beside = Beside(comparison=end.comparison, start=runner.start)
    try:
        runner.close_case()
        report = replace(
            make_report(runner.found, end.is_interrupted),
            complaints=tuple(end.complaints),
            command=options.command,
            seconds=round(time.monotonic() - options.started, 1),
        )
        if options.keep:
            trend, lost = keep(report, Path(options.keep))
            beside = beside._replace(trend=trend)
            wrong += lost
        wrong += [f"the report lacks {each}" for each in runner.found.lost]
        # of what draws it: a user's pytest may make them errors
        with catch_warnings(action="ignore"):
            write(report, folder, exchange, beside)
        place, note = str(folder / PAGE), explain_size(folder / RESULTS)
    except KeyboardInterrupt:  # told a second time to stop
        raise
    except Exception as error:
        advice = ""
        if issubclass(type(error), OSError):
            advice = "; choose a folder with --parity-report-dir"
        wrong.append(f"report not written to {folder}: {_explain_error(error)}{advice}")
        if left := list_left(folder):
            wrong.append(f"what lies in {folder} is not of this run: {', '.join(left)}")
    try:
        if report is not None:
            summarise(report, beside)
    except Exception as error:
        summary.append(f"summary not written to $GITHUB_STEP_SUMMARY: {_explain_error(error)}")
    return Closed(report, place, note, wrong + summary, bool(wrong))


def keep(report: Report, folder: Path) -> tuple[Trend | None, list[str]]:
    """Store the results of a run, and of its races, in a folder that holds those of earlier runs.
    Return the trend over all of them, and errors in words.
    """
    trend = None
    try:
        if report.races:
            keep_speed(folder, str(report.environment.get("date", "")), speed_text(report))
        if report.verdicts:
            run = summarise_run(report)
            trend = make_trend(read_kept(folder), run)
            keep_run(folder, run)
    except OSError as error:
        advice = "choose another folder with --parity-keep"
        return None, [f"results not kept in {folder}: {_explain_error(error)}; {advice}"]
    return trend, []


def _explain_error(error: Exception) -> str:
    """Return the message of an error and, for most errors, the place where it was raised.

    The place is left out for an OSError, whose message comes from the system, and for a ValueError,
    whose message says why the report cannot be read back.
    """
    if issubclass(type(error), OSError | ValueError):
        return shown(error, 2_000, str)
    return raised(error) + at(error)
