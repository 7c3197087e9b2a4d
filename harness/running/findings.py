"""What one process has found in a run, and how the findings of several become one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from harness.core.report import Cost, Fit, Points, Race, Row
from harness.core.verdict import Verdict

K = TypeVar("K")
V = TypeVar("V")


class Failure(NamedTuple):
    """A verdict that fails the run, with the file and line of its case."""

    file: str
    line: int
    verdict: Verdict


class CaseCount(NamedTuple):
    """The name of a case and the number of its trials."""

    name: str
    trials: int


class KnownFailure(NamedTuple):
    """Why a subject is known to fail, and in how many trials."""

    why: str
    trials: int


@dataclass(frozen=True)
class Findings:
    """What one process has found in a run, or in a part of it.

    `verdicts` are by pytest's id of the trial, `cases` by test, `known` by test and subject,
    `fits` by case and trainer (name, dtype, device), `answers` (what cases said of their rows) by
    question, `costs` by case, `contracts` by column of the report, `devices` (why one was not
    used, "" if it was) by name, `versions` in the order of being seen. `uncollected` holds the
    place and name of each case that is no test, `lost` a sentence for each thing that the report
    lacks. `collected` is the number of trials that pytest has chosen, `called` the number of those
    of cases that tests verify while they run.
    """

    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    failures: tuple[Failure, ...] = ()
    collected: int = 0
    called: int = 0
    cases: Mapping[str, CaseCount] = field(default_factory=dict)
    known: Mapping[tuple[str, str], KnownFailure] = field(default_factory=dict)
    uncollected: tuple[tuple[str, str], ...] = ()
    environment: Mapping[str, Any] = field(default_factory=dict)
    devices: Mapping[str, str] = field(default_factory=dict)
    contracts: Mapping[str, str] = field(default_factory=dict)
    versions: tuple[tuple[str, str], ...] = ()
    fits: Mapping[tuple[str, str], Fit] = field(default_factory=dict)
    rows: tuple[Row, ...] = ()
    answers: Mapping[str, str] = field(default_factory=dict)
    points: Points | None = None
    races: tuple[Race, ...] = ()
    costs: Mapping[str, Cost] = field(default_factory=dict)
    lost: tuple[str, ...] = ()

    @property
    def chosen(self) -> int:
        """The number of trials that were to be judged."""
        return self.collected + self.called


def merge(first: Findings, second: Findings) -> Findings:
    """The findings of both, those of `first` before those of `second`.

    Associative, with `Findings()` as its neutral element. Under one key the value of `second`
    replaces that of `first`. Every process collects the same trials, so the larger number counts;
    each runs tests of its own, so the trials that these called for add up.
    """
    return Findings(
        verdicts=_join(first.verdicts, second.verdicts),
        failures=first.failures + second.failures,
        collected=max(first.collected, second.collected),
        called=first.called + second.called,
        cases=_join(first.cases, second.cases),
        known=_join(first.known, second.known),
        uncollected=_distinct(first.uncollected + second.uncollected),
        environment=_join(first.environment, second.environment),
        devices=_join(first.devices, second.devices),
        contracts=_join(first.contracts, second.contracts),
        versions=_distinct(first.versions + second.versions),
        fits=_join(first.fits, second.fits),
        rows=first.rows + second.rows,
        answers=_join(first.answers, second.answers),
        points=second.points if first.points is None else first.points,
        races=first.races + second.races,
        costs=_join(first.costs, second.costs),
        lost=first.lost + second.lost,
    )


def _join(first: Mapping[K, V], second: Mapping[K, V]) -> Mapping[K, V]:
    """Both; most parts of a run hold little, and what is empty copies nothing."""
    if not first or not second:
        return first or second
    return {**first, **second}


def _distinct(things: tuple[V, ...]) -> tuple[V, ...]:
    """Each thing once, in the order of first being seen."""
    return tuple(dict.fromkeys(things))
