"""Runs in random order while other processes keep all cores busy.

Each run judges the same cases as a first, quiet one in the order of the files, and has to come to
the same verdicts, none lost and none twice; and it passes test files that are drawn for it.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from tests.robustness.trial import Trial

ROOT = Path(__file__).resolve().parents[2]
CASES = ["cases/test_sine.py", "cases/test_narrow.py"]
FILES_A_RUN = 3  # test files
DEADLINE = 1800.0  # seconds, beyond which a run counts as hung
# These measure time, or change the checkout that others test.
ALONE = ("tests/mutation", "tests/selfcheck", "tests/project", "tests/robustness")


def attack(count: int, seed: int) -> Iterator[Trial]:
    """Make `count` runs in orders drawn from `seed`, every second one by two processes."""
    with tempfile.TemporaryDirectory() as folder:
        expected = judge(Path(folder, "quiet"), [])
        for number in range(seed, seed + count):
            order = ["-p", "tests.robustness.shuffling", "--shuffle", str(number)]
            if number % 2:
                order += ["-n", "2"]
            begin = time.monotonic()
            with load():
                found = judge(Path(folder, str(number)), order)
                said = run_tests(number, order)
            wrong = compare(expected, found) or said
            yield Trial(f"run {number}", wrong, time.monotonic() - begin)


@contextmanager
def load() -> Iterator[None]:
    """Keep every core busy with a process."""
    busy = [sys.executable, "-c", "while True: pass"]
    processes = [subprocess.Popen(busy) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def run_pytest(words: list[str]) -> tuple[int, str]:
    """Run pytest in a process of its own; return its exit code (-1: hung) and its last words."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words]
    try:
        run = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE, check=False
        )
    except subprocess.TimeoutExpired:
        return -1, f"hung for {DEADLINE:g} s"
    failures = [line for line in run.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return run.returncode, "; ".join(failures)[:500]


def judge(folder: Path, order: list[str]) -> dict[str, str]:
    """Judge the cases; return the status of each trial by its id, and the exit code."""
    code, said = run_pytest([*CASES, f"--parity-report-dir={folder}", *order])
    statuses = {"exit code": f"{code} {said}"}
    if (folder / "results.json").exists():
        report = json.loads((folder / "results.json").read_text(encoding="utf-8"))
        for verdict in report["verdicts"]:
            twice = verdict["id"] in statuses
            statuses[verdict["id"]] = "twice" if twice else verdict["status"]
    return statuses


def compare(expected: dict[str, str], found: dict[str, str]) -> str:
    """Say which verdicts differ, or return ""."""
    differences = []
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            differences.append(f"{name} is {found.get(name)}, expected {expected.get(name)}")
    return "; ".join(differences[:3])


def run_tests(number: int, order: list[str]) -> str:
    """Run some files of tests, drawn by the number of the run; return what failed, or ""."""
    files = []
    for path in sorted(Path(ROOT, "tests").rglob("test_*.py")):
        name = str(path.relative_to(ROOT))
        if not name.startswith(ALONE):
            files.append(name)
    code, said = run_pytest([*Random(number).sample(files, FILES_A_RUN), *order])
    return "" if code == 0 else f"exit code {code}: {said}"
