"""The pytest plugin: adds the options of nnet-parity and collects cases.

Every run of pytest in an environment loads it, so it imports `harness` and `reference` only if a
suite has cases. With the first case it loads `harness.plugin.plugin`, which judges the cases.
"""

from __future__ import annotations

import gc
import os
import re
import shlex
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Generator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from nnet_parity import workers
from nnet_parity.names import OURS, explain_hiding, explain_shadowing, has_names_of_ours
from nnet_parity.options import (
    DEADLINES,
    DEVICES,
    GROUP,
    add_options,
    get_keep,
    get_r_mode,
    get_seconds,
    get_starts,
)
from nnet_parity.report_folder import OlderReport, exchange, find_baseline, find_foreign

JUDGE = "nnet_parity_judge"  # what `harness.plugin.plugin` is registered as
# imports of ours, and one that names what asks R
NAMES_US = re.compile(rb"^\s*(?:from|import) (?:nnet_parity|harness|reference)\b", re.MULTILINE)
NAMES_R = re.compile(
    rb"^\s*from (?:nnet_parity|reference)[\w.]* import (?:\([^)]*?|[^(\n]*?)"
    rb"\b(?:r_nnet|nnet_fit|optim_bfgs)\b",
    re.MULTILINE,
)
NO_R = "--no-r"
RENAMED = ("device", "require-device", "r", "speed", "starts", "baseline", "report-dir")


def pytest_addoption(parser: pytest.Parser) -> None:
    add_options(parser)


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config, parser: pytest.Parser, args: list[str]
) -> Generator[None]:
    """Set an older report aside, and explain the new name of an option that is given by its old
    name, before pytest refuses it.

    An option that another plugin or a conftest defines is left alone.
    """
    if "PYTEST_XDIST_WORKER" not in os.environ:  # the controller has done so
        set_older_aside(early_config, early_config.known_args_namespace)
    try:
        yield
    except KeyboardInterrupt:
        let_older_return(early_config, False)
        raise
    words = dict.fromkeys(word.partition("=")[0] for word in args)
    old = [
        word for word in words if word.removeprefix("--") in RENAMED and not _is_known(parser, word)
    ]
    if old:
        new = ", ".join(f"{word} is called --parity-{word.removeprefix('--')} now" for word in old)
        parser.extra_info[GROUP] = new
    if NO_R in words and not _is_known(parser, NO_R):
        parser.extra_info[GROUP] = f"{NO_R} is an option of run.py, write --parity-r recorded"


def get_report_folder(config: pytest.Config, option: Namespace) -> Path:
    """Return the folder of the report, from the command line or the ini file."""
    return Path(option.parity_report_dir or config.getini("parity_report_dir"))


def set_older_aside(config: pytest.Config, option: Namespace) -> None:
    """Move an older report aside, so that it cannot be mistaken for this run's report.

    It is put back at the end of a run that has no case and is not interrupted.
    """
    runs_tests = not (option.collectonly or option.setuponly or option.setupplan or option.help)
    if OLDER not in config.stash and runs_tests and not workers.is_worker(config):
        older = OlderReport(config.invocation_params.dir / get_report_folder(config, option))
        config.stash[OLDER] = older
        config.add_cleanup(older.end)
        older.set_aside()


def let_older_return(config: pytest.Config, may_return: bool) -> None:
    """Set whether an older report is put back at the end of this run."""
    if OLDER in config.stash:
        config.stash[OLDER].may_return = may_return


def _is_known(parser: pytest.Parser, word: str) -> bool:
    try:
        return word not in parser.parse_known_and_unknown_args([word])[1]
    except pytest.UsageError:  # it is known, and lacks its value
        return True


class Guest:
    """The state of one run of pytest, as far as this plugin needs it.

    It holds the running test, the results of its calls of `check`, the collected modules, the cases
    that `verify` got at import, and the cases that pytest collected.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.running: pytest.Item | None = None
        self.modules: set[tuple[str, Path]] = set()  # those that may hold cases, by name and file
        self.results: list[Any] = []  # those of `check` in the running test
        self.verified: list[Any] = []
        self.collected: list[Any] = []
        self.races_left_out = 0
        self.started = time.monotonic()

    def note_races(self, count: int) -> None:
        """Store the number of speed races (tests with the fixture `raced`) that a process skipped.

        Processes that share a run skip the same races, so the largest number counts.
        """
        self.races_left_out = max(self.races_left_out, count)

    def note(self, verification: Any) -> None:
        """Receive a case from `verify`: judge it at once inside a test, or store it for the
        collection if a module is being imported.
        """
        __tracebackhide__ = True
        if verification.imported is not None:
            self.verified.append(verification)
        elif self.running is not None:
            load_judge(self.config).judge_in_test(self.running, verification)

    def note_result(self, result: Any) -> None:
        """Receive a result of `check`: the running test must look at it if it is not ok."""
        if self.running is not None:
            self.results.append(result)

    def find_uncollected(self) -> list[Any]:
        """Return the cases that a collected module has verified, but pytest has not collected.

        Two kinds of cases are left out: those of modules that are only imported, and those of files
        from which only some tests were chosen.
        """
        if self.config.option.collectonly:
            return []
        chosen = {
            Path(word.partition("::")[0]).resolve() for word in self.config.args if "::" in word
        }
        known = {id(each) for each in self.collected}
        found = []
        for each in self.verified:
            module, file, _ = each.imported
            if (
                id(each) not in known
                and (module, Path(file)) in self.modules
                and Path(file).resolve() not in chosen
            ):
                found.append(each)
        return found


GUEST = pytest.StashKey[Guest]()
OLDER = pytest.StashKey[OlderReport]()
GUESTS: list[Guest] = []  # a run of pytest may run another one in the same process


def pytest_configure(config: pytest.Config) -> None:
    if config.getini("nnet_parity_devices"):
        raise pytest.UsageError(
            "nnet_parity_devices is called parity_devices now: rename it in the ini file"
        )
    get_r_mode(config)
    get_starts(config)
    get_keep(config)
    for name in DEADLINES:
        get_seconds(config, name)
    set_older_aside(config, config.option)  # if this plugin was loaded after the conftests
    guest = Guest(config)
    config.stash[GUEST] = guest
    GUESTS.append(guest)
    config.add_cleanup(lambda: GUESTS.remove(guest))
    workers.register(config, lambda: load_judge(config).merger, guest.note_races)
    if any(
        map(config.getoption, ("--parity-device", "--parity-require-device", "--parity-baseline"))
    ):
        # whoever says that uses us: a missing device, or nothing to compare, is an error
        load_judge(config)


def load_judge(config: pytest.Config) -> Any:
    """Return the `harness.plugin.plugin.Judge` of this run; the first call makes it.

    Raises ImportError if Python finds another package in place of our `harness`.
    """
    if judge := config.pluginmanager.get_plugin(JUDGE):
        return judge
    if OLDER in config.stash:
        config.stash[OLDER].keep()
    if sentence := explain_shadowing("harness"):
        raise ImportError(sentence)
    from harness.plugin.options import Options
    from harness.plugin.plugin import Judge
    from harness.waiting.deadlines import Deadlines

    option = config.getoption
    required = option("--parity-require-device") or ""
    asked = [*option("--parity-device"), *([required] if required else [])]
    folder = get_report_folder(config, config.option)
    refused = find_foreign(folder)
    if refused:
        refused = (
            f"the report would take the place of {refused}, which is no file of a report: choose"
            " another folder with --parity-report-dir"
        )
    ended = workers.get_ended(config)
    judge = Judge(
        config,
        Options(
            devices=asked or os.environ.get(DEVICES, "").split() or config.getini("parity_devices"),
            required_device=required,
            r_mode=get_r_mode(config),
            starts=get_starts(config),
            baseline=find_baseline(option("--parity-baseline") or ""),
            report_folder=folder,
            exchange=exchange,
            refused=refused,
            is_worker=workers.is_worker(config),
            is_shared=workers.is_shared(config),
            ahead=option("--parity-ahead") or config.getini("parity_ahead"),
            is_busy=workers.is_shared(config) or option("--parity-speed"),
            deadlines=Deadlines(
                get_seconds(config, "r-deadline") or Deadlines().r,
                get_seconds(config, "training-deadline") or Deadlines().training,
            ),
            ended=ended,
            keep=get_keep(config),
            command=shlex.join(["pytest", *map(str, config.invocation_params.args)]),
            started=config.stash[GUEST].started,
        ),
    )
    config.pluginmanager.register(judge, JUDGE)
    return judge


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: Any) -> Generator[None, Any, Any]:
    """Speed up the import of a test file that imports our packages.

    R starts while torch is imported. The garbage collector is switched off for the import, since it
    would search torch's objects again and again.
    """
    if not isinstance(collector, pytest.Module) or not gc.isenabled():
        return (yield)
    text = b""
    with suppress(OSError):  # another plugin may make a module without a file
        text = collector.path.read_bytes()
    if not NAMES_US.search(text):
        return (yield)
    if NAMES_R.search(text):
        wake_r(collector)
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def wake_r(module: pytest.Module) -> None:
    """Start R without waiting for it, before a test file is imported.

    R is not started if recordings answer for it, if no test will run, or if Python could import
    another package instead of ours.
    """
    if module.config.option.collectonly or get_r_mode(module.config) == "recorded":
        return
    with suppress(Exception):  # the import of the file will tell it
        if not any(map(explain_shadowing, OURS)) and not has_names_of_ours(module.path.parents):
            from reference import r_nnet

            r_nnet.wake()


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: Any, name: str, obj: object) -> Any:
    """Return the trials of a case; None for any other object.

    Objects are not touched unless our `harness` is loaded.
    """
    ours = sys.modules.get("harness.judging.verification")
    if ours is None:
        return None
    guest = collector.config.stash[GUEST]
    if isinstance(collector, pytest.Module):
        guest.modules.add((collector.obj.__name__, collector.path))
    # some objects raise when asked for their __class__
    if not issubclass(type(obj), (ours.Verification, ours.Case)):
        return None
    guest.collected.append(obj)
    try:
        return load_judge(collector.config).make_items(collector, name, obj)
    except Exception:  # which ends the collection of this file: its other cases are not to blame
        guest.modules -= {each for each in guest.modules if each[1] == collector.path}
        raise


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    if found := session.config.stash[GUEST].find_uncollected():
        load_judge(session.config).note_uncollected(found)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    guest = item.config.stash[GUEST]
    guest.running = item
    try:
        return (yield)
    finally:
        guest.running = None
        guest.results.clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Fail a test that has called `check` without looking at whether the result is ok."""
    __tracebackhide__ = True
    found = yield
    for result in item.config.stash[GUEST].results:
        result.raise_if_unread()
    return found


@pytest.fixture
def raced(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Return the function that runs a speed race: `raced(entry, "cpu", "float64")` races an entry
    on a device in a dtype.

    Only with --parity-speed.
    """
    return load_judge(request.config).make_racer(request)  # type: ignore[no-any-return]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip races (tests with the fixture `raced`) unless --parity-speed is given.

    They take minutes, and need the whole machine.
    """
    if config.getoption("--parity-speed"):
        return
    races = [item for item in items if _is_race(item)]
    if races:
        config.stash[GUEST].note_races(len(races))
        workers.tell_races(config, len(races))
        items[:] = [item for item in items if item not in races]
        config.hook.pytest_deselected(items=races)


def _is_race(item: pytest.Item) -> bool:
    """Does a test use our fixture `raced`, and not another fixture of that name?"""
    fixtures = getattr(item, "_fixtureinfo", None)
    found: Any = fixtures.name2fixturedefs.get("raced") if fixtures else None
    return bool(found) and found[-1].func.__module__ == __name__


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Leave an older report aside for good, whatever the outcome of this run."""
    let_older_return(session.config, False)


@pytest.hookimpl(wrapper=True, trylast=True)  # before the end is shown
def pytest_sessionfinish(session: pytest.Session) -> Generator[None]:
    """Put an older report back after a run that was not interrupted and wrote no report."""
    yield
    judge = session.config.pluginmanager.get_plugin(JUDGE)
    ends_early = session.exitstatus in (
        pytest.ExitCode.INTERRUPTED,
        pytest.ExitCode.INTERNAL_ERROR,
    )
    if not ends_early and not (judge and (judge.ending.replaces_older or judge.ending.refused)):
        let_older_return(session.config, True)


@pytest.hookimpl(tryfirst=True)
def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print the number of skipped races (tests with the fixture `raced`) and, if this run wrote no
    report, the place of the older one.

    If a test file could not be imported, also explain clashes between a user's packages and ours.
    """
    older = config.stash.get(OLDER, None)
    if older and not older.may_return and older.is_there():
        line = f"the report of an earlier run was moved to {os.path.relpath(older.place)}"
        terminalreporter.write_line(line)
    if left_out := config.stash[GUEST].races_left_out:
        races = "1 race was" if left_out == 1 else f"{left_out} races were"
        terminalreporter.write_line(f"{races} left out: --parity-speed runs them")
    if any(report.when == "collect" for report in terminalreporter.stats.get("error", ())):
        for name in OURS:
            if sentence := explain_shadowing(name) or explain_hiding(name):
                terminalreporter.write_line(f"nnet-parity: {sentence}", red=True)
