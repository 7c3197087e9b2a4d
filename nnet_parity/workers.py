"""Gives all trials of a case to one process of pytest-xdist; all other tests stay with the
scheduler that xdist has chosen.

A trial is a test that compares a subject with a reference. A worker is a process of xdist that runs
tests; the controller is the process that started the workers. The controller chooses its scheduler
before the workers have collected, and collects nothing itself. So the choice is made again when the
first worker reports its tests.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from heapq import heappop, heappush
from importlib import import_module
from typing import Any

import pytest

RACES = "nnet_parity_races"  # the number of races that a worker has left out
PART = "nnet_parity"  # our key in messages between workers and controller
ENDED = "nnet_parity_ended"  # the tests in which workers have ended
# values of --dist that would split the trials of a case among processes
SPLITS_CASES = ("load", "worksteal", "loadgroup")
TRIAL = re.compile(
    r"\[.+-[a-z]+(?::\d+)?-(?:float64|float32|tf32|bfloat16|float16)-.+-vs-.+\]$", re.DOTALL
)

FITS = re.compile(r"-(?:final|fit)-vs-.+\]$", re.DOTALL)  # ids of trials that train to the end
WEIGHT_OF_FIT = 30  # trials of other kinds that take as long


def is_worker(config: pytest.Config) -> bool:
    """Was this process started by xdist to run tests?"""
    return hasattr(config, "workerinput")


def is_shared(config: pytest.Config) -> bool:
    """Do several processes share this run?"""
    return is_worker(config) or config.getoption("dist", "no") != "no"


def get_ended(config: pytest.Config) -> list[str]:
    """Return the tests in which workers of this run have died."""
    if is_worker(config):
        ended: list[str] = config.workerinput[ENDED]  # type: ignore[attr-defined]
        return ended
    return []


def register(
    config: pytest.Config, get_merger: Callable[[], Any], note_races: Callable[[int], None]
) -> None:
    """Receive the results of workers, if this process is the controller.

    `get_merger` loads the object that merges these results. `note_races` is called with the number
    of speed races (tests with the fixture `raced`) that a worker skipped.
    """
    if is_shared(config) and not is_worker(config):
        controller = Controller(config, get_merger, note_races)
        config.pluginmanager.register(controller, "nnet_parity_controller")


def tell_races(config: pytest.Config, count: int) -> None:
    """If this process is a worker, send the controller the number of races that it skipped."""
    if is_worker(config):
        config.workeroutput[RACES] = count  # type: ignore[attr-defined]


def get_group(nodeid: str) -> str:
    """Return the group to which a test belongs: the file and name of its case if it is a trial,
    else the id of the test.
    """
    if not TRIAL.search(nodeid):
        return nodeid
    file, _, name = nodeid.partition("::")
    return f"{file}::{name.partition('[')[0]}"


def get_weight(nodeids: Iterable[str]) -> int:
    """Estimate the time that these tests take, in units of one trial without training."""
    weight = 0
    for nodeid in nodeids:
        weight += WEIGHT_OF_FIT if FITS.search(nodeid) else 1
    return weight


class HeaviestFirst(OrderedDict[str, dict[str, bool]]):
    """Groups of tests by name. The group that takes longest comes first, so that the last groups
    are short.
    """

    def __init__(self) -> None:
        super().__init__()
        self._by_weight: list[tuple[int, int, str]] = []
        self._added = 0

    def __setitem__(self, group: str, tests: dict[str, bool]) -> None:
        """Add a group; `tests` says for each of its tests whether it has run."""
        super().__setitem__(group, tests)
        self._added += 1
        heappush(self._by_weight, (-get_weight(tests), self._added, group))

    def popitem(self, last: bool = True) -> tuple[str, dict[str, bool]]:
        """Remove the group that takes longest and return it with its tests; of equally long groups,
        the one that was added first.
        """
        group = heappop(self._by_weight)[-1]
        while group not in self:  # it was removed
            group = heappop(self._by_weight)[-1]
        return group, self.pop(group)


class Controller:
    """Passes the results of the workers to `harness.plugin.xdist.Merger`, in the controlling
    process.
    """

    def __init__(
        self,
        config: pytest.Config,
        get_merger: Callable[[], Any],
        note_races: Callable[[int], None],
    ) -> None:
        # the tests in which workers have ended: those that take their place do not ask them again
        self.ended: list[str] = []
        self.config, self.get_merger, self.note_races = config, get_merger, note_races
        self.order: dict[str, int] = {}

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput[ENDED] = list(self.ended)

    @pytest.hookimpl(optionalhook=True, wrapper=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Any:
        chosen = yield
        if config.getoption("dist") in SPLITS_CASES:
            return ByCase(chosen, config, log)
        return chosen

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
            self.ended.append(crashitem)
            self.get_merger().take_crash(crashitem, report, self.order.get(crashitem, 0))

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        output = getattr(node, "workeroutput", {})
        self.note_races(output.get(RACES, 0))
        if part := output.get(PART):
            self.get_merger().take_rest(part, len(self.order))


class ByCase:
    """A scheduler that either acts as the one that xdist chose, or keeps the trials of a case
    together.

    It does the latter if the first worker that reports has trials of ours.
    """

    def __init__(self, chosen: Any, config: pytest.Config, log: Any) -> None:
        self._scheduler, self._config, self._log = chosen, config, log
        self._asked = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._scheduler, name)

    def add_node_collection(self, node: Any, collection: Sequence[str]) -> None:
        """Receive the ids of one worker's tests; the first call chooses the scheduler."""
        if not self._asked:
            self._asked = True
            if any(TRIAL.search(nodeid) for nodeid in collection):
                known = self._scheduler.nodes
                self._scheduler = group_cases(self._config, self._log)
                for each in known:
                    self._scheduler.add_node(each)
        self._scheduler.add_node_collection(node, collection)


def group_cases(config: pytest.Config, log: Any) -> Any:
    """Return a scheduler that gives all trials of a case to one worker, and each other test to any
    free worker.
    """
    scheduler: Any = import_module("xdist.scheduler").LoadGroupScheduling(config, log)
    get_xdist_group, remove = scheduler._split_scope, scheduler.remove_node

    def remove_node(node: Any) -> Any:
        """Remove a worker that has died, and return the test that it ran.

        This test is marked as run, since xdist would run it again and again.
        """
        ended = None
        for unit in scheduler.assigned_work[node].values():
            waiting = [test for test, has_run in unit.items() if not has_run]
            if waiting:
                ended = waiting[0]
                unit[ended] = True
                break
        remove(node)
        return ended

    scheduler.workqueue = HeaviestFirst()
    scheduler._split_scope = lambda nodeid: get_group(get_xdist_group(nodeid))
    scheduler.remove_node = remove_node
    return scheduler
