"""Judges cases from Python: in a script, a REPL or a notebook."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from harness.judging.cache import STARTS
from harness.judging.case import Case, Trial
from harness.judging.verification import PLUGIN, Reached, Verification, expand_case, is_reading
from harness.model import devices as device
from harness.reporting.environment import limited_threads
from harness.running.complaints import describe_known_alone, make_complaints
from harness.running.findings import complete_causes, make_report
from harness.running.progress import shown_progress
from harness.running.redefined import find_redefined
from harness.running.result import Result
from harness.running.runner import Runner
from harness.text.harmless import shown

FEWEST_STARTS = 2
Device = Literal["cpu", "cuda"] | str  # "cuda:1" too
Mode = Literal["auto", "live", "recorded"]
R_MODES = ("auto", "live", "recorded")
R_SWITCH, DEVICES = "NNET_PARITY_R", "NNET_PARITY_DEVICES"  # in the environment, as for pytest


def check(
    cases: Case | Verification | Sequence[Case | Verification],
    *,
    devices: Device | Sequence[Device] = (),
    r: Mode | Literal[""] = "",
    starts: int = STARTS,
    reproducers: str | os.PathLike[str] | None = None,
    progress: bool | None = None,
) -> Result:
    """Judge one case or several, and return the result.

    `devices` are by default those of this machine. `r` is the source of R's answers: R itself or
    else its recordings ("auto", the default), "live" or "recorded"; the environment may set the
    default, as for pytest. `starts` is the number of starts of each trainer. For each
    failure a script that reproduces it is written into the folder `reproducers`, if it is given.
    `progress` shows or hides the progress of steps longer than two seconds, on stderr; None shows
    it where it can be seen.

    Raises ValueError or TypeError, with a sentence, for an invalid case or argument, LookupError if
    R must be live and is not installed, and KeyboardInterrupt if it is interrupted.
    """
    __tracebackhide__ = True
    if is_reading():
        raise Reached
    file = sys._getframe(1).f_code.co_filename
    where = _choose_devices(devices)
    mode = _choose_r(r)
    if starts < FEWEST_STARTS:
        raise ValueError(f"starts is {starts}, expected at least {FEWEST_STARTS}")
    trials: dict[str, list[Trial]] = {}
    for case, its_file in _list_cases(cases, file):
        if case.name in trials:
            raise ValueError(f"two cases are called {case.name!r}, expected a name for each")
        if redefined := find_redefined(case):
            raise ValueError(redefined)
        trials[case.name] = expand_case(case, its_file, where, mode)
    with shown_progress(progress) as say, limited_threads():
        runner = Runner(starts, say, None if reproducers is None else Path(reproducers))
        result = _judge(runner, trials)
    plugin: Any = sys.modules.get(PLUGIN)
    if plugin is not None and plugin.GUESTS:
        plugin.GUESTS[-1].note_result(result)
    return result


def _judge(runner: Runner, trials: dict[str, list[Trial]]) -> Result:
    """Judge the trials of cases, given by the name of the case. Raises KeyboardInterrupt, with a
    sentence.
    """
    try:
        for name, its in trials.items():
            runner.collect(name, its)
            runner.judge_case(name, its)
        runner.close_case()
    except KeyboardInterrupt:
        done = len(runner.found.verdicts)
        of = sum(not trial.impossible for its in trials.values() for trial in its)
        raise KeyboardInterrupt(
            f"check() was interrupted when {done} of {of} trials were judged: there is no result"
        ) from None
    runner.found = complete_causes(runner.found)
    complaints = make_complaints(runner.found, is_whole=True)
    complaints += describe_known_alone(runner.found)
    complaints += [f"the result lacks {each}" for each in runner.found.lost]
    return Result(make_report(runner.found, is_interrupted=False), complaints)


def _list_cases(given: object, file: str) -> list[tuple[Case, str]]:
    """Return the cases in the argument of `check`, each with the file that contains it.

    It is `file`, or the file in which the case's `verify` was called.
    """
    if isinstance(given, str) or not isinstance(given, Sequence):
        return [_bind(given, file)]
    if not given:
        raise ValueError("check() was given no case, expected at least one")
    return [_bind(each, file) for each in given]


def _bind(given: object, file: str) -> tuple[Case, str]:
    case: Any = given
    if isinstance(given, Verification):
        case, file = given.case, given.file
    if not issubclass(type(case), Case):
        raise TypeError(f"check() was given {shown(case)}, expected a Case: check(Case(...))")
    return case, file


def _choose_devices(asked: str | Sequence[str]) -> list[str]:
    given = [asked] if isinstance(asked, str) else list(asked)
    return device.chosen(given or os.environ.get(DEVICES, "").split())


def _choose_r(asked: str) -> str:
    mode = asked or os.environ.get(R_SWITCH) or "auto"
    if mode not in R_MODES:
        raise ValueError(f"r is {shown(mode)}, expected {', '.join(R_MODES)}")
    return mode
