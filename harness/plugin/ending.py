"""The end of a run of pytest: the reasons why it fails, its report, and its summary on the
screen.
"""

from __future__ import annotations

from collections.abc import Generator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from harness.plugin.blocks import get_status, show_whole_blocks
from harness.plugin.closing import Closed, End, close
from harness.plugin.options import Options
from harness.plugin.signals import StopSignals, deferred_signals
from harness.plugin.xdist import Merger
from harness.reporting import github
from harness.reporting.regressions import Comparison, compare_with_baseline, comparison_lines
from harness.running.complaints import make_complaints
from harness.running.findings import complete_causes, make_report
from harness.running.runner import Runner
from harness.screen.rows import Ending as Shown
from harness.screen.screen import make_screen, make_title
from harness.text.harmless import printable


class Ending:
    """A pytest plugin for the end of a run: writes the report, and shows its summary.

    With several processes, only the process that makes the report does this. `refused` is the
    reason why the run ends before any test, or "". `replaces_older` says that this run has a report
    of its own, so that an older one must not be put back.
    """

    def __init__(
        self, runner: Runner, merger: Merger, signals: StopSignals, options: Options
    ) -> None:
        self.runner, self.merger, self.signals = runner, merger, signals
        self.options = options
        self.refused, self.replaces_older = "", False
        self._interrupted = ""
        self._complaints: list[str] = []
        self._comparison: Comparison | None = None
        self._closed: Closed | None = None
        self._session: Any = None

    @pytest.hookimpl(specname="pytest_sessionfinish", wrapper=True, tryfirst=True)
    def pytest_finished(self, session: pytest.Session) -> Generator[None]:
        """Delay a stop signal, such as Ctrl-C, until the report is written."""
        with deferred_signals(self.signals.are_watched) as came:
            yield
        if came:
            session.exitstatus = pytest.ExitCode.INTERRUPTED
            said = "interrupted after the last trial: the report was finished"
            session.config.get_terminal_writer().line(said, red=True)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the report, and fail the run for any reason other than a failed trial."""
        if self.options.is_worker:
            return
        self._session = session
        self.runner.note(self.merger.merge())
        self.runner.found = complete_causes(self.runner.found)
        show_whole_blocks(session.config, self.runner.found.verdicts)
        option = session.config.option
        runs_tests = not (option.collectonly or option.setuponly or option.setupplan)
        if runs_tests:
            self._interrupted = self._describe_interruption(session)
        is_whole = runs_tests and not self._interrupted
        self._complaints = make_complaints(self.runner.found, is_whole)
        fails = bool(self._complaints)
        if runs_tests:
            fails |= self._report(session, fails)
        if fails and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _report(self, session: pytest.Session, fails: bool) -> bool:
        """Write the report, if there is anything to report; return whether the run fails.

        `fails` says whether the run fails already.
        """
        if self.options.baseline:  # read before this run's report can take its place
            self._comparison = self._compare_with_baseline()
            fails |= self._comparison.fails
        found = self.runner.found
        if found.verdicts or found.races or found.chosen or self._interrupted or fails:
            self.replaces_older = True
            end = End(bool(self._interrupted), self._complaints, self._comparison)
            self._closed = close(self.runner, self.options, end)
            fails |= self._closed.lacking
        return fails

    def _describe_interruption(self, session: pytest.Session) -> str:
        """Return a sentence on how many trials were judged before the run was interrupted; "" if it
        was not.
        """
        ends_early = session.exitstatus in (
            pytest.ExitCode.INTERRUPTED,
            pytest.ExitCode.INTERNAL_ERROR,
        )
        if not (self.signals.are_watched and ends_early):
            return ""
        found = self.runner.found
        # the size of an interrupted collection is not known
        if session.testscollected and found.chosen:
            return f"interrupted: {len(found.verdicts)} of {found.chosen} trials were judged"
        return "interrupted: no trial was judged"

    def _compare_with_baseline(self) -> Comparison:
        """Compare the run with the baseline, an older report."""
        self.runner.close_case()
        report = make_report(self.runner.found, bool(self._interrupted))
        return compare_with_baseline(Path(self.options.baseline), report)

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: Any) -> tuple[str, str, Any] | None:
        """Return the category of a failure with the same cause as an earlier one, so that pytest
        counts it separately. It has no block of text of its own.
        """
        return get_status(report)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> Generator[None]:
        """Show the report after the summaries of other plugins, even if one of them raises.

        If pytest-benchmark finds that a race has become slower, it says so and raises: then the run
        fails without a traceback.
        """
        try:
            yield
        except Exception as error:
            raced = self._session is not None and bool(self.runner.found.races)
            if not (raced and type(error).__name__ == "PerformanceRegression"):
                raise
            self._complaints.append(f"pytest-benchmark: {error}")
            self._session.exitstatus = pytest.ExitCode.TESTS_FAILED
        finally:
            self._show(terminalreporter)

    def _show(self, terminalreporter: Any) -> None:
        """Show the differences from the baseline, the report, and the reasons why the run fails."""
        terminal = terminalreporter
        say, warn = terminal.write_line, partial(terminal.write_line, red=True)
        lines: list[str] = []
        if self._comparison:
            terminal.section("since the baseline")
            lines = comparison_lines(self._comparison, terminal._tw.fullwidth)
        for line in [*lines, *github.errors(self.runner.found.failures)]:
            say(line)
        closed = self._closed
        if closed is None:
            return
        self._show_report(terminal, closed)
        if closed.note:
            say(printable(closed.note))
        for line in closed.wrong:
            warn(printable(line))

    def _show_report(self, terminal: Any, closed: Closed) -> None:
        """Show the answers to the questions of the run, in the width of the terminal."""
        report, complaints = closed.report, list(self._complaints)
        if self._interrupted:
            complaints.append(self._interrupted)
        if report is None:
            terminal.section("nnet-parity")
            for complaint in complaints:
                terminal.write_line(printable(complaint), red=True)
            return
        good = not (report.failures() or complaints or closed.wrong)
        terminal.section(make_title(report), green=good, red=not good)
        is_verbose, writer = terminal.config.get_verbosity() > 0, terminal._tw
        ending = Shown(place=closed.place, complaints=complaints)
        for line in make_screen(report, writer.fullwidth, ending, is_verbose):
            text, start, end = line.text, line.start, line.end
            if line.colour:
                coloured = writer.markup(text[start:end], **{line.colour: True})
                text = text[:start] + coloured + text[end:]
            terminal.write_line(text)
