"""Scripts of failures, run where there is nothing but Python, torch and NumPy (and R)."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from harness import Case, Status
from harness.judging.cache import Cache
from harness.running.trial import run

ABSENT = (
    "harness",
    "reference",
    "cases",
    "tests",
    "nnet_parity",
    "pytest",
    "scipy",
    "rpy2",
    "jinja2",
    "msgspec",
)
RUNNER = """
import contextlib, io, json, runpy, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[1:]:
            raise ImportError(f"{name} is not installed here")

sys.meta_path.insert(0, Absent())
for script in sys.stdin:
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            runpy.run_path(script.removesuffix("\\n"), run_name="__main__")
            code = 0
        except SystemExit as end:
            code = end.code
        except BaseException as error:
            code = repr(error)
    print(json.dumps([code, said.getvalue()]), flush=True)
"""


def scripts(case: Case, folder: Path) -> dict[str, Path | None]:
    """The script of each trial of the case that fails by a difference, by the trial's id; None
    where it has none.
    """
    cache, found = Cache(case), {}
    for trial in case.trials():
        verdict = run(trial, cache, folder=folder)
        if verdict.status is Status.FAIL and verdict.budget_used is not None:
            found[trial.id] = Path(verdict.alone) if verdict.alone else None
    return found


@cache
def _elsewhere(absent: tuple[str, ...]) -> subprocess.Popen[str]:
    """A process in which scripts are run, one after the other: torch takes its time to be
    loaded.
    """
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PYTHON")
    }
    command = [sys.executable, "-c", RUNNER, *absent]
    process = subprocess.Popen(
        command, cwd="/", env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    atexit.register(process.communicate)
    return process


def ended(paths: Sequence[Path], absent: Sequence[str] = ABSENT) -> list[tuple[int | str, str]]:
    """Exit code, or what was raised, and what was printed, of each script, where these packages are
    not.
    """
    process, found = _elsewhere(tuple(absent)), []
    assert process.stdin is not None
    assert process.stdout is not None
    for path in paths:
        print(path, file=process.stdin, flush=True)
        found.append(tuple(json.loads(process.stdout.readline())))
    return found


def again(case: Case, absent: Sequence[str] = ABSENT) -> dict[str, bool | None]:
    """Of each trial that fails by a difference: does its script fail again on its own? None where
    it has none.
    """
    with TemporaryDirectory() as folder:
        found = scripts(case, Path(folder))
        return {
            name: ended([path], absent)[0][0] == 1 if path else None for name, path in found.items()
        }
