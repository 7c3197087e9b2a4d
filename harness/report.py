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
class Report:
    """A run: where, what was found, what it cost, the contract of every column, and why a device was not used ("")."""

    environment: dict[str, Any]
    verdicts: Sequence[Verdict]
    costs: Sequence[Cost] = ()
    contracts: dict[str, str] = field(default_factory=dict)
    complete: bool = True
    devices: dict[str, str] = field(default_factory=dict)

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
