"""The results of a run in a few thousand bytes, as stored for the trend."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Annotated

import msgspec

from harness.core.report import Race, Report
from harness.core.verdict import Status, Verdict
from harness.reporting.causes import list_causes

SCHEMA = "nnet-parity/kept/1"
VERSIONS = ("torch", "numpy", "R", "nnet", "python", "processor", "cuda")  # facts that are kept
LONGEST = 300  # characters of a text
MOST_RACES = 100  # of a run, that are kept
Count = Annotated[int, msgspec.Meta(ge=0, le=10**9)]
Text = Annotated[str, msgspec.Meta(max_length=LONGEST)]
Positive = Annotated[float, msgspec.Meta(ge=0)]


@dataclass(frozen=True)
class KeptQuestion:
    """The results on one question of a report, for all cases with this question.

    `checks` is the number of judged trials, `mismatches` the number of causes of failures. `worst`
    is the largest share of a bound that a passing trial used, or None if no trial passed.
    """

    checks: Count
    mismatches: Count
    worst: Positive | None = None


@dataclass(frozen=True)
class KeptRun:
    """The results of one run, by question; `date` is in UTC, and `seconds` the run's duration.

    `races` has the time of each race as a multiple of R nnet's, by its name.
    """

    date: Annotated[str, msgspec.Meta(min_length=10, max_length=40)]
    commit: Text
    questions: Annotated[dict[str, KeptQuestion], msgspec.Meta(max_length=2_000)]
    complete: bool = True
    seconds: Positive | None = None
    versions: Annotated[dict[Text, Text], msgspec.Meta(max_length=20)] = field(default_factory=dict)
    races: Annotated[dict[Text, Positive], msgspec.Meta(max_length=MOST_RACES)] = field(
        default_factory=dict
    )


def summarise_run(report: Report) -> KeptRun:
    """Return the results of a report in the form in which they are kept."""
    environment: Mapping[str, object] = report.environment
    versions = {name: str(environment[name])[:LONGEST] for name in VERSIONS if name in environment}
    return KeptRun(
        date=str(environment.get("date", "unknown date"))[:40],
        commit=report.commit[:LONGEST],
        questions={
            question: _summarise_question(verdicts)
            for question, verdicts in report.questions().items()
        },
        complete=report.complete,
        seconds=report.seconds,
        versions=versions,
        races=_name_races(report.races),
    )


def _name_races(races: Sequence[Race]) -> dict[str, float]:
    """Return the ratios of the first MOST_RACES races, by a name that tells them apart."""
    ratios = {}
    for race in races[:MOST_RACES]:
        name = f"{race.name}: {race.subject} {race.device} {race.dtype}"
        if isfinite(race.ratio):
            ratios[name[:LONGEST]] = race.ratio
    return ratios


def _summarise_question(verdicts: Sequence[Verdict]) -> KeptQuestion:
    shares = [
        verdict.budget_used
        for verdict in verdicts
        if verdict.status is Status.PASS
        and verdict.expect == "equal"
        and verdict.budget_used is not None
    ]
    return KeptQuestion(
        checks=sum(verdict.status.judges for verdict in verdicts),
        mismatches=len(list_causes(verdict for verdict in verdicts if verdict.status.fails)),
        worst=max(shares, default=None),
    )
