"""The trend of the newest run's questions over the kept runs before it."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from harness.keeping.folder import Kept
from harness.keeping.kept_run import KeptQuestion, KeptRun

NAMED = 3  # files, or questions, in a sentence at most


class TrendPoint(NamedTuple):
    """The results of one run on the questions of the newest run.

    `questions` is how many of them the run has. `worst` is the largest share of a bound that was
    used, None if there was a mismatch. `seconds` is None if the run had other questions too, or not
    all of them. `complete` says that every chosen trial was run. `changed` names the versions that
    differ from those of the run before. `races` has the times of races, as multiples of R nnet's.
    """

    date: str
    commit: str
    questions: int
    checks: int
    mismatches: int
    worst: float | None
    seconds: float | None
    complete: bool
    changed: str
    races: Mapping[str, float]


class Trend(NamedTuple):
    """The points of a trend, the newest last, and sentences on the limits of the trend.

    `questions` is the number of questions of the newest run.
    """

    questions: int
    points: list[TrendPoint]
    notes: list[str]


def make_trend(kept: Kept, now: KeptRun) -> Trend:
    """Return the trend of the questions of the run `now` over the kept runs.

    Runs without any of these questions are left out.
    """
    points: list[TrendPoint] = []
    before: KeptRun | None = None
    others = 0
    for run in [*kept.runs, now]:
        shared = [run.questions[name] for name in now.questions if name in run.questions]
        if not shared and run is not now:
            others += 1
            continue
        is_same = run.questions.keys() == now.questions.keys()
        points.append(_make_point(run, shared, before, is_same))
        before = run
    notes = [_describe_missing(kept.runs, now)]
    if others:
        notes.append(f"{_count(others, 'kept run')} asked none of these questions")
    if kept.unreadable:
        names = ", ".join(kept.unreadable[:NAMED])
        notes.append(f"{_count(len(kept.unreadable), 'kept file')} could not be read: {names}")
    return Trend(len(now.questions), points, [note for note in notes if note])


def _make_point(
    run: KeptRun, shared: Sequence[KeptQuestion], before: KeptRun | None, is_same: bool
) -> TrendPoint:
    mismatches = sum(question.mismatches for question in shared)
    shares = [question.worst for question in shared if question.worst is not None]
    return TrendPoint(
        date=run.date,
        commit=run.commit,
        questions=len(shared),
        checks=sum(question.checks for question in shared),
        mismatches=mismatches,
        worst=max(shares, default=None) if not mismatches else None,
        seconds=run.seconds if is_same else None,
        complete=run.complete,
        changed=_describe_changes(before, run) if before else "",
        races=run.races,
    )


def _describe_changes(before: KeptRun, run: KeptRun) -> str:
    """Return the versions that differ between two runs, as "torch 2.12 to 2.13"."""
    names = dict.fromkeys([*before.versions, *run.versions])
    return ", ".join(
        f"{name} {before.versions.get(name, 'none')} to {run.versions.get(name, 'none')}"
        for name in names
        if before.versions.get(name) != run.versions.get(name)
    )


def _describe_missing(runs: Sequence[KeptRun], now: KeptRun) -> str:
    """Return a sentence on the questions that the newest run, `now`, lacks and the run before it
    has; "" if there are none.
    """
    missing = [name for name in runs[-1].questions if name not in now.questions] if runs else []
    if not missing:
        return ""
    names = "; ".join(missing[:NAMED]) + ("; ..." if len(missing) > NAMED else "")
    verb = "is" if len(missing) == 1 else "are"
    return f"{_count(len(missing), 'question')} of the run before {verb} not asked now: {names}"


def _count(number: int, name: str) -> str:
    return f"{number} {name}{'' if number == 1 else 's'}"
