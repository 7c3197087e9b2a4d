"""The pytest plugin: it collects the trials of a case, runs them, and shows the report; it decides nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.answers import screen
from harness.case import Trial, Verification
from harness.machine import settle
from harness.memo import Memo
from harness.report import Cost, Report, write
from harness.trial import run
from harness.verdict import Status, Verdict

MANY_DRAWS = 1_000  # stacks this large tell what a problem costs


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("nnet-parity", "cross-framework verification")
    group.addoption(
        "--report-dir",
        default="build/report",
        metavar="DIR",
        help="where results.json and report.md are written (default: build/report)",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[RUN] = Run()


class Run:
    """What this run of pytest has found so far."""

    def __init__(self) -> None:
        self.verdicts: dict[str, Verdict] = {}
        self.trials: dict[str, int] = {}
        self.costs: dict[str, Cost] = {}
        self.contracts: dict[str, str] = {}
        self.memo: Memo | None = None

    def memo_of(self, trial: Trial) -> Memo:
        """The memo of the trial's case; that of the case before is let go."""
        if self.memo is None or self.memo.case is not trial.case:
            self.close()
            settle()
            self.memo = Memo(trial.case)
        return self.memo

    def note_contracts(self, trial: Trial) -> None:
        """What each column of the report promises."""
        for name, contract in (
            (f"{trial.subject.name} {trial.dtype}", trial.subject.contract(trial.dtype)),
            (trial.reference.title(), trial.reference.contract()),
        ):
            self.contracts[name] = contract.sentence()

    def without_evidence(self) -> list[str]:
        """Cases that ran whole and have not one pass: no evidence is not a pass."""
        silent = []
        for test, count in self.trials.items():
            found = [verdict for name, verdict in self.verdicts.items() if name.startswith(f"{test}[")]
            if len(found) == count and not any(v.status is Status.PASS or v.status.fails for v in found):
                silent.append(test)
        return silent

    def close(self) -> None:
        """Note what the case cost that has just ended."""
        memo, self.memo = self.memo, None
        if memo is not None and memo.most_draws >= MANY_DRAWS:
            case = memo.case.name
            self.costs[case] = Cost(case, memo.most_draws, memo.overhead, memo.subject_seconds / memo.asked)


RUN = pytest.StashKey[Run]()


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: Any, name: str, obj: object) -> list[TrialItem] | None:
    if not isinstance(obj, Verification):
        return None
    try:
        trials = obj.case.trials()
    except (ValueError, TypeError) as error:
        raise pytest.Collector.CollectError(f"{obj.file}:{obj.line}: {error}") from None
    for reference in obj.case.references:
        getattr(reference, "start", lambda: None)()
    run_so_far = collector.config.stash[RUN]
    run_so_far.trials[f"{collector.nodeid}::{name}"] = len(trials)
    return [
        TrialItem.from_parent(collector, name=f"{name}[{trial.id}]", trial=trial, verification=obj) for trial in trials
    ]


class TrialItem(pytest.Item):
    """One trial, located at its user's own line."""

    def __init__(self, *, trial: Trial, verification: Verification, **rest: Any) -> None:
        super().__init__(**rest)
        self.trial = trial
        self.verification = verification

    def runtest(self) -> None:
        run_so_far = self.config.stash[RUN]
        memo = run_so_far.memo_of(self.trial)
        verdict = run(self.trial, memo, again=f'pytest "{self.nodeid}"')
        run_so_far.verdicts[self.nodeid] = verdict
        run_so_far.note_contracts(self.trial)
        for name, value in (("status", verdict.status), ("budget_used", verdict.budget_used), ("where", verdict.where)):
            if value is not None:
                self.user_properties.append((name, str(value)))
        if verdict.status.fails:
            raise VerdictFailed(verdict.why)
        if verdict.status is not Status.PASS:
            pytest.skip(f"{verdict.status}: {verdict.why}")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, VerdictFailed):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[str, int, str]:
        return self.verification.file, self.verification.line - 1, self.name


class VerdictFailed(Exception):
    """A failed verdict, raised at the edge to pytest."""


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if session.config.stash[RUN].without_evidence() and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    found = config.stash[RUN]
    if not found.verdicts:
        return
    found.close()
    report = report_of(found, complete=len(found.verdicts) == sum(found.trials.values()))
    folder = Path(config.getoption("--report-dir"))
    terminalreporter.section("nnet-parity")
    for line in screen(report, terminalreporter._tw.fullwidth):
        terminalreporter.write_line(line)
    for test in found.without_evidence():
        terminalreporter.write_line(f"{test} gave no evidence: none of its trials passed, which is a failure", red=True)
    try:
        write(report, folder)
        terminalreporter.write_line(f"report: {folder / 'report.md'}, {folder / 'results.json'}")
    except OSError as error:
        terminalreporter.write_line(
            f"report not written to {folder}: {error}; choose a folder with --report-dir", red=True
        )


def report_of(found: Run, complete: bool) -> Report:
    from harness.machine import environment

    return Report(environment(), list(found.verdicts.values()), list(found.costs.values()), found.contracts, complete)
