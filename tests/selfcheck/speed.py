"""How long the project's commands take, beside another checkout of it: CPU seconds and seconds.
Models are raced by `nnet-parity race` (docs/speed.md); this is for whole commands.

usage: python tests/selfcheck/speed.py OTHER_CHECKOUT [verify] [first] [cases] [test] [--rounds N]

  verify     python3 run.py verify
  first      the first verdict: pytest on the case of the checkout's README, in a folder of its own
  cases      pytest on those trials of cases/ that both checkouts have, in one process (minutes)
  test       python3 run.py test (minutes; only where it is named)

Both checkouts are asked in turn, N times (default 5), and another one first each time. Python keeps
compiled modules, as it does for a user, whatever PYTHONDONTWRITEBYTECODE says here. Printed are
the smallest of both, which other work on the machine lengthens least, and the ratios of this
checkout's to the other's. CPU seconds are those of all processes that a command starts; on a shared
machine only these mean something.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[2]
ALONE = ["-p", "no:hypothesispytest", "-p", "no:syrupy", "-p", "no:cacheprovider"]
# a plugin of pytest: only the tests that a file names stay
STAY = """
import os, pathlib

def pytest_collection_modifyitems(config, items):
    named = pathlib.Path(os.environ["STAY"]).read_text().splitlines()
    items[:] = [item for item in items if item.nodeid in set(named)]
"""


def time_command(command: list[str], folder: Path, **variables: str) -> tuple[float, float]:
    """CPU seconds, and seconds, of a command and of what it starts, with environment variables.

    Raises RuntimeError if it fails.
    """
    before, began = getrusage(RUSAGE_CHILDREN), time.monotonic()
    env = os.environ | {"RPY2_CFFI_MODE": "ABI"} | variables
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    seconds, after = time.monotonic() - began, getrusage(RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(f"{command} in {folder} failed:\n{done.stdout[-2000:]}{done.stderr}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, seconds


def read_case(checkout: Path) -> str:
    """The first case of a checkout's README, whose blocks have fences or are indented."""
    text = (checkout / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```\n", text, re.DOTALL)
    blocks += map(textwrap.dedent, re.findall(r"(?:^(?:    .*)?\n)+", text, re.MULTILINE))
    return next(block.strip() + "\n" for block in blocks if "test_sine = verify" in block)


@cache
def list_trials(checkout: Path) -> frozenset[str]:
    """The ids of the trials of a checkout's cases."""
    command = [str(checkout / ".venv/bin/python"), "-m", "pytest", "-q", "--collect-only", "cases/"]
    env = os.environ | {"RPY2_CFFI_MODE": "ABI"}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(command, cwd=checkout, env=env, capture_output=True, text=True)
    return frozenset(line for line in done.stdout.splitlines() if "-vs-" in line)


def time_verify(checkout: Path) -> tuple[float, float]:
    """`run.py verify`."""
    return time_command([sys.executable, "run.py", "verify", "-q"], checkout)


def time_tests(checkout: Path) -> tuple[float, float]:
    """`run.py test`."""
    return time_command([sys.executable, "run.py", "test", "-q"], checkout)


def time_first_verdict(checkout: Path) -> tuple[float, float]:
    """pytest on the README's case, which no earlier run has compiled."""
    with TemporaryDirectory() as folder:
        Path(folder, "test_sine.py").write_text(read_case(checkout), encoding="utf-8")
        python = checkout / ".venv/bin/python"
        return time_command([str(python), "-m", "pytest", "-q", *ALONE], Path(folder))


def time_cases(other: Path, checkout: Path) -> tuple[float, float]:
    """`pytest cases/` in one process, on the trials that the other checkout and this one have."""
    shared = list_trials(other) & list_trials(ROOT)
    with TemporaryDirectory() as folder:
        Path(folder, "stay_plugin.py").write_text(STAY, encoding="utf-8")
        named = Path(folder, "trials")
        named.write_text("\n".join(shared), encoding="utf-8")
        command = [str(checkout / ".venv/bin/python"), "-m", "pytest", "-q", *ALONE]
        command += ["-p", "stay_plugin", "cases/"]
        return time_command(command, checkout, PYTHONPATH=folder, STAY=str(named))


TIMED: dict[str, Callable[[Path], tuple[float, float]]] = {
    "verify": time_verify,
    "first": time_first_verdict,
    "test": time_tests,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("other", type=Path)
    parser.add_argument("commands", nargs="*", default=["verify", "first"])
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    checkouts = [given.other.resolve(), ROOT]
    timed = TIMED | {"cases": partial(time_cases, checkouts[0])}
    for name in given.commands:
        times: dict[Path, list[tuple[float, float]]] = {checkout: [] for checkout in checkouts}
        for number in range(given.rounds):
            for checkout in checkouts if number % 2 else reversed(checkouts):
                times[checkout].append(timed[name](checkout))
        other, ours = (
            [min(column) for column in zip(*times[checkout], strict=True)] for checkout in checkouts
        )
        for what, theirs, mine in zip(("CPU seconds", "seconds"), other, ours, strict=True):
            ratio = mine / theirs
            print(f"{name:7} {what:12} {theirs:8.2f} {mine:8.2f}   ratio {ratio:.2f}", flush=True)


if __name__ == "__main__":
    main()
