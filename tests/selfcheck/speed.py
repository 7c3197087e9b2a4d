"""How long the project's commands take, beside another checkout of it: CPU seconds and seconds.
Models are raced by `nnet-parity race` (docs/speed.md); this is for whole commands.

usage: python tests/selfcheck/speed.py OTHER_CHECKOUT [verify] [first] [test] [--rounds N]

  verify     python3 run.py verify
  first      the first verdict: pytest on the case of the README, in a folder of its own
  test       python3 run.py test (minutes; only where it is named)

Both checkouts are asked in turn, N times (default 5), and another one first each time. Printed are
the smallest of both, which other work on the machine lengthens least, and the ratios of this
checkout's to the other's. CPU seconds are those of all processes that a command starts; on a shared
machine only these mean something.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[2]
ALONE = ["-p", "no:hypothesispytest", "-p", "no:syrupy", "-p", "no:cacheprovider"]


def time_command(command: list[str], folder: Path) -> tuple[float, float]:
    """CPU seconds, and seconds, of a command and of what it starts.

    Raises RuntimeError if it fails.
    """
    before, began = getrusage(RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    seconds, after = time.monotonic() - began, getrusage(RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(f"{command} in {folder} failed:\n{done.stdout[-2000:]}{done.stderr}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, seconds


def read_case() -> str:
    """The README's first case."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = map(textwrap.dedent, re.findall(r"(?:^(?:    .*)?\n)+", text, re.MULTILINE))
    return next(block.strip() + "\n" for block in blocks if "test_sine = verify" in block)


def time_verify(checkout: Path) -> tuple[float, float]:
    """`run.py verify`."""
    return time_command([sys.executable, "run.py", "verify", "-q"], checkout)


def time_tests(checkout: Path) -> tuple[float, float]:
    """`run.py test`."""
    return time_command([sys.executable, "run.py", "test", "-q"], checkout)


def time_first_verdict(checkout: Path) -> tuple[float, float]:
    """pytest on the README's case, which no earlier run has compiled."""
    with TemporaryDirectory() as folder:
        Path(folder, "test_sine.py").write_text(read_case(), encoding="utf-8")
        python = checkout / ".venv/bin/python"
        return time_command([str(python), "-m", "pytest", "-q", *ALONE], Path(folder))


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
    for name in given.commands:
        times: dict[Path, list[tuple[float, float]]] = {checkout: [] for checkout in checkouts}
        for number in range(given.rounds):
            for checkout in checkouts if number % 2 else reversed(checkouts):
                times[checkout].append(TIMED[name](checkout))
        other, ours = (
            [min(column) for column in zip(*times[checkout], strict=True)] for checkout in checkouts
        )
        for what, theirs, mine in zip(("CPU seconds", "seconds"), other, ours, strict=True):
            ratio = mine / theirs
            print(f"{name:7} {what:12} {theirs:8.2f} {mine:8.2f}   ratio {ratio:.2f}", flush=True)


if __name__ == "__main__":
    main()
