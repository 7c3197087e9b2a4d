"""The warm Python of the tests runs programs as Python runs them."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import os, sys
print(sys.argv[1:], os.getcwd(), os.environ.get("COLOUR"), sys.stdin.read())
print("to stderr", file=sys.stderr)
import mine
sys.exit(mine.CODE)
"""


@pytest.mark.parametrize("how", ["-c", "script", "-m"])
def test_a_program_runs_as_python_runs_it(how: str, warm_python: str, tmp_path: Path) -> None:
    """With its arguments, folder, environment, path, pipes and exit code."""
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "mine.py").write_text("CODE = 7")
    words = {"-c": ["-c", PROGRAM], "script": ["program.py"], "-m": ["-m", "program"]}[how]
    answers = [
        subprocess.run(
            [python, *words, "-x", "a b"],
            cwd=tmp_path,
            env=os.environ | {"COLOUR": "blue"},
            input="read",
            capture_output=True,
            text=True,
        )
        for python in (sys.executable, warm_python)
    ]
    theirs, mine = ((each.returncode, each.stdout, each.stderr) for each in answers)
    assert theirs[0] == 7
    assert mine == theirs


@pytest.mark.parametrize(
    ("code", "ends_with"),
    [
        ("raise SystemExit('words')", 1),
        ("1 / 0", 1),
        ("import os; os._exit(3)", 3),
        ("import os; os.kill(os.getpid(), 9)", -signal.SIGKILL),
        ("import atexit, os; atexit.register(lambda: os._exit(5))", 5),
    ],
)
def test_an_end_is_told(code: str, ends_with: int, warm_python: str) -> None:
    """Exit codes, exceptions, signals, and what runs at exit."""
    assert (
        subprocess.run([warm_python, "-c", code], stderr=subprocess.DEVNULL).returncode == ends_with
    )


def test_it_is_warm(warm_python: str) -> None:
    """torch and the harness are imported before the program begins."""
    code = "import sys; sys.exit(7 * ({'torch', 'harness', 'reference'} <= sys.modules.keys()))"
    assert subprocess.run([warm_python, "-c", code]).returncode == 7


def test_who_kills_the_client_kills_the_program(warm_python: str, tmp_path: Path) -> None:
    """A deadline of `subprocess.run` ends both: the pipe of the program is closed."""
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run(
            [warm_python, "-c", "import time; print('begun', flush=True); time.sleep(600)"],
            stdout=subprocess.PIPE,
            timeout=2,
        )


RUNS = """
import subprocess
from pathlib import Path
from harness.reproduce.programs import SCRIPTS

Path("mine.py").write_text("import sys, torch; print('said'); sys.exit(3)")
print(*SCRIPTS.run(Path("mine.py"))[:2], isinstance(SCRIPTS._forked.process, subprocess.Popen))
SCRIPTS.close()
"""


def test_scripts_are_run_by_a_fork_of_it(warm_python: str, tmp_path: Path) -> None:
    """It need not import torch, and tells code and words as the process does that users have."""
    told = subprocess.run(
        [warm_python, "-c", RUNS], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert told.stdout == "3 said\n False\n", told.stderr
