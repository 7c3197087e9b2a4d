"""Attacks the tool and prints a row for each part: how many attacks, and what did not hold.

usage: python -m tests.robustness [--part PART ...] [--count N] [--seed S] [--write]

Each part makes as many attacks as `docs/robustness.md` states, or N. Progress goes to stderr. With
--write, the rows replace the table in docs/robustness.md. Exits with 1 if anything did not hold.
"""

import argparse
import re
import sys
import time
from importlib import import_module
from pathlib import Path

from tests.robustness.trial import Trial, is_within

PARTS = {"store": 500, "files": 200, "r": 35, "signals": 120, "shuffled": 25}
PAGE = Path(__file__).parents[2] / "docs" / "robustness.md"
TABLE = re.compile(r"(?<=<!-- table -->\n).*?(?=<!-- end -->)", re.DOTALL)
HEAD = "| Part | Attacks | Held | Slowest, s | Most memory, MB |\n| :-- | --: | --: | --: | --: |\n"


def attack(part: str, count: int, seed: int) -> list[Trial]:
    """Make the attacks of a part, with progress; print each that did not hold."""
    trials = []
    for trial in import_module(f"tests.robustness.{part}").attack(count, seed):
        trials.append(trial)
        if sys.stderr.isatty():
            print(f"\r{part}: {len(trials)} attacks", end="", file=sys.stderr, flush=True)
        if trial.found:
            print(f"\n{part}: {trial.name}: {trial.found}", file=sys.stderr, flush=True)
    return trials


def make_row(part: str, trials: list[Trial], is_limited: bool) -> str:
    """Return the row of a part; `is_limited` says whether limits of time and memory hold."""
    held = 0
    for trial in trials:
        if not trial.found and (not is_limited or is_within(trial)):
            held += 1
    slowest = find_most([trial.seconds for trial in trials])
    largest = find_most([trial.megabytes for trial in trials])
    return f"| {part} | {len(trials)} | {held} | {slowest} | {largest} |\n"


def find_most(numbers: list[float]) -> str:
    """Return the largest of the numbers that were measured."""
    measured = [number for number in numbers if number == number]
    if not measured:
        return "not measured"
    return f"{max(measured):.0f}" if max(measured) >= 10 else f"{max(measured):.2g}"


def main() -> int:
    """Run the parts that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--part", action="append", choices=PARTS, help="all parts if not given")
    parser.add_argument("--count", type=int, help="attacks a part; files: of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true", help=f"write the table of {PAGE.name}")
    given = parser.parse_args()
    rows, failures = "", 0
    start = time.monotonic()
    for part in given.part or PARTS:
        trials = attack(part, given.count or PARTS[part], given.seed)
        row = make_row(part, trials, is_limited=part == "files")
        rows += row
        held = int(row.split("|")[3])
        failures += len(trials) - held
        print(row, end="", flush=True)
    print(f"{time.monotonic() - start:.0f} s", file=sys.stderr)
    if given.write:
        page = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(TABLE.sub(HEAD + rows, page), encoding="utf-8")
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
