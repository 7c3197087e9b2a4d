"""The command `nnet-parity race`: is this checkout slower than another one?"""

import json
import os
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from harness.model.devices import lacking
from harness.racing.against import Compared, RaceId, compare, expect_own_code, start_runners
from harness.racing.decision import MARGIN, ROUNDS, is_faster, is_slower
from harness.text.files import append_whole, replace_whole
from harness.text.harmless import one_line

SLOWER, FASTER, ALIKE = "slower", "faster", "alike"
INTERRUPTED = 130  # 128 and the number of SIGINT
ONCE = "slower once, not when measured again"


def race(parser: ArgumentParser) -> Callable[[Namespace], int]:
    """say whether this checkout is slower than another one

    Both race in turns. FILE is a test file that names entries of races (Entry, docs/speed.md), at
    the same place in both checkouts. Each runs in a process of its own, with its own .venv if it
    has one, else with this Python. A model is timed alone, by CPU time: R is not needed. A race
    that looks slower is measured a second time, in new processes, and counts only if it is slower
    then too.

    Nothing is judged: whether a model is right, its cases say.

    Exit code: 0; 1 if a race became slower; 2 if there is no race in both checkouts, or one fails.
    After Ctrl-C it is 130, and the results of the races so far are printed and written.
    """
    parser.add_argument("file", metavar="FILE", type=Path, help="a file with entries of races")
    parser.add_argument(
        "--against", metavar="FOLDER", type=Path, required=True, help="the other checkout"
    )
    parser.add_argument("--only", metavar="TEXT", default="", help="a part of the names of races")
    parser.add_argument(
        "--dtype",
        action="append",
        choices=["float64", "float32"],
        help="may be repeated (default: float64)",
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (default: cpu)")
    parser.add_argument(
        "--rounds", type=int, default=ROUNDS, help=f"turns of each checkout (default: {ROUNDS})"
    )
    parser.add_argument("--out", metavar="FILE", type=Path, help="write the results as JSON")
    return _race


def _race(given: Namespace) -> int:
    head, base = Path.cwd(), given.against.resolve()
    for checkout in (base, head):
        if given.file.is_absolute() or not (checkout / given.file).is_file():
            raise ValueError(f"there is no {given.file} in {checkout}, expected it in both")
    if given.rounds < 1:
        raise ValueError(f"--rounds {given.rounds}: expected a whole number, at least one")
    if lack := lacking(given.device):
        raise ValueError(f"--device {given.device}: {lack}")
    return _race_checkouts(given, base, head)


def _race_checkouts(given: Namespace, base: Path, head: Path) -> int:
    """Race the entries of both checkouts, tell and write the results, and return the exit code."""
    start = partial(start_runners, [base, head], given.file, given.device)
    with start() as runners:
        (old, before), (new, now) = (runner.ask("describe") for runner in runners)
        expect_own_code(runners)
        names = [name for name in new if name in old and given.only in name]
        if not names:
            named = f" whose name contains {given.only!r}" if given.only else ""
            raise ValueError(f"{given.file} has no race{named} in both checkouts")
        races = [RaceId(name, dtype) for name in names for dtype in given.dtype or ["float64"]]
        lines = [f"base  {before['commit']}  {base}", f"head  {now['commit']}  {head}"]
        lines += _describe_others(old, new)
        print(*lines, sep="\n", flush=True)
        results = _tell_results(compare(runners, start, races, given.rounds))
    stopped = len(results) < len(races)
    lines += [*map(describe, results), summarise(results)]
    if stopped:
        lines[-1] += f"; interrupted after {len(results)} of {len(races)}"
    print(lines[-1])
    if given.out:
        _write(given.out, results, {"base": before, "head": now})
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        append_whole(Path(summary), "\n".join(["```text", *map(one_line, lines), "```", ""]))
    return INTERRUPTED if stopped else int(any(found.is_slower for found in results))


def _tell_results(races: Iterator[Compared]) -> list[Compared]:
    """Print each result when it is there, and return all; those so far after Ctrl-C."""
    results = []
    try:
        for found in races:
            results.append(found)
            print(describe(found), flush=True)
    except KeyboardInterrupt:
        pass
    return results


def _describe_others(old: Sequence[str], new: Sequence[str]) -> list[str]:
    """Return sentences on the races that only one checkout has."""
    lines = []
    for where, these, those in (("base", old, new), ("head", new, old)):
        if alone := [name for name in these if name not in those]:
            lines.append(f"only in the {where}, not raced: {'; '.join(alone)}")
    return lines


def find_verdict(found: Compared) -> str:
    """Return the result of a race in a few words."""
    if found.is_slower:
        return SLOWER
    if is_slower(found.first):
        return ONCE
    return FASTER if is_faster(found.first) else ALIKE


def describe(found: Compared) -> str:
    """Return a sentence on a race."""
    ratios = [f"{one.ratio:.2f}" for one in (found.first, found.second) if one]
    verdict = find_verdict(found)
    times = f"{' and '.join(ratios)} times the base's time"
    name = f"{found.race.name}, {found.race.dtype}"
    return one_line(f"{name}: {times}{'' if verdict == ALIKE else f', {verdict}'}")


def summarise(results: Sequence[Compared]) -> str:
    """Return a sentence on all races."""
    verdicts = [find_verdict(found) for found in results]
    counts = [f"{verdicts.count(word)} {word}" for word in (SLOWER, FASTER)]
    if ONCE in verdicts:
        counts.append(f"{verdicts.count(ONCE)} {ONCE}")
    races = f"{len(results)} race{'' if len(results) == 1 else 's'}"
    return f"{races}: {', '.join(counts)}; the rest differ by less than a factor of {MARGIN:.2f}"


def _write(out: Path, results: Sequence[Compared], environments: dict[str, Any]) -> None:
    """Write the results as JSON. Raises OSError."""
    races = []
    for found in results:
        measured = [one for one in (found.first, found.second) if one]
        races.append(
            {
                "name": found.race.name,
                "dtype": found.race.dtype,
                "verdict": find_verdict(found),
                "ratios": [one.ratio for one in measured],
                "seconds": [one._asdict() for one in measured],
            }
        )
    text = json.dumps({"races": races, "margin": MARGIN, **environments}, indent=1)
    out.parent.mkdir(parents=True, exist_ok=True)
    replace_whole({out: text + "\n"})
