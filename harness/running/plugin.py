"""The judge as a pytest plugin: makes trials of cases, runs them, and shows the report; it decides
nothing.

`nnet_parity.plugin`, which every run of pytest loads, registers a Judge when the first case is
collected.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest

from harness.core.progress import PATIENCE
from harness.core.report import REPRODUCERS, Race
from harness.core.shell import rerun_line
from harness.core.text import one_line, printable, shown
from harness.core.verdict import Status
from harness.judging.case import Case, Trial
from harness.judging.verification import Verification, expand
from harness.pytorch import devices as device
from harness.pytorch.logs import quiet_torch
from harness.reporting import github
from harness.reporting.regressions import against
from harness.reporting.screen import NARROWEST, screen
from harness.reporting.writing import discard
from harness.running import xdist as shared
from harness.running.closing import close
from harness.running.race import Entry, race, unfit
from harness.running.session import Run
from harness.running.signals import begin, held


@dataclass(frozen=True)
class Options:
    """What the command line, the environment and the ini file say.

    `devices` are those asked for, none of them for those of this machine; `r_mode` is who answers
    for R (auto, live, recorded); `is_worker` and `is_shared` say whether xdist started this
    process, or gave this run several.
    """

    devices: Sequence[str]
    required_device: str
    r_mode: str
    starts: int
    baseline: str
    report_folder: Path
    is_worker: bool
    is_shared: bool


class Progress:
    """Shows on a terminal how far something long is, on a line of its own that the next one
    replaces.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.config, self.shown = config, perf_counter()

    def __call__(self, said: str) -> None:
        reporter = self.config.pluginmanager.getplugin("terminalreporter")
        if reporter and reporter.isatty and (now := perf_counter()) - self.shown > PATIENCE:
            self.shown = now
            reporter.rewrite(printable(f"  {said}")[: reporter._tw.fullwidth - 1], erase=True)


class Judge:
    """One run of pytest that asks something of ours."""

    def __init__(self, config: pytest.Config, options: Options) -> None:
        """Raises pytest.UsageError for a device that is unknown, or required and missing."""
        self.config, self.options = config, options
        scripts, start = options.report_folder / REPRODUCERS, config.invocation_params.dir
        self.run = Run(options.starts, Progress(config), scripts, start)
        self.merger = shared.Merger(config, self.run)
        required = options.required_device
        try:
            for asked in options.devices:
                device.lacking(asked)
            why = device.lacking(required) if required else ""
        except ValueError as error:
            raise pytest.UsageError(str(error)) from None
        if why:
            raise pytest.UsageError(f"--parity-require-device {required}: {why}")
        if options.is_worker:
            config.pluginmanager.register(shared.Worker(config, self.run))

    def expand(self, name: str, found: object) -> list[Trial]:
        """The trials of what a file calls `name`, on the devices of this run."""
        begin(self.config, self.run)
        return expand(name, found, device.chosen(self.options.devices), self.options.r_mode)

    # Collection

    def make_items(
        self, collector: Any, name: str, found: Case | Verification
    ) -> list[TrialItem] | None:
        """The items of what a test file calls `name`: one for each trial."""
        if isinstance(found, Case) and not name.startswith("test"):
            return None
        try:
            trials = self.expand(name, found)
            assert isinstance(found, Verification)
            self.run.collect(f"{collector.nodeid}::{name}", trials)
        except (ValueError, TypeError) as error:
            raise pytest.Collector.CollectError(printable(str(error))) from None
        except LookupError as error:
            if self.options.is_worker:
                raise pytest.Collector.CollectError(f"--parity-r live: {error}") from None
            # shown when all is collected: pytest listens then
            self.run.refused = f"--parity-r live: {error}"
            return []
        given = {"verification": found, "judge": self}
        return [
            TrialItem.from_parent(
                collector, name=one_line(f"{name}[{trial.id}]"), trial=trial, **given
            )
            for trial in trials
        ]

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if self.run.refused:
            raise pytest.UsageError(self.run.refused)
        self.run.chosen += sum(isinstance(item, TrialItem) for item in session.items)

    def note_uncollected(self, found: Sequence[Verification]) -> None:
        """Note the cases that were verified at import and never collected."""
        begin(self.config, self.run)
        for verification in found:
            name = shown(getattr(verification.case, "name", verification.case), say=str)
            _, path, line = verification.imported or ("", verification.file, verification.line)
            file = os.path.relpath(path, self.config.invocation_params.dir)
            self.run.uncollected[f"{file}:{line}", one_line(name)] = None

    # Running

    def judge_in_test(self, item: pytest.Item, verification: Verification) -> None:
        """Judge a case inside a running test. Raises VerdictFailed where a trial fails, or nothing
        could be judged.
        """
        __tracebackhide__ = True
        try:
            trials = self.expand("verify()", verification)
        except LookupError as error:
            raise VerdictFailed(f"--parity-r live: {error}") from None
        test = f"{item.nodeid}::{verification.case.name}"
        self.run.collect(test, trials)
        self.run.chosen += len(trials)
        verdicts, again = [], get_rerun_line(item)
        for trial in trials:
            with quiet_torch():
                verdicts.append(self.run.judged(f"{test}[{trial.id}]", mark(trial, item), again))
        failed = [verdict for verdict in verdicts if verdict.status.fails]
        self.run.failed += [(verification.file, verification.line, verdict) for verdict in failed]
        if failed:
            more = f"\nand {len(failed) - 1} more of {len(verdicts)} trials: the report holds them"
            raise VerdictFailed(printable(failed[0].why + (more if len(failed) > 1 else "")))
        if not any(verdict.status.judges for verdict in verdicts):
            reasons = dict.fromkeys(f"  {verdict.status}: {verdict.why}" for verdict in verdicts)
            raise VerdictFailed(
                printable("\n".join([f"nothing was judged in {verification.case.name}", *reasons]))
            )

    def make_racer(self, request: pytest.FixtureRequest) -> Callable[[Entry, str, str], Race]:
        """The fixture `raced`: races through pytest-benchmark, for the report and
        build/speed.json.
        """
        begin(self.config, self.run)

        def enter(entry: Entry, where: str, dtype: str) -> Race:
            if self.options.is_shared:
                pytest.fail(
                    "not raced beside other processes, which slow it by chance: leave -n out",
                    pytrace=False,
                )
            if lack := device.lacking(where):
                pytest.skip(f"NOT RUN: {lack}")
            if self.options.r_mode == "recorded":
                pytest.skip(
                    "NOT RUN: a race is against R itself, which --parity-r recorded leaves out"
                )
            if why := unfit(entry, where, dtype, self.run.starts):
                pytest.fail(f"not raced, since it is not right: {why}", pytrace=False)
            found = race(entry, where, dtype, request.getfixturevalue("benchmark"))
            self.run.races.append(found)
            return found

        return enter

    # The end

    @pytest.hookimpl(specname="pytest_sessionfinish", wrapper=True, tryfirst=True)
    def pytest_finished(self, session: pytest.Session) -> Generator[None]:
        """Whoever is told to stop from here on writes the report first."""
        with held(self.run.begun) as came:
            yield
        if came:
            session.exitstatus = pytest.ExitCode.INTERRUPTED
            said = "interrupted after the last trial: the report was finished"
            session.config.get_terminal_writer().line(said, red=True)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.options.is_worker:  # the process that makes the report sees to the rest
            return
        self.merger.merge()
        found, option = self.run, session.config.option
        asked = not (option.collectonly or option.setuponly or option.setupplan)
        ends_early = session.exitstatus in (
            pytest.ExitCode.INTERRUPTED,
            pytest.ExitCode.INTERNAL_ERROR,
        )
        if found.begun and asked and ends_early:
            # the size of an interrupted collection is not known
            known = session.testscollected and found.chosen
            judged = (
                f"{len(found.verdicts)} of {found.chosen} trials were judged"
                if known
                else "no trial was judged"
            )
            found.interrupted = f"interrupted: {judged}"
        found.whole = asked and not found.interrupted
        worse = bool(found.complaints())
        if self.options.baseline and asked:  # read before this run's report can take its place
            found.since, got_worse = against(Path(self.options.baseline), found.report(), NARROWEST)
            worse |= got_worse
        if asked and (found.verdicts or found.races or found.interrupted or found.chosen or worse):
            found.closed = close(found, self.options.report_folder)
            worse |= found.closed.lacking
        elif asked and found.refused:
            discard(self.options.report_folder)
        if worse and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        found, terminal = self.run, terminalreporter
        say, wrong = terminal.write_line, partial(terminal.write_line, red=True)
        if found.since:
            terminal.section("since the baseline")
        for line in [*found.since, *github.errors(found.failed)]:
            say(line)
        if (closed := found.closed) is None:
            return
        terminal.section("nnet-parity")
        for line in screen(closed.report, terminal._tw.fullwidth) if closed.report else ():
            say(line)
        for line in found.complaints():
            wrong(printable(line))
        if found.interrupted:
            wrong(found.interrupted)
        if closed.said:
            say(printable(closed.said))
        for line in closed.wrong:
            wrong(printable(line))


class TrialItem(pytest.Item):
    """One trial, located at its user's own line."""

    def __init__(
        self, *, trial: Trial, verification: Verification, judge: Judge, **rest: Any
    ) -> None:
        super().__init__(**rest)
        self.trial = trial
        self.verification = verification
        self.judge = judge

    @property
    def again(self) -> str:
        """The line that runs it again."""
        return get_rerun_line(self)

    def runtest(self) -> None:
        run_so_far = self.judge.run
        with quiet_torch():
            verdict = run_so_far.judged(self.nodeid, mark(self.trial, self), self.again)
        for name, value in (
            ("status", verdict.status),
            ("budget_used", verdict.budget_used),
            ("where", verdict.where),
        ):
            if value is not None:
                self.user_properties.append((name, str(value)))
        if verdict.status.fails:
            run_so_far.failed.append((self.verification.file, self.verification.line, verdict))
            raise VerdictFailed(verdict.why)
        if verdict.status is Status.KNOWN:
            pytest.xfail(one_line(verdict.known))
        if verdict.status is not Status.PASS:
            raise pytest.skip.Exception(
                one_line(f"{verdict.status}: {verdict.why}"), _use_item_location=True
            )

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, VerdictFailed):
            return printable(str(excinfo.value))
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[str, int, str]:
        return self.verification.file, self.verification.line - 1, self.name


class VerdictFailed(AssertionError):
    """A failed verdict, raised at the edge to pytest."""


def get_rerun_line(item: pytest.Item) -> str:
    """The line that runs a test again, where pytest was started."""
    file = item.getparent(pytest.Module)
    test = item.nodeid[len(file.nodeid) + len("::") :] if file else item.nodeid
    return rerun_line(item.path, item.config.invocation_params.dir, test)


def mark(trial: Trial, item: pytest.Item) -> Trial:
    """The trial with the reason for which a mark of its item says that it is expected to fail."""
    for each in item.iter_markers("xfail"):
        conditions = [
            *each.args,
            *([each.kwargs["condition"]] if "condition" in each.kwargs else []),
        ]
        if not conditions or any(condition is True for condition in conditions):
            return replace(
                trial,
                marked=one_line(shown(each.kwargs.get("reason", ""), say=str)) or "marked as xfail",
            )
    return trial
