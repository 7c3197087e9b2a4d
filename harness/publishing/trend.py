"""The trend over stored runs as shown on the page: sparklines (small curves) with sentences."""

from collections.abc import Callable
from typing import NamedTuple

from markupsafe import Markup

from harness.keeping.trend import Trend, TrendPoint
from harness.publishing.banner import UNKNOWN, write_duration
from harness.reporting.answers import write_share

SHOWN = 30  # runs of the table, the newest
COLUMNS = (
    "run",
    "commit",
    "questions",
    "checks",
    "mismatches",
    "worst share",
    "duration",
    "changed",
)


class Measure(NamedTuple):
    """A measure, such as the duration, over the stored runs.

    `name` is its name, `now` its newest value and `range` its range in words; `element` is the
    sparkline.
    """

    name: str
    now: str
    range: str
    element: Markup


Ways = tuple[Callable[[TrendPoint], float | None], Callable[[float], str]]  # to read and to write
MEASURES: dict[str, Ways] = {
    "Questions": (lambda point: point.questions, lambda value: f"{value:,.0f}"),
    "Checks": (lambda point: point.checks, lambda value: f"{value:,.0f}"),
    "Mismatches": (lambda point: point.mismatches, lambda value: f"{value:,.0f}"),
    "Worst share of a bound": (lambda point: point.worst, write_share),
    "Duration": (lambda point: point.seconds, write_duration),
}


def draw_trend(trend: Trend) -> list[Measure]:
    """Return the measures of a trend with their sparklines, and those of the newest run's races;
    none for a single run.
    """
    if len(trend.points) < 2:
        return []
    from harness.drawing.sparkline import draw_sparkline  # matplotlib takes half a second

    whole = [is_whole(trend, point) for point in trend.points]
    measures = []
    races = {f"Race of {name}": _read_race(name) for name in trend.points[-1].races}
    for number, (name, (get, write)) in enumerate({**MEASURES, **races}.items()):
        values = [get(point) for point in trend.points]
        known = [value for value in values if value is not None]
        if not known:
            continue
        low, high = write(min(known)), write(max(known))
        span = f"always {low}" if low == high else f"{low} to {high}"
        now = write(values[-1]) if values[-1] is not None else "–"
        label = f"{name} over {len(values)} runs: {span}, now {now}"
        element = draw_sparkline(f"trend{number}", label, values, whole)
        measures.append(Measure(name, now, span, element))
    return measures


def _read_race(name: str) -> Ways:
    """Return how the time of a race is read, and how it is written."""
    return lambda point: point.races.get(name), lambda ratio: f"{ratio:.3g} times R nnet's time"


def is_whole(trend: Trend, point: TrendPoint) -> bool:
    """Return whether a run (`point`) has all questions of the newest run, and was not
    interrupted.
    """
    return point.complete and point.questions == trend.questions


def list_rows(trend: Trend) -> list[tuple[str, ...]]:
    """Return a row of texts for each of the newest SHOWN runs, the newest first.

    The columns are date, commit, questions, checks, mismatches, worst share (of a rounding bound),
    duration and changed versions.
    """
    rows: list[tuple[str, ...]] = []
    for point in reversed(trend.points[-SHOWN:]):
        questions = f"{point.questions}"
        if point.questions != trend.questions:
            questions = f"{point.questions} of {trend.questions}"
        if not point.complete:
            questions += ", interrupted"
        rows.append(
            (
                point.date.replace("T", " ")[:16],
                "–" if point.commit in UNKNOWN else point.commit,
                questions,
                f"{point.checks:,}",
                f"{point.mismatches:,}",
                "–" if point.worst is None else write_share(point.worst),
                write_duration(point.seconds) or "–",
                point.changed,
            )
        )
    return rows
