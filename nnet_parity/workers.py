"""Under pytest-xdist: the trials of a case go to one process, and all other tests where they would
go without us.

The controller collects nothing, and chooses its scheduler before the workers have collected: so the
choice is made again when the first worker says which tests there are.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from heapq import heappop, heappush
from importlib import import_module
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

import pytest

PART = "nnet_parity"  # the name of ours in what workers and controller send each other
# values of --dist that would share out the trials of a case
SPLITS_CASES = ("load", "worksteal", "loadgroup")
TRIAL = re.compile(
    r"\[.+-[a-z]+(?::\d+)?-(?:float64|float32|tf32|bfloat16|float16)-.+-vs-.+\]$", re.DOTALL
)

FITS = re.compile(r"-(?:final|fit)-vs-.+\]$", re.DOTALL)  # ids of trials that train to the end
WEIGHT_OF_FIT = 30  # trials of other kinds that take as long


def is_worker(config: pytest.Config) -> bool:
    """Was this process started by xdist?"""
    return hasattr(config, "workerinput")


def is_shared(config: pytest.Config) -> bool:
    """Does this run have several processes?"""
    return is_worker(config) or config.getoption("dist", "no") != "no"


def register(config: pytest.Config, get_merger: Callable[[], Any]) -> None:
    """Watch the workers, where this process controls some; `get_merger` loads what puts their
    findings together.
    """
    if is_shared(config) and not is_worker(config):
        config.pluginmanager.register(Controller(config, get_merger), "nnet_parity_controller")


def get_group(nodeid: str) -> str:
    """The name of the test for a trial of ours, the whole id for any other test."""
    file, _, name = nodeid.partition("::")
    return f"{file}::{name.partition('[')[0]}" if TRIAL.search(nodeid) else nodeid


def get_weight(nodeids: Iterable[str]) -> int:
    """About how long tests take, in trials that train nothing."""
    return sum(WEIGHT_OF_FIT if FITS.search(nodeid) else 1 for nodeid in nodeids)


class HeaviestFirst(OrderedDict[str, dict[str, bool]]):
    """Groups of tests, of which the one that takes longest is taken first: what is left for the end
    is short.
    """

    def __init__(self) -> None:
        super().__init__()
        self._by_weight: list[tuple[int, int, str]] = []
        self._added = 0

    def __setitem__(self, group: str, tests: dict[str, bool]) -> None:
        """Add a group, with whether each of its tests has run."""
        super().__setitem__(group, tests)
        self._added += 1
        heappush(self._by_weight, (-get_weight(tests), self._added, group))

    def popitem(self, last: bool = True) -> tuple[str, dict[str, bool]]:
        """Take the heaviest group; of several, the one that was added first."""
        while (group := heappop(self._by_weight)[-1]) not in self:
            pass
        return group, self.pop(group)


class Controller:
    """In the process that controls the workers: hands the findings of those that judge to
    `harness.running.xdist.Merger`.
    """

    def __init__(self, config: pytest.Config, get_merger: Callable[[], Any]) -> None:
        # where a worker notes whom it asks: it may not survive that
        self.marks = Path(mkdtemp(prefix="nnet-parity-"))
        self.config, self.get_merger = config, get_merger
        self.order: dict[str, int] = {}

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput[PART] = str(self.marks)

    @pytest.hookimpl(optionalhook=True, wrapper=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Any:
        chosen = yield
        return ByCase(chosen, config, log) if config.getoption("dist") in SPLITS_CASES else chosen

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        self.order = {test: number for number, test in enumerate(ids)}
        if any(map(TRIAL.search, ids)):
            self.get_merger().begin()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: Any) -> None:
        if PART in report.__dict__:
            self.get_merger().take_report(report, self.order.get(report.nodeid, 0))

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str, report: Any) -> None:
        if TRIAL.search(crashitem):
            self.get_merger().take_crash(crashitem, report, self.order.get(crashitem, 0))

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        if part := getattr(node, "workeroutput", {}).get(PART):
            self.get_merger().take_rest(part, len(self.order))

    def pytest_unconfigure(self) -> None:
        rmtree(self.marks, ignore_errors=True)


class ByCase:
    """The scheduler that xdist chose, until a worker reports trials of ours: then one that keeps
    cases together.
    """

    def __init__(self, chosen: Any, config: pytest.Config, log: Any) -> None:
        self._scheduler, self._config, self._log = chosen, config, log
        self._asked = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._scheduler, name)

    def add_node_collection(self, node: Any, collection: Sequence[str]) -> None:
        """Take the ids of one worker's tests."""
        if not self._asked:
            self._asked = True
            if any(TRIAL.search(nodeid) for nodeid in collection):
                known, self._scheduler = self._scheduler.nodes, group_cases(self._config, self._log)
                for each in known:
                    self._scheduler.add_node(each)
        self._scheduler.add_node_collection(node, collection)


def group_cases(config: pytest.Config, log: Any) -> Any:
    """A scheduler of xdist's that gives the trials of a case to one worker, and every other test to
    whoever is free.
    """
    scheduler: Any = import_module("xdist.scheduler").LoadGroupScheduling(config, log)
    get_xdist_group, remove = scheduler._split_scope, scheduler.remove_node

    def remove_node(node: Any) -> Any:
        """The test that ended a process has had its turn: xdist would run it again, and again."""
        units = scheduler.assigned_work[node].values()
        ended = next(
            ((unit, test) for unit in units for test, done in unit.items() if not done), None
        )
        if ended:
            ended[0][ended[1]] = True
        remove(node)
        return ended and ended[1]

    scheduler.workqueue = HeaviestFirst()
    scheduler._split_scope = lambda nodeid: get_group(get_xdist_group(nodeid))
    scheduler.remove_node = remove_node
    return scheduler
