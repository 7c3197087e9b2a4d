"""How often races between two checkouts err: this checkout is raced against itself, and against
itself with a planted slow-down of 30 %.

usage: python -m tests.selfcheck.race_noise [--races N] [--seconds S] [--out FILE] [--only TEXT]

Each run is one of `nnet-parity race` on the small races of cases/test_speed.py, in both dtypes and
twice: two processes take turns, and what looks slower is measured a second time, in new processes.
In the same rounds the second process takes a third turn with 1.3 times the evaluations, rounded to
whole ones: slow-downs of 20 to 30 % are counted. What looks slower of them is measured a second
time too, as many evaluations. All times are kept in FILE, one race a line; the
study goes on where it was interrupted, until there are N races or S seconds have passed. Printed
are the shares of races and runs that are flagged, by the rule of harness/racing/decision.py and by
others, and the share of slow-downs that both measurements find.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from harness.core.report import grouped
from harness.racing.against import (
    Compared,
    RaceId,
    Runner,
    begin,
    measure,
    start_runners,
    take_turns,
)
from harness.racing.decision import MARGIN, ROUNDS, Measurement, is_slower
from harness.text.files import append_whole

ROOT = Path(__file__).resolve().parents[2]
FILE = Path("cases/test_speed.py")
SMALL = "sine, 50 points: ", "two heads, 2 rows: "  # in the names of races that take little time
DTYPES = "float64", "float32"
SMALLEST, PLANTED = 1.2, 1.3  # times the evaluations: turns have whole ones
Line = dict[str, Any]
RULES: dict[str, Callable[[Measurement], float]] = {
    "ratio of minima": lambda one: one.ratio,
    "ratio of second smallest": lambda one: sorted(one.head)[1] / sorted(one.base)[1],
    "ratio of lower quartiles": lambda one: quantile(one.head, 0.25) / quantile(one.base, 0.25),
    "ratio of medians": lambda one: median(one.head) / median(one.base),
    "median of ratios": lambda one: median(h / b for h, b in zip(one.head, one.base, strict=True)),
}
MARGINS = 1.05, 1.08, 1.1, 1.12, MARGIN, 1.16, 1.2


def quantile(seconds: Sequence[float], share: float) -> float:
    """The time below which this share of the turns lies."""
    return sorted(seconds)[int(share * len(seconds))]


def race_once(runners: Sequence[Runner], race: RaceId) -> Line:
    """One race of this checkout against itself, with planted turns of the second process."""
    evaluations = begin(runners, race)
    base, head = (partial(runner.ask, "take") for runner in runners)
    takers = [base, head, partial(runners[1].ask, "take", PLANTED)]
    times = take_turns(takers, ROUNDS)
    planted = round(PLANTED * evaluations) / evaluations
    return {
        "race": list(race),
        "evaluations": evaluations,
        "factor": planted,
        **dict(zip(("base", "head", "planted"), times, strict=True)),
    }


def race_planted_again(runners: Sequence[Runner], line: Line) -> list[list[float]]:
    """The times of a second measurement of a race whose second process is slowed down."""
    for runner in runners:
        runner.ask("begin", *line["race"], line["evaluations"])
    base, head = runners
    return take_turns([partial(base.ask, "take"), partial(head.ask, "take", PLANTED)], ROUNDS)


def run_once(run: int, only: str) -> Iterator[Line]:
    """All small races once; those that look slower, or whose planted slow-down does, a second time,
    in new processes.
    """
    start = partial(start_runners, [ROOT, ROOT], FILE, "cpu")
    lines = []
    with start() as runners:
        names = runners[0].ask("describe")[0]
        small = [name for name in names if any(map(name.__contains__, SMALL)) and only in name]
        for race in [RaceId(name, dtype) for name in small for dtype in 2 * DTYPES]:
            lines.append({"run": run, "load": os.getloadavg()[0], **race_once(runners, race)})
    suspects = [line for line in lines if looks_slower(line, "head")]
    if suspects:
        with start() as runners:
            for line in suspects:
                line["second"] = list(measure(runners, RaceId(*line["race"]), ROUNDS))
    found = [line for line in lines if looks_slower(line, "planted")]
    if found:
        with start() as runners:
            for line in found:
                line["planted again"] = race_planted_again(runners, line)
    yield from lines


def looks_slower(line: Line, who: str) -> bool:
    """Does the first measurement call the head, or the planted slow-down, slower?"""
    return is_slower(Measurement(line["base"], line[who]))


def read(out: Path) -> list[Line]:
    """The races that were measured so far."""
    if not out.exists():
        return []
    return [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]


def is_flagged(line: Line, who: str = "head", again: str = "second") -> bool:
    """Was the checkout, or its planted slow-down, called slower by both measurements?"""
    second = Measurement(*line[again]) if again in line else None
    return Compared(RaceId(*line["race"]), Measurement(line["base"], line[who]), second).is_slower


def repeats(one: Line, next_one: Line) -> bool:
    """Would the same race of the run after it have repeated that a race looked slower?"""
    return all(looks_slower(line, "head") for line in (one, next_one))


def summarise(lines: Sequence[Line]) -> Iterator[str]:
    """What was found, in sentences."""
    runs = grouped(lines, lambda line: line["run"])
    loads = sorted(line["load"] for line in lines)
    yield f"{len(lines):,} races in {len(runs)} runs"
    yield f"load {loads[0]:.1f} to {loads[-1]:.1f}, median {median(loads):.1f}"
    false = sum(looks_slower(line, "head") for line in lines)
    counted = [line for line in lines if SMALLEST <= line.get("factor", np.inf) <= PLANTED]
    found = sum(looks_slower(line, "planted") for line in counted)
    both = sum(is_flagged(line, "planted", "planted again") for line in counted)
    flagged = sum(any(map(is_flagged, some)) for some in runs.values())
    yield f"against itself called slower: {false} races, {false / len(lines):.2%}"
    yield f"runs in which a second measurement repeats it: {flagged}, {flagged / len(runs):.2%}"
    repeated = sum(map(repeats, lines, lines[len(lines) // len(runs) :]))
    yield f"called slower in two runs that follow each other: {repeated} races"
    if not counted:
        return
    sizes = median(line["factor"] for line in counted)
    yield f"slow-down of {SMALLEST - 1:.0%} to {PLANTED - 1:.0%}, median {sizes - 1:.0%}, found:"
    yield f"  {found} of {len(counted)} races, {found / len(counted):.2%}"
    yield f"  a second measurement repeats {both} of them, {both / len(counted):.2%} of all"
    margins = ", ".join(f"{margin:.3f}" for margin in MARGINS)
    yield f"by other rules, false and found in % at margins {margins}:"
    for name, rule in RULES.items():
        same = [rule(Measurement(line["base"], line["head"])) for line in lines]
        slow = [rule(Measurement(line["base"], line["planted"])) for line in counted]
        shares = []
        for margin in MARGINS:
            pair = [100 * float(np.mean(np.array(ratios) > margin)) for ratios in (same, slow)]
            shares.append(f"{pair[0]:5.2f} {pair[1]:6.2f}")
        yield f"  {name:25} {' | '.join(shares)}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--races", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=240.0)
    parser.add_argument("--out", type=Path, default=Path("build/race_noise.jsonl"))
    parser.add_argument("--only", default="", help="a part of the names of races")
    given = parser.parse_args()
    given.out.parent.mkdir(parents=True, exist_ok=True)
    began, lines = time.monotonic(), read(given.out)
    longest = 0.0
    while len(lines) < given.races and time.monotonic() - began + longest < given.seconds:
        start = time.monotonic()
        run = max((line["run"] for line in lines), default=-1) + 1
        new = list(run_once(run, given.only))
        append_whole(given.out, "".join(json.dumps(line) + "\n" for line in new))
        lines += new
        longest = max(longest, time.monotonic() - start)
    print(*summarise(lines), sep="\n")


if __name__ == "__main__":
    main()
