"""A run that pytest-xdist shares out: each case goes to one process, and what they find becomes one run."""

import pickle
from base64 import b64decode, b64encode
from collections.abc import Generator
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

import pytest

from harness.asked import blank, heading
from harness.device import KNOWN, lacking
from harness.interruption import begin
from harness.machine import environment, settle
from harness.run import Run
from harness.verdict import Status

PART = "nnet_parity"  # what a report of pytest's, or the end of a process, carries for us
ONE_BY_ONE = ("load", "worksteal", "loadgroup")  # xdist's ways that would share out the trials of a case


def is_worker(config: pytest.Config) -> bool:
    """Is this one of the processes that xdist started?"""
    return hasattr(config, "workerinput")


def with_others(config: pytest.Config) -> bool:
    """Does this run have several processes?"""
    return is_worker(config) or config.getoption("dist", "no") != "no"


def register(config: pytest.Config, run: Run) -> None:
    """Hand over, or take, what is found, where this run has several processes."""
    if with_others(config):
        part = Worker if is_worker(config) else Controller
        config.pluginmanager.register(part(config, run))


def _packed(part: Any) -> str:
    return b64encode(pickle.dumps(part)).decode()  # text: reports are written as JSON too


def _unpacked(text: str) -> Any:
    return pickle.loads(b64decode(text))


class Worker:
    """In a process of xdist's: each trial's last report carries what was found, its first what is lost if it is."""

    def __init__(self, config: Any, run: Run) -> None:
        self.config, self.run = config, run
        self.marks = Path(self.config.workerinput[PART])
        self.marks.mkdir(parents=True, exist_ok=True)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: Any, call: Any) -> Generator[None, Any, Any]:
        report = yield
        if not hasattr(item, "trial"):
            return report
        if call.when == "setup":
            report.nnet_parity = _packed(self.lost(item))
        elif call.when == "teardown":
            report.nnet_parity = _packed(self.run.hand_over())
        return report

    def lost(self, item: Any) -> tuple[str, int, Any]:
        """Where the item is, and its verdict if this process does not live to give another."""
        trial = item.trial
        why = f"{trial.subject.name} ended the process that asked it ({self.config.workerinput['workerid']})"
        lines = f"{heading(trial)}\n{why}\n  again: {item.again}"
        return item.verification.file, item.verification.line, blank(trial, Status.BROKEN, lines)

    def pytest_runtest_setup(self, item: Any) -> None:
        """Leave a mark while a subject is asked: whoever finds one knows that it ended a process, and asks no more."""
        if trial := getattr(item, "trial", None):
            mark = self.mark(trial)
            if mark.exists():
                first = mark.read_text(encoding="utf-8")
                why = f"{trial.subject.name} is not asked again: it ended the process that asked it in {first}"
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
            settle()
            self.run.environment = environment()
            self.run.devices |= {name: lacking(name) for name in KNOWN}
        self.config.workeroutput[PART] = _packed(self.run.hand_over())


class Controller:
    """In the process that makes the report: takes what the others found, in the order in which one would have."""

    def __init__(self, config: pytest.Config, run: Run) -> None:
        self.config, self.run = config, run
        self.marks = mkdtemp(prefix="nnet-parity-")
        self.order: dict[str, int] = {}
        self.parts: list[tuple[int, dict[str, Any]]] = []
        self.lost: dict[str, tuple[str, int, Any]] = {}

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput[PART] = self.marks

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Any:
        if config.getoption("dist") not in ONE_BY_ONE:
            return None
        scheduler: Any = import_module("xdist.scheduler").LoadGroupScheduling(config, log)
        group, remove = scheduler._split_scope, scheduler.remove_node

        def case_of(nodeid: str) -> str:
            file, _, name = str(group(nodeid)).partition("::")
            return f"{file}::{name.partition('[')[0]}"

        def remove_node(node: Any) -> Any:
            """What ended its process has had its turn: xdist would ask it again, and again."""
            units = scheduler.assigned_work[node].values()
            ended = next(((unit, test) for unit in units for test, done in unit.items() if not done), None)
            if ended:
                ended[0][ended[1]] = True
            remove(node)
            return ended and ended[1]

        scheduler._split_scope, scheduler.remove_node = case_of, remove_node
        return scheduler

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        self.order = {test: number for number, test in enumerate(ids)}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: Any) -> None:
        if part := report.__dict__.pop(PART, None):
            begin(self.config, self.run)
        if part and report.when == "setup":
            self.lost[report.nodeid] = _unpacked(part)
        elif part:
            self.parts.append((self.order.get(report.nodeid, 0), _unpacked(part)))

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str, report: Any) -> None:
        if lost := self.lost.get(crashitem):
            report.longrepr = lost[2].why
            part = Run().hand_over() | {"verdicts": {crashitem: lost[2]}, "failed": [lost]}
            self.parts.append((self.order.get(crashitem, 0), part))

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        if part := getattr(node, "workeroutput", {}).get(PART):
            self.parts.append((len(self.order), _unpacked(part)))

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        for _, part in sorted(self.parts, key=lambda numbered: numbered[0]):
            self.run.take(part)

    def pytest_unconfigure(self) -> None:
        rmtree(self.marks, ignore_errors=True)
