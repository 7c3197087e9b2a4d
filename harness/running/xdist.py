"""A run that pytest-xdist shares out: what the processes find becomes one run."""

import pickle
from base64 import b64decode, b64encode
from collections.abc import Generator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from harness.core.verdict import Status
from harness.judging.comparison import failure
from harness.pytorch.devices import KNOWN, lacking
from harness.reporting.environment import environment, limit_threads
from harness.running.session import Run
from harness.running.signals import begin

PART = "nnet_parity"  # what a report of pytest's, or the end of a process, carries for us


def _packed(part: Any) -> str:
    return b64encode(pickle.dumps(part)).decode()  # text: reports are written as JSON too


def _unpacked(text: str) -> Any:
    return pickle.loads(b64decode(text))


class Worker:
    """In a process of xdist's: each trial's last report carries what was found, its first what is
    lost if it is.
    """

    def __init__(self, config: Any, run: Run) -> None:
        self.config, self.run = config, run
        self.marks = Path(self.config.workerinput[PART])
        self.marks.mkdir(parents=True, exist_ok=True)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: Any, call: Any) -> Generator[None, Any, Any]:
        report = yield
        if call.when == "setup" and hasattr(item, "trial"):
            report.nnet_parity = _packed(self.lost(item))
        # a test of another kind may have called verify
        elif call.when == "teardown" and self.run.verdicts:
            report.nnet_parity = _packed(self.run.hand_over())
        return report

    def lost(self, item: Any) -> tuple[str, int, Any]:
        """Where the item is, and its verdict if this process does not live to give another."""
        trial = item.trial
        why = (
            f"{trial.subject.name} ended the process that asked it"
            f" ({self.config.workerinput['workerid']})"
        )
        verdict = failure(trial, Status.BROKEN, why, item.again)
        return item.verification.file, item.verification.line, verdict

    def pytest_runtest_setup(self, item: Any) -> None:
        """Leave a mark while a subject is asked: whoever finds one knows that it ended a process,
        and asks no more.
        """
        if trial := getattr(item, "trial", None):
            mark = self.mark(trial)
            if mark.exists():
                first = mark.read_text(encoding="utf-8")
                why = (
                    f"{trial.subject.name} is not asked again: it ended the process that asked it"
                    f" in {first}"
                )
                self.run.gone[trial.case.name, trial.subject.name, trial.device] = why
            else:
                mark.write_text(trial.id, encoding="utf-8")

    def pytest_runtest_teardown(self, item: Any, nextitem: Any) -> None:
        if trial := getattr(item, "trial", None):
            if (trial.case.name, trial.subject.name, trial.device) not in self.run.gone:
                self.mark(trial).unlink()
            if getattr(getattr(nextitem, "trial", None), "case", None) is not trial.case:
                self.run.close()

    def mark(self, trial: Any) -> Path:
        """A file for a subject on a device."""
        key = f"{trial.case.name}\n{trial.subject.name}\n{trial.device}"
        return self.marks / sha256(key.encode("utf-8", "surrogatepass")).hexdigest()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        if self.run.chosen:
            limit_threads()
            self.run.environment = environment()
            self.run.devices |= {name: lacking(name) for name in KNOWN}
        self.config.workeroutput[PART] = _packed(self.run.hand_over())


class Merger:
    """In the process that makes the report: takes the findings of the others, in the order that one
    would have.
    """

    def __init__(self, config: pytest.Config, run: Run) -> None:
        self.config, self.run = config, run
        self.parts: list[tuple[int, dict[str, Any]]] = []
        self.lost: dict[str, tuple[str, int, Any]] = {}

    def begin(self) -> None:
        """Note that trials of ours are among the tests: from now on SIGTERM leaves a report."""
        begin(self.config, self.run)

    def take_report(self, report: Any, place: int) -> None:
        """Take what the report of a test carries; `place` is the test's among all."""
        self.begin()
        part = _unpacked(report.__dict__.pop(PART))
        if report.when == "setup":
            self.lost[report.nodeid] = part
        else:
            self.parts.append((place, part))

    def take_rest(self, part: str, place: int) -> None:
        """Take what a process that has ended has handed over last."""
        self.parts.append((place, _unpacked(part)))

    def take_crash(self, nodeid: str, report: Any, place: int) -> None:
        """Take the verdict on a trial that ended its process."""
        if lost := self.lost.get(nodeid):
            report.longrepr = lost[2].why
            part = Run().hand_over() | {"verdicts": {nodeid: lost[2]}, "failed": [lost]}
            self.parts.append((place, part))

    def merge(self) -> None:
        """Put all parts together."""
        for _, part in sorted(self.parts, key=lambda numbered: numbered[0]):
            self.run.take(part)
        self.parts.clear()
