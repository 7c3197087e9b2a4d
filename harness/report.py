"""The report: everything that a run found, as one value; written as JSON and as Markdown."""

from __future__ import annotations

import json
import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.verdict import Status, Verdict

SCHEMA = "nnet-parity/results/1"


@dataclass(frozen=True)
class Cost:
    """What a problem cost in one dtype, in seconds: everything but the subject, and the subject itself."""

    case: str
    draws: int
    harness: float
    subject: float


@dataclass(frozen=True)
class Fit:
    """What one trainer came to on one case's data, over its starts.

    `share` is that of starts whose loss is at most `quality`, with its 95 % confidence interval; `best` and `median` are
    losses as the oracle computes them at the final weights, `floor` what they cannot be below. The rest is of the best
    start: `curve` loss by iteration (of the first start), `plot` the prediction on a grid, `at` at some inputs, and
    `weights` by name. `ended` counts how starts ended; `compared` is what the comparison with a reference said.
    """

    case: str
    trainer: str
    source: str
    starts: int
    curve: list[tuple[float, float | None]] | None = None
    plot: dict[str, list[float | None]] | None = None
    at: dict[str, float | None] | None = None
    weights: dict[str, float] | None = None
    ended: dict[str, int] | None = None
    compared: str | None = None
    best: float | None = None
    median: float | None = None
    floor: float | None = None
    quality: float | None = None
    share: float | None = None
    share_low: float | None = None
    share_high: float | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Row:
    """A row of the table of changes: what a change leaves of the loss, median and range over the starts."""

    direction: str
    change: str
    starts: int
    median: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Race:
    """A subject's time over R nnet's in the same run, interleaved; `aa_ratio` is the same of one against itself.

    Where a fit was raced, `loss` is the median that it ended at, and `share` that of starts that reached R's.
    """

    name: str
    subject: str
    device: str
    dtype: str
    ratio: float
    rounds: int
    quartiles: tuple[float, float] | None = None
    aa_ratio: float | None = None
    aa_quartiles: tuple[float, float] | None = None
    share: float | None = None
    loss: float | None = None


@dataclass(frozen=True)
class Report:
    """A run: where, what was found, what it cost, the contract of every column, and why a device was not used ("").

    Of training: the fits, the rows of the table of changes, the races, the points to draw, and what cases said, by
    question, of their rows.
    """

    environment: dict[str, Any]
    verdicts: Sequence[Verdict]
    costs: Sequence[Cost] = ()
    contracts: dict[str, str] = field(default_factory=dict)
    complete: bool = True
    devices: dict[str, str] = field(default_factory=dict)
    fits: Sequence[Fit] = ()
    changes: Sequence[Row] = ()
    races: Sequence[Race] = ()
    points: dict[str, list[float]] | None = None
    said: dict[str, str] = field(default_factory=dict)

    def counts(self) -> Counter[Status]:
        return Counter(verdict.status for verdict in self.verdicts)

    def questions(self) -> dict[str, list[Verdict]]:
        """Verdicts by the question they answer, in the order in which they were asked."""
        groups: dict[str, list[Verdict]] = {}
        for verdict in self.verdicts:
            groups.setdefault(verdict.question or f"Is {verdict.case} what its references compute?", []).append(verdict)
        return groups

    def record(self) -> dict[str, Any]:
        """The report as JSON holds it."""
        return {
            "schema": SCHEMA,
            "complete": self.complete,
            "environment": self.environment,
            "contracts": self.contracts,
            "devices": self.devices,
            "costs": [vars(cost) for cost in self.costs],
            "verdicts": [verdict.record() for verdict in self.verdicts],
            **{name: [vars(each) for each in getattr(self, name)] for name in ("fits", "changes", "races")},
            "points": self.points,
            "said": self.said,
        }


def write(report: Report, folder: Path) -> None:
    """`results.json`, `report.md` and `index.html` in the folder, each whole or not at all."""
    from harness.answers import markdown
    from harness.page import page

    folder.mkdir(parents=True, exist_ok=True)
    results = json.dumps(report.record(), indent=1, allow_nan=False) + "\n"
    replace_whole(folder / "results.json", results)
    replace_whole(folder / "report.md", markdown(report))
    replace_whole(folder / "index.html", page(json.loads(results)))


def write_races(races: Sequence[Race], path: Path) -> None:
    """The races alone, as JSON, for whoever watches speed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_whole(path, json.dumps({"races": [vars(race) for race in races]}, indent=1, allow_nan=False) + "\n")


def summarise(report: Report) -> None:
    """Append the Markdown to the file that $GITHUB_STEP_SUMMARY names, where it is set."""
    from harness.answers import markdown

    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(summary).open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(markdown(report))


def replace_whole(path: Path, text: str) -> None:
    """Write a file so that a reader, or a crash, never sees half of it."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
