"""The command line `nnet-parity`: compares two reports, or the speed of two checkouts; entry points
add further commands.
"""

import math
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from argparse import RawDescriptionHelpFormatter as AsWritten
from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint, entry_points
from inspect import getdoc
from pathlib import Path
from shutil import get_terminal_size
from typing import Any

from harness.racing.command import race
from harness.reporting import regressions as baseline
from harness.reporting.environment import find_version
from harness.reporting.results import read
from harness.screen.layout import NARROWEST
from harness.text.harmless import one_line

# Its entry points are verbs: each fills a parser and gives what runs; its docstring is the help.
GROUP = "nnet_parity.verbs"
Verb = Callable[[ArgumentParser], Callable[[Namespace], int]]


def compare(parser: ArgumentParser) -> Callable[[Namespace], int]:
    """say what has become of every trial since an older report

    Worst first:
      regression      passed, fails now
      new failure     was not asked, gave no evidence, or was known; fails now
      lost            passed or failed, gives no evidence now (R is missing, say)
      gone            is not asked now
      drift           passes, but the share of its bound that it uses grew by more than --factor,
                      to more than --floor
      still failing   failed, fails now
      known           fails, as its case says that it does
      not comparable  passes, but that share means something else now: another torch, NumPy, R,
                      device or contract
      new             was not asked, or gave no evidence; passes now
      improvement     failed, passes now

    Exit code: 0; 1 if there is a regression or a new failure; 2 if a report is not whole and sound,
    or if nothing can be compared.
    """
    parser.add_argument("old", metavar="OLD.json", type=Path, help="results.json of the older run")
    parser.add_argument("new", metavar="NEW.json", type=Path, help="results.json of the newer run")
    for name, least, default in (("--factor", 1, baseline.FACTOR), ("--floor", 0, baseline.FLOOR)):
        told = f"the most that is no drift (default: {default:g})"
        parser.add_argument(name, metavar="NUMBER", type=_from(least), default=default, help=told)
    return _compare


def _from(least: float) -> Callable[[str], float]:
    def number(text: str) -> float:
        if not least <= (value := float(text)) < math.inf:
            raise ArgumentTypeError(f"{text} is not a number from {least:g} up")
        return value

    return number


def _compare(given: Namespace) -> int:
    old, new = read(given.old), read(given.new)
    changes = baseline.compare(old, new, given.factor, given.floor)
    width = max(get_terminal_size().columns, NARROWEST)
    print(*baseline.summary_lines(changes, width, whole=3), sep="\n")
    return int(any(change.kind.fails for change in changes))


def _load(entry: EntryPoint) -> Verb:
    """A verb of another folder; one that cannot be loaded says so when it is asked for, and hinders
    no other.
    """
    try:
        verb: Verb = entry.load()
        return verb
    except Exception as error:
        why = f"{entry.name} ({entry.value}) cannot be loaded: {error}"

    def broken(parser: ArgumentParser) -> Callable[[Namespace], int]:
        """(cannot be loaded here)"""
        return lambda given: parser.error(why)

    return broken


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the subcommand that the arguments name, and return its exit code; 2, with a sentence, if
    they cannot be used.
    """
    for stream in (sys.stdout, sys.stderr):
        # a terminal may not know every character
        getattr(stream, "reconfigure", dict)(errors="backslashreplace")
    about = (
        "Judges PyTorch models, and works on what runs of pytest found. VERB --help tells more of a"
        " verb."
    )
    parser = ArgumentParser("nnet-parity", description=about, allow_abbrev=False)
    version = f"nnet-parity {find_version('nnet-parity')}"
    parser.add_argument("--version", action="version", version=version)
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    ours: dict[str, Verb] = {"compare": compare, "race": race}
    found = {entry.name: _load(entry) for entry in entry_points(group=GROUP)} | ours
    for name, verb in sorted(found.items()):
        text = getdoc(verb) or ""
        shown: dict[str, Any] = {
            "help": text.split("\n")[0],
            "description": text,
            "formatter_class": AsWritten,
        }
        one = verbs.add_parser(name, allow_abbrev=False, **shown)
        one.set_defaults(run=verb(one), parser=one)
    given, unknown = parser.parse_known_args(arguments)
    if unknown:  # shown with the usage of the verb, which lists its options
        given.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    try:
        return int(given.run(given))
    except (ValueError, OSError) as error:
        print(f"nnet-parity: {one_line(str(error))}", file=sys.stderr)
        return 2
