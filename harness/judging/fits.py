"""What the trainers of a case came to, as the report holds it."""

from collections import Counter
from typing import Any

import numpy as np

from harness.core.implementation import Missing
from harness.core.numpy_errors import users
from harness.core.report import Fit, Points, Row
from harness.core.text import exact, shown
from harness.judging.cache import Cache
from harness.judging.ends import get_ends
from harness.judging.fitting import predictions
from harness.judging.shares import interval
from harness.pytorch.errors import raised
from harness.training.trainer import Ended

CURVE, WEIGHTS = 200, 64  # points of a curve and weights of a network that a report holds at most


def fit(cache: Cache, ended: Ended) -> Fit:
    """A trainer's fits."""
    losses, curve, start = ended.losses, ended.fitted.curve, ended.start
    good, scale = (
        int((losses <= cache.population.quality).sum()),
        cache.population.scale(start.rows),
    )
    low, high = interval(good, len(losses))
    with users():
        floor = (
            ended.trainer.floor
            and ended.trainer.floor(start.inputs, start.targets).value[0] * scale
        )
    some = np.unique(np.geomspace(1, max(len(curve), 1), CURVE).round().astype(int) - 1)[
        : len(curve)
    ]
    return Fit(
        cache.case.name,
        ended.trainer.title(),
        ended.trainer.source,
        len(losses),
        curve=[(curve[i][0], _finite(curve[i][1] * scale)) for i in some] or None,
        ended=dict(Counter(ended.fitted.ended)),
        compared="; ".join(ended.compared) or None,
        best=_finite(losses.min()),
        median=_finite(np.median(losses)),
        floor=None if floor is None else _finite(floor),
        quality=cache.population.quality,
        share=good / len(losses),
        share_low=low,
        share_high=high,
        seconds=ended.fitted.seconds or None,
        **_best(cache, ended),
    )


def _best(cache: Cache, ended: Ended) -> dict[str, Any]:
    """Predictions and weights of the best start; nothing where none is finite or there are too many
    to be shown.
    """
    predicted = predictions(cache, ended) if ended.fitted.end else None
    if predicted is None or isinstance(predicted, Missing):
        return {}
    draw = int(np.count_nonzero(ended.fitted.finite[: np.argmin(ended.losses)]))
    answer, grid, marks = predicted.answer[draw], cache.population.grid, cache.population.marks
    label, theta = ended.end.formulation.network.layout.label, ended.end.theta[draw]
    found: dict[str, Any] = {}
    if len(theta) <= WEIGHTS:
        found["weights"] = {label(i): float(weight) for i, weight in enumerate(theta)}
    if grid.shape[1] == answer.shape[1] == 1:
        values = [_finite(y) for y in answer[:, 0]]
        found |= {"at": dict(zip(marks, values, strict=False))}
        x, places = np.unique(grid[:, 0], return_index=True)  # as its user wrote it, in any order
        found |= {"plot": {"x": x.tolist(), "y": [values[len(marks) + place] for place in places]}}
    return found


def table(cache: Cache) -> list[Row]:
    """A case's trainers as rows of the table of changes, the references last."""
    references = [reference.name for reference in cache.case.references]
    rows = []
    for ended in sorted(get_ends(cache), key=lambda ended: ended.trainer.name in references):
        low, middle, high = (
            _finite(np.quantile(ended.losses, q, method="nearest")) for q in (0, 0.5, 1)
        )
        rows.append(
            Row(cache.population.table, ended.trainer.title(), len(ended.losses), middle, low, high)
        )
    return rows if rows and cache.population.table else []


def answer(cache: Cache, rows: list[Row]) -> str:
    """What a case makes of its rows, where all its trainers ended."""
    trained = {ended.trainer.name for ended in get_ends(cache)}
    complete = trained >= {
        getattr(trainer, "name", "") for trainer in (*cache.case.subjects, *cache.case.references)
    }
    if not cache.case.answer or not complete:
        return ""
    try:
        with users():
            said = cache.case.answer(rows)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever a user's function raises, the report is written
        return f"Its answer {raised(error)}"
    return exact(said) if isinstance(said, str) else f"Its answer is {shown(said)}, expected text"


def points(cache: Cache) -> Points | None:
    """The first data that a case's trainers are given, where they can be drawn."""
    with users():
        data = cache.population.data(1)
    x, y = (np.asarray(part[0], np.float64) for part in data)
    return {"x": x[:, 0].tolist(), "y": y[:, 0].tolist()} if x.shape[1] == y.shape[1] == 1 else None


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
