"""Runs that pytest-xdist distributes to several processes: merges their findings into one run's
findings.
"""

import pickle
from base64 import b64decode, b64encode
from collections.abc import Generator, Sequence
from functools import reduce
from operator import itemgetter
from typing import Any

import pytest

from harness.core.verdict import Status
from harness.judging.comparison import failure
from harness.model.devices import KNOWN, lacking
from harness.plugin.signals import StopSignals
from harness.reporting.environment import environment, limit_threads
from harness.running.findings import Failure, Findings, merge
from harness.running.runner import Gone, Runner

PART = "nnet_parity"  # what a report of pytest's, or the end of a process, carries for us


def _pack(part: Failure | Findings) -> str:
    return b64encode(pickle.dumps(part)).decode()  # text: reports are written as JSON too


def _unpack(text: str) -> Failure | Findings:
    part = pickle.loads(b64decode(text))
    assert isinstance(part, Failure | Findings)
    return part


class Worker:
    """The plugin in a process of xdist: sends its findings to the process that makes the report.

    The findings travel in pytest's reports of a trial. The report of the setup has the failure to
    be used if this process dies in the trial; the report of the teardown has the findings so far.
    """

    def __init__(self, config: Any, runner: Runner, ended: Sequence[str]) -> None:
        """Prepare to send findings; `ended` has the tests in which earlier processes died."""
        self.config, self.runner, self.ended = config, runner, ended

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: Any, call: Any) -> Generator[None, Any, Any]:
        report = yield
        if call.when == "setup" and hasattr(item, "trial"):
            report.nnet_parity = _pack(self.make_failure(item))
        # a test of another kind may have called verify
        elif call.when == "teardown" and self.runner.found.verdicts:
            report.nnet_parity = _pack(self.runner.hand_over())
        return report

    def make_failure(self, item: Any) -> Failure:
        """Return the failure to be reported for an item's trial if this process dies before the
        trial has its verdict.
        """
        trial = item.trial
        why = (
            f"{trial.subject.name} ended the process that asked it"
            f" ({self.config.workerinput['workerid']})"
        )
        verdict = failure(trial, Status.BROKEN, why, item.again)
        return Failure(item.verification.file, item.verification.line, verdict)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Mark the subjects (models under test) that have killed an earlier process, so that they
        are not evaluated again.
        """
        for item in session.items:
            trial = getattr(item, "trial", None)
            if trial and item.nodeid in self.ended:
                key = trial.case.name, trial.subject.name, trial.device
                why = (
                    f"{trial.subject.name} is not asked again: it ended the process that asked it"
                    f" in {trial.id}"
                )
                self.runner.gone[key] = Gone(trial.id, why)

    def pytest_runtest_teardown(self, item: Any, nextitem: Any) -> None:
        trial, next_trial = getattr(item, "trial", None), getattr(nextitem, "trial", None)
        if trial and getattr(next_trial, "case", None) is not trial.case:
            self.runner.close_case()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        if self.runner.found.chosen:
            limit_threads()
            devices = {name: lacking(name) for name in KNOWN}
            self.runner.note(Findings(environment=environment(), devices=devices))
        self.config.workeroutput[PART] = _pack(self.runner.hand_over())


class Merger:
    """Merges the findings of the other processes, in the process that makes the report.

    The result has the order that the findings of a single process would have.
    """

    def __init__(self, signals: StopSignals) -> None:
        self.signals = signals
        self._parts: list[tuple[int, Findings]] = []
        self._failures: dict[str, Failure] = {}

    def begin(self) -> None:
        """Note that the run has a case: from now on, SIGTERM ends the run with a report."""
        self.signals.watch()

    def take_report(self, report: Any, place: int) -> None:
        """Store the findings, or the failure, that another process sent in pytest's report of a
        test.

        `place` is the position of the test among all tests.
        """
        self.begin()
        part = _unpack(report.__dict__.pop(PART))
        if isinstance(part, Failure):
            self._failures[report.nodeid] = part
        else:
            self._parts.append((place, part))

    def take_rest(self, text: str, place: int) -> None:
        """Store the findings `text` that another process sends when it ends.

        `place` is their position in the order of tests.
        """
        part = _unpack(text)
        assert isinstance(part, Findings)
        self._parts.append((place, part))

    def take_crash(self, nodeid: str, report: Any, place: int) -> None:
        """Store the failure of a trial in which its process died, and put it into pytest's report
        of the test `nodeid`.
        """
        if lost := self._failures.get(nodeid):
            report.longrepr = lost.verdict.why
            part = Findings(verdicts={nodeid: lost.verdict}, failures=(lost,))
            self._parts.append((place, part))

    def merge(self) -> Findings:
        """Return the findings of all other processes as one."""
        self._parts.sort(key=itemgetter(0))
        parts = [part for _, part in self._parts]
        self._parts.clear()
        return reduce(merge, parts, Findings())
