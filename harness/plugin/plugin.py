"""The judge as a pytest plugin: makes a pytest item of each trial, and runs it.

`nnet_parity.plugin`, which every run of pytest loads, registers a Judge when the first case is
collected.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from harness.core.report import REPRODUCERS, Race
from harness.core.verdict import Status, Verdict
from harness.judging.case import Case, Trial
from harness.judging.verification import Verification, expand
from harness.model import devices as device
from harness.plugin import xdist as shared
from harness.plugin.blocks import FOLLOWS, show_text
from harness.plugin.ending import Ending
from harness.plugin.options import Options
from harness.plugin.signals import StopSignals
from harness.racing.entry import Entry, unfit
from harness.racing.race import race
from harness.reporting.causes import describe_causes
from harness.reporting.environment import limit_threads
from harness.running.complaints import describe_impossible
from harness.running.findings import Failure, Findings
from harness.running.progress import Progress
from harness.running.result import VerdictFailed
from harness.running.runner import Runner
from harness.text.harmless import one_line, printable, shown
from harness.text.shell import rerun_line
from harness.waiting import deadlines, progress
from harness.words.wording import describe_reason


class Judge:
    """The judge of one run of pytest. A run without a case or a speed race has none."""

    def __init__(self, config: pytest.Config, options: Options) -> None:
        """Register the plugins that this run needs.

        Raises pytest.UsageError for a device that is unknown, or required and missing.
        """
        self.config, self.options = config, options
        scripts = options.report_folder / REPRODUCERS
        start = config.invocation_params.dir
        say = Progress(partial(show_progress, config))
        self.runner = Runner(options.starts, say, scripts, start)
        deadlines.choose(options.deadlines)
        config.add_cleanup(deadlines.forget)
        progress.listen(say)
        config.add_cleanup(progress.stop_listening)
        self.signals = StopSignals(config)
        self.merger = shared.Merger(self.signals)
        self.ending = Ending(self.runner, self.merger, self.signals, options)
        self._check_devices()
        if not config.option.collectonly:
            self.ending.refused = options.refused
        if options.is_worker:
            config.pluginmanager.register(shared.Worker(config, self.runner, options.ended))
        config.pluginmanager.register(self.ending)

    def _check_devices(self) -> None:
        """Raise pytest.UsageError for a device that is unknown, or required and missing."""
        required = self.options.required_device
        try:
            for asked in self.options.devices:
                device.lacking(asked)
            why = device.lacking(required) if required else ""
        except ValueError as error:
            raise pytest.UsageError(str(error)) from None
        if why:
            raise pytest.UsageError(f"--parity-require-device {required}: {why}")

    def expand(self, name: str, found: object) -> list[Trial]:
        """Return the trials of the object with this name in a test file, on the devices of this
        run.
        """
        self.signals.watch()
        return expand(name, found, device.chosen(self.options.devices), self.options.r_mode)

    def make_items(
        self, collector: Any, name: str, found: Case | Verification
    ) -> Sequence[pytest.Item] | None:
        """Return a pytest item for each trial of the object with this name in a test file, or one
        failing item if none of the trials can be judged on any machine.

        Returns None for a Case without `verify` whose name is not a test's.
        """
        if isinstance(found, Case) and not name.startswith("test"):
            return None
        try:
            trials = self.expand(name, found)
            assert isinstance(found, Verification)
            self.runner.collect(f"{collector.nodeid}::{name}", trials)
            self.note_place(found)
            if self.options.is_worker and self.ending.refused:
                raise ValueError(self.ending.refused)
        except (ValueError, TypeError) as error:
            raise pytest.Collector.CollectError(printable(str(error))) from None
        except LookupError as error:
            if self.options.is_worker:
                raise pytest.Collector.CollectError(f"--parity-r live: {error}") from None
            # shown when all is collected: pytest listens then
            self.ending.refused = f"--parity-r live: {error}"
            return []
        possible = [trial for trial in trials if not trial.impossible]
        if not possible:
            given = {"trials": trials, "verification": found, "judge": self}
            return [ImpossibleItem.from_parent(collector, name=one_line(name), **given)]
        items = []
        for trial in possible:
            label = one_line(f"{name}[{trial.id}]")
            items.append(
                TrialItem.from_parent(
                    collector, name=label, trial=trial, verification=found, judge=self
                )
            )
        return items

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        # a worker has told it for each file of cases; ending it here would hide that
        if self.ending.refused and not self.options.is_worker:
            raise pytest.UsageError(self.ending.refused)
        chosen = Counter(item.case for item in session.items if isinstance(item, TrialItem))
        self.runner.note(Findings(collected=chosen.total()))
        for counted in self.runner.found.cases.values():
            if chosen[counted.name] < counted.trials:
                self.runner.leave_out_impossible(counted.name)
        self._fit_ahead([item.trial for item in session.items if isinstance(item, TrialItem)])

    def _fit_ahead(self, trials: Sequence[Trial]) -> None:
        """Let a fork make fits of the chosen trials, unless all cores have work, a race needs them,
        or a device cannot be used after a fork.
        """
        option = self.config.option
        if option.collectonly or option.setuponly or option.setupplan or self.options.is_busy:
            return
        if all(trial.device == "cpu" for trial in trials):
            self.config.add_cleanup(self.runner.end_ahead)
            self.runner.fit_ahead(trials, limit_threads, self.options.ahead)

    def note_uncollected(self, found: Sequence[Verification]) -> None:
        """Store the cases that were verified while a file was imported, and that pytest did not
        collect.
        """
        self.signals.watch()
        for verification in found:
            name = shown(getattr(verification.case, "name", verification.case), say=str)
            _, path, line = verification.imported or ("", verification.file, verification.line)
            file = os.path.relpath(path, self.config.invocation_params.dir)
            self.runner.note(Findings(uncollected=((f"{file}:{line}", one_line(name)),)))

    def note_place(self, verification: Verification) -> None:
        """Store the file and line of a case, relative to the folder where pytest was started."""
        file = os.path.relpath(verification.file, self.config.invocation_params.dir)
        place = one_line(f"{file}:{verification.line}")
        self.runner.note(Findings(places={verification.case.name: place}))

    def judge_in_test(self, item: pytest.Item, verification: Verification) -> None:
        """Judge a case inside a running test.

        Raises VerdictFailed if a trial fails, or nothing could be judged.
        """
        __tracebackhide__ = True
        try:
            trials = self.expand("verify()", verification)
        except LookupError as error:
            raise VerdictFailed(f"--parity-r live: {error}") from None
        test = f"{item.nodeid}::{verification.case.name}"
        self.runner.collect(test, trials)
        self.note_place(verification)
        limit_threads()
        marked = [note_xfail(trial, item) for trial in trials]
        verdicts = self.runner.judge_case(test, marked, get_rerun_line(item))
        failed = [verdict for verdict in verdicts if verdict.status.fails]
        for verdict in failed:
            self.note_failure(verification, verdict)
        if failed:
            raise VerdictFailed(printable(describe_causes(verdicts, "the report holds them")))
        if not any(verdict.status.judges for verdict in verdicts):
            if not verdicts:
                raise VerdictFailed(describe_impossible(trials))
            reasons = dict.fromkeys(f"  {verdict.status}: {verdict.why}" for verdict in verdicts)
            lines = [f"nothing was judged in {verification.case.name}", *reasons]
            raise VerdictFailed(printable("\n".join(lines)))

    def note_failure(self, verification: Verification, verdict: Verdict) -> None:
        """Store a verdict that fails the run, with the file and line of its case."""
        failure = Failure(verification.file, verification.line, verdict)
        self.runner.note(Findings(failures=(failure,)))

    def make_racer(self, request: pytest.FixtureRequest) -> Callable[[Entry, str, str], Race]:
        """Return the function behind the fixture `raced`, which runs a speed race.

        pytest-benchmark times the race. The result is added to the report and its speed.json.
        """
        self.signals.watch()

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
            if why := unfit(entry, where, dtype, self.runner.starts):
                pytest.fail(f"not raced, since it is not right: {why}", pytrace=False)
            found = race(entry, where, dtype, request.getfixturevalue("benchmark"))
            versions: dict[str, str] = getattr(entry.pacemaker, "versions", dict)()
            self.runner.note(Findings(races=(found,), versions=tuple(versions.items())))
            return found

        return enter


class ImpossibleItem(pytest.Item):
    """A pytest item for a case without any trial that can be judged: it fails, and says why."""

    def __init__(
        self, *, trials: Sequence[Trial], verification: Verification, judge: Judge, **rest: Any
    ) -> None:
        super().__init__(**rest)
        self.trials, self.verification, self.judge = trials, verification, judge

    def runtest(self) -> None:
        self.judge.runner.note_impossible(self.trials[0].case.name)
        raise VerdictFailed(describe_impossible(self.trials))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, VerdictFailed):
            return printable(str(excinfo.value))
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[str, int, str]:
        return self.verification.file, self.verification.line - 1, self.name


class TrialItem(pytest.Item):
    """One trial as a pytest item, at the line where its user verified the case."""

    def __init__(
        self, *, trial: Trial, verification: Verification, judge: Judge, **rest: Any
    ) -> None:
        super().__init__(**rest)
        self.trial = trial
        self.verification = verification
        self.judge = judge
        self.reason = ""

    @property
    def case(self) -> str:
        """Return the name of the trial's case."""
        return self.trial.case.name

    @property
    def again(self) -> str:
        """Return the command line that runs the trial again."""
        return get_rerun_line(self)

    def runtest(self) -> None:
        limit_threads()
        trial = note_xfail(self.trial, self)
        verdict = self.judge.runner.judge(self.nodeid, trial, self.again)
        for name, value in (
            ("status", verdict.status),
            ("budget_used", verdict.budget_used),
            ("where", verdict.where),
        ):
            if value is not None:
                self.user_properties.append((name, str(value)))
        if verdict.status.fails:
            self.judge.note_failure(self.verification, verdict)
            self.reason = describe_reason(verdict)
            if verdict.follows:
                self.reason = verdict.why
                self.user_properties.append((FOLLOWS, verdict.follows))
            raise VerdictFailed(verdict.why)
        if verdict.status is Status.KNOWN:
            pytest.xfail(one_line(verdict.known))
        if verdict.status is not Status.PASS:
            raise pytest.skip.Exception(
                one_line(f"{verdict.status}: {verdict.why}"), _use_item_location=True
            )

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, VerdictFailed):
            # unlike a text, it keeps a message apart for pytest's summary and for JUnit
            shown_failure = excinfo.getrepr(style="native")
            show_text(shown_failure, printable(str(excinfo.value)))
            if shown_failure.reprcrash is not None:
                shown_failure.reprcrash.message = printable(self.reason)
            return shown_failure
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[str, int, str]:
        return self.verification.file, self.verification.line - 1, self.name


def show_progress(config: pytest.Config, line: str) -> None:
    """Show a line of progress on pytest's terminal, in place of the line before."""
    reporter = config.pluginmanager.getplugin("terminalreporter")
    if reporter and reporter.isatty:
        reporter.rewrite(line[: reporter._tw.fullwidth - 1], erase=True)


def get_rerun_line(item: pytest.Item) -> str:
    """Return the command line that runs a test again, for the folder where pytest was started."""
    file = item.getparent(pytest.Module)
    test = item.nodeid[len(file.nodeid) + len("::") :] if file else item.nodeid
    return rerun_line(item.path, item.config.invocation_params.dir, test)


def note_xfail(trial: Trial, item: pytest.Item) -> Trial:
    """Return the trial, with the reason of its item's xfail mark if one applies."""
    for mark in item.iter_markers("xfail"):
        conditions = list(mark.args)
        if "condition" in mark.kwargs:
            conditions.append(mark.kwargs["condition"])
        if not conditions or any(condition is True for condition in conditions):
            reason = one_line(shown(mark.kwargs.get("reason", ""), say=str))
            return replace(trial, marked=reason or "marked as xfail")
    return trial
