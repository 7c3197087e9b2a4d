"""The pytest plugin: it collects the trials of a case, runs them, and shows the report; it decides nothing."""

from __future__ import annotations

import os
import shlex
import warnings
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest

from harness import device, github, shared
from harness.answers import NARROWEST, screen
from harness.baseline import against
from harness.case import MODES, SWITCH, Case, Trial, Verification, expanded
from harness.importing import TestFiles
from harness.interruption import begin, held
from harness.memo import STARTS
from harness.race import Entry, race, unfit
from harness.report import REPRODUCERS, Race, summarise, write
from harness.run import Run
from harness.text import one_line, printable
from harness.verdict import Status

DEVICES = "NNET_PARITY_DEVICES"  # in the environment: as --device, separated by spaces


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("nnet-parity", "cross-framework verification")
    where = "where results.json and report.md are written (default: build/report)"
    group.addoption("--report-dir", default="build/report", metavar="DIR", help=where)
    on = "judge on this device; may be repeated (default: those that this machine has)"
    group.addoption("--device", action="append", default=[], metavar="cpu|cuda|cuda:N", help=on)
    only = "judge on this device, and end at once if it is not here"
    group.addoption("--require-device", metavar="DEVICE", help=only)
    who = "who answers for R: R, else its recordings (auto, the default); R alone; or its recordings alone"
    group.addoption("--r", default=os.environ.get(SWITCH, MODES[0]), metavar="|".join(MODES), help=who)
    group.addoption("--speed", action="store_true", help="race too: test_speed.py files, which are left out otherwise")
    count = f"how many starts trainers are judged on (default: {STARTS}; more starts tell shares more closely)"
    group.addoption("--starts", type=int, default=STARTS, metavar="N", help=count)
    parser.addini("nnet_parity_devices", "devices to judge on, as --device gives them", type="args", default=[])
    group.addoption("--baseline", metavar="FILE", help="results.json of an older run: say what got worse, and fail")


def pytest_configure(config: pytest.Config) -> None:
    if (starts := config.getoption("--starts")) < 2:
        raise pytest.UsageError(f"--starts {starts}: expected at least 2")
    if (mode := config.getoption("--r")) not in MODES:
        raise pytest.UsageError(f"--r {mode} (or {SWITCH} in the environment): expected {', '.join(MODES)}")
    config.stash[FILES] = TestFiles()
    config.stash[RUN] = Run(starts, Progress(config), Path(config.getoption("--report-dir")) / REPRODUCERS)
    shared.register(config, config.stash[RUN])
    required = config.getoption("--require-device")
    try:
        for asked in config.getoption("--device"):
            device.lacking(asked)
        why = device.lacking(required) if required else ""
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None
    if why:
        raise pytest.UsageError(f"--require-device {required}: {why}")


def devices(config: pytest.Config) -> list[str]:
    """Asked for on the command line, else in the environment, else in the ini file, else what is here."""
    asked = [*config.getoption("--device"), *filter(None, [config.getoption("--require-device")])]
    return device.chosen(asked or os.environ.get(DEVICES, "").split() or config.getini("nnet_parity_devices"))


def ours(config: pytest.Config) -> Run:
    """What this run, which asks something of ours, has found so far."""
    begin(config, config.stash[RUN])
    return config.stash[RUN]


RUN = pytest.StashKey[Run]()
FILES = pytest.StashKey[TestFiles]()
PATIENCE = 2.0  # seconds that a terminal stays silent at most


class Progress:
    """Tells a terminal how far training is, on a line of its own that the next one replaces."""

    def __init__(self, config: pytest.Config) -> None:
        self.config, self.told = config, perf_counter()

    def __call__(self, said: str) -> None:
        reporter = self.config.pluginmanager.getplugin("terminalreporter")
        if reporter and reporter.isatty and (now := perf_counter()) - self.told > PATIENCE:
            self.told = now
            reporter.rewrite(printable(f"  training {said}")[: reporter._tw.fullwidth - 1], erase=True)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, Any, Any]:
    if not isinstance(collector, pytest.Module):
        return (yield)
    with collector.config.stash[FILES].importing(collector.path):
        return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: Any, name: str, obj: object) -> list[TrialItem] | None:
    if not (isinstance(obj, Verification) or (isinstance(obj, Case) and name.startswith("test"))):
        return None
    try:
        trials = expanded(name, obj, devices(collector.config), collector.config.getoption("--r"))
        assert isinstance(obj, Verification)
        ours(collector.config).collect(f"{collector.nodeid}::{name}", obj.case.name, len(trials))
    except (ValueError, TypeError) as error:
        raise pytest.Collector.CollectError(printable(str(error))) from None
    except LookupError as error:
        if shared.is_worker(collector.config):
            raise pytest.Collector.CollectError(f"--r live: {error}") from None
        ours(collector.config).refused = f"--r live: {error}"  # told when all is collected: pytest listens then
        return []
    return [
        TrialItem.from_parent(collector, name=one_line(f"{name}[{trial.id}]"), trial=trial, verification=obj)
        for trial in trials
    ]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    left_out = collection_path.name == "test_speed.py" and not config.getoption("--speed")
    return True if left_out and not any("test_speed.py" in argument for argument in config.args) else None


@pytest.fixture
def raced(request: pytest.FixtureRequest) -> Callable[[Entry, str, str], Race]:
    """Races an entry on a device in a dtype, through pytest-benchmark, for the report and build/speed.json."""
    run_so_far = ours(request.config)

    def enter(entry: Entry, where: str, dtype: str) -> Race:
        if shared.with_others(request.config):
            pytest.fail("not raced beside other processes, which slow it by chance: leave -n out", pytrace=False)
        if lack := device.lacking(where):
            pytest.skip(f"NOT RUN: {lack}")
        if request.config.getoption("--r") == "recorded":
            pytest.skip("NOT RUN: a race is against R itself, which --r recorded leaves out")
        if why := unfit(entry, where, dtype, run_so_far.starts):
            pytest.fail(f"not raced, since it is not right: {why}", pytrace=False)
        found = race(entry, where, dtype, request.getfixturevalue("benchmark"))
        run_so_far.races.append(found)
        return found

    return enter


def pytest_collection_finish(session: pytest.Session) -> None:
    if refused := session.config.stash[RUN].refused:
        raise pytest.UsageError(refused)
    session.config.stash[RUN].chosen = sum(isinstance(item, TrialItem) for item in session.items)


class TrialItem(pytest.Item):
    """One trial, located at its user's own line."""

    def __init__(self, *, trial: Trial, verification: Verification, **rest: Any) -> None:
        super().__init__(**rest)
        self.trial = trial
        self.verification = verification

    @property
    def again(self) -> str:
        """The line that runs it again."""
        path = os.path.relpath(self.path, self.config.invocation_params.dir)
        return "pytest " + shlex.quote(f"{path}::{self.nodeid.partition('::')[2]}")

    def runtest(self) -> None:
        run_so_far = self.config.stash[RUN]
        verdict = run_so_far.judged(self.nodeid, self.trial, self.again)
        for name, value in (("status", verdict.status), ("budget_used", verdict.budget_used), ("where", verdict.where)):
            if value is not None:
                self.user_properties.append((name, str(value)))
        if verdict.status.fails:
            run_so_far.failed.append((self.verification.file, self.verification.line, verdict))
            raise VerdictFailed(verdict.why)
        if verdict.status is not Status.PASS:
            raise pytest.skip.Exception(one_line(f"{verdict.status}: {verdict.why}"), _use_item_location=True)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, VerdictFailed):
            return printable(str(excinfo.value))
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[str, int, str]:
        return self.verification.file, self.verification.line - 1, self.name


class VerdictFailed(Exception):
    """A failed verdict, raised at the edge to pytest."""


@pytest.hookimpl(specname="pytest_sessionfinish", wrapper=True, tryfirst=True)
def pytest_finished(session: pytest.Session) -> Generator[None]:
    """Whoever is told to stop from here on writes the report first."""
    with held(session.config.stash[RUN].begun) as came:
        yield
    if came:
        session.exitstatus = pytest.ExitCode.INTERRUPTED
        session.config.get_terminal_writer().line("interrupted after the last trial: the report was finished", red=True)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    found, baseline = session.config.stash[RUN], session.config.getoption("--baseline")
    if shared.is_worker(session.config):  # the process that makes the report sees to the rest
        return
    asked = not session.config.option.collectonly
    if found.begun and asked and session.exitstatus == pytest.ExitCode.INTERRUPTED:
        known = session.testscollected and found.chosen  # of a collection that was interrupted nobody knows the size
        judged = f"{len(found.verdicts)} of {found.chosen} trials were judged" if known else "no trial was judged"
        found.interrupted = f"interrupted: {judged}"
    worse = bool(found.without_evidence())
    if baseline and asked:  # read before this run's report can take its place
        found.since, got_worse = against(Path(baseline), found.report(), NARROWEST)
        worse |= got_worse
    if worse and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    found, terminal = config.stash[RUN], terminalreporter
    say, wrong = terminal.write_line, partial(terminal.write_line, red=True)
    if found.since:
        terminal.section("since the baseline")
    for line in [*found.since, *github.errors(found.failed)]:
        say(line)
    if not (found.verdicts or found.races or found.interrupted):
        return
    report, folder = found.report(), Path(config.getoption("--report-dir"))
    terminal.section("nnet-parity")
    for line in screen(report, terminal._tw.fullwidth):
        say(line)
    if silent := found.without_evidence():
        named = ", ".join(silent[:3]) + (f" and {len(silent) - 3} more" if len(silent) > 3 else "")
        wrong(f"{named} gave no evidence: no trial passed, which is a failure; give it a reference that can judge it")
    if found.interrupted:
        wrong(found.interrupted)
    try:
        with warnings.catch_warnings(action="ignore"):  # of what draws it: a user's pytest may make them errors
            write(report, folder)
        say(f"report: {folder / 'index.html'}, report.md and results.json")
    except (OSError, ValueError) as error:
        wrong(f"report not written to {folder}: {error}; choose a folder with --report-dir")
    try:
        summarise(report)
    except OSError as error:
        wrong(f"summary not written to $GITHUB_STEP_SUMMARY: {error}")
