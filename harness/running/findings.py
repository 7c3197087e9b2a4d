"""The findings of one process in a run, merging those of several processes, and making a report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import Any, NamedTuple, TypeVar

from harness.core.report import Asked, Cost, Fit, Points, Race, Report, Row, grouped
from harness.core.verdict import Verdict
from harness.model.devices import KNOWN, lacking
from harness.reporting.causes import add_reach
from harness.reporting.environment import environment

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
    """The reason why a subject is known to fail, and the number of its trials that are known to
    fail.
    """

    why: str
    trials: int


@dataclass(frozen=True)
class Findings:
    """The findings of one process in a run, or in a part of the run.

    Trials: `verdicts` has the verdict of each trial by pytest's id of the trial; `failures` are the
    verdicts that fail the run. `collected` is the number of trials that pytest has chosen; `called`
    is the number of trials in cases that tests verify while they run. `never` has, by the same ids,
    the verdicts on trials that cannot be judged on any machine; they are neither chosen nor run.

    Cases: `cases` has each case's name and number of trials by test; `known` has the known failures
    by test and subject; `costs` has the time per problem by case, and `asked` the inputs tried by
    case; `places` has the file and line of each case by its name. `uncollected` has the place and
    name of each case that pytest did not collect as a test.

    Environment: `environment` describes the machine. `devices` has for each device the reason why
    it was not used, or "". `contracts` has, by implementation and dtype, a sentence on its contract
    (the properties of its arithmetic). `versions` are pairs of name and version, in the order in
    which they were first seen.

    Training and speed: `fits` has the fits by case and trainer (name, dtype and device in one
    text). `rows` are the rows that cases add to a table of results; `answers` has, by question, the
    sentence that a case makes of its rows. `points` are the data that the page draws. `races` are
    the results of speed races. `lost` has a sentence for each missing part of the report.
    """

    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    failures: tuple[Failure, ...] = ()
    never: Mapping[str, Verdict] = field(default_factory=dict)
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
    asked: Mapping[str, Asked] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)

    @property
    def chosen(self) -> int:
        """Return the number of chosen trials."""
        return self.collected + self.called


def merge(first: Findings, second: Findings) -> Findings:
    """Return the findings of two processes as one. In all sequences, the elements of `first` come
    first.

    The operation is associative, with `Findings()` as its neutral element. If both have a value for
    a key, the value of `second` is used. `collected` is the larger number, since every process
    collects the same trials. `called` is the sum, since every process runs other tests.
    """
    return Findings(
        verdicts=_join(first.verdicts, second.verdicts),
        failures=first.failures + second.failures,
        never=_join(first.never, second.never),
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
        asked=_join(first.asked, second.asked),
        places=_join(first.places, second.places),
    )


def complete_causes(found: Findings) -> Findings:
    """Return a copy of the findings in which the first failure of each cause names all trials with
    the same cause.
    """
    whole = dict(zip(found.verdicts, add_reach(list(found.verdicts.values())), strict=True))
    by_id = {(verdict.case, verdict.id): verdict for verdict in whole.values()}
    failures = []
    for failure in found.failures:
        verdict = by_id.get((failure.verdict.case, failure.verdict.id), failure.verdict)
        failures.append(failure._replace(verdict=verdict))
    return replace(found, verdicts=whole, failures=tuple(failures))


def _join(first: Mapping[K, V], second: Mapping[K, V]) -> Mapping[K, V]:
    """Return both mappings merged. Most findings are small, so an empty mapping is skipped without
    copying the other.
    """
    if not first or not second:
        return first or second
    return {**first, **second}


def _distinct(things: tuple[V, ...]) -> tuple[V, ...]:
    """Return each thing once, in the order in which it first occurs."""
    return tuple(dict.fromkeys(things))


def make_report(found: Findings, is_interrupted: bool) -> Report:
    """Return the report of the findings.

    It is complete if every chosen trial has its verdict and the run was not interrupted.
    """
    versions = {}
    for name, pairs in grouped(found.versions, itemgetter(0)).items():
        versions[name] = ", ".join(version for _, version in pairs)
    devices = {}
    for name in KNOWN:
        devices[name] = found.devices[name] if name in found.devices else lacking(name)
    return Report(
        environment=dict(found.environment or environment()) | versions,
        verdicts=[*found.verdicts.values(), *found.never.values()],
        costs=list(found.costs.values()),
        contracts=dict(found.contracts),
        complete=len(found.verdicts) >= found.chosen and not is_interrupted,
        devices=devices | dict(found.devices),
        fits=list(found.fits.values()),
        changes=list(found.rows),
        races=list(found.races),
        points=found.points,
        said=dict(found.answers),
        asked=dict(found.asked),
        places=dict(found.places),
    )
