"""Sums up the results of a case's trainers for the report."""

from collections import Counter
from typing import Any

import numpy as np

from harness.core.contract import Array
from harness.core.implementation import Missing
from harness.core.numpy_errors import users
from harness.core.report import Fit, Points, Row
from harness.fits.circumstances import median_count
from harness.fits.ends import get_ends, get_losses_at_start
from harness.fits.shares import interval
from harness.fits.verdicts import predictions
from harness.judging.cache import Cache
from harness.model.errors import raised
from harness.text.harmless import exact, shown
from harness.training.trainer import Ended

CURVE, WEIGHTS = 200, 64  # points of a curve and weights of a network that a report holds at most


def fit(cache: Cache, ended: Ended) -> Fit:
    """Return the results of a trainer, over all its starts, in the form of the report."""
    losses = ended.losses
    scale = cache.population.scale(ended.start.rows)
    return Fit(
        cache.case.name,
        ended.trainer.title(),
        ended.trainer.source,
        len(losses),
        curve=_curve(ended, scale) or None,
        ended=dict(Counter(ended.fitted.ended)),
        compared="; ".join(ended.compared) or None,
        best=_finite(losses.min()),
        median=_finite(np.median(losses)),
        floor=_floor(ended, scale),
        seconds=ended.fitted.seconds or None,
        losses=[_finite(loss) for loss in losses],
        losses_at_start=[_finite(loss) for loss in get_losses_at_start(cache, ended)],
        evaluations=median_count(ended.fitted.evaluations),
        restarts=max(ended.fitted.restarts, default=None),
        **_share(losses, cache.population.quality),
        **_best(cache, ended),
    )


def _share(losses: Array, quality: float | None) -> dict[str, Any]:
    """Return the share of losses of at most `quality` with its confidence interval, as fields of a
    `Fit`.

    It is empty without a quality.
    """
    if quality is None:
        return {}
    good = int((losses <= quality).sum())
    low, high = interval(good, len(losses))
    return {
        "quality": quality,
        "share": good / len(losses),
        "share_low": low,
        "share_high": high,
    }


def _curve(ended: Ended, scale: float) -> list[tuple[float, float | None]]:
    """Return pairs of iteration and loss of the first start, at most CURVE, denser at its
    beginning.

    `scale` is the factor from a loss to the loss in the report.
    """
    curve = ended.fitted.curve
    places = np.geomspace(1, max(len(curve), 1), CURVE).round().astype(int) - 1
    points: list[tuple[float, float | None]] = []
    for place in np.unique(places)[: len(curve)]:
        iteration, loss = curve[place]
        points.append((iteration, _finite(loss * scale)))
    return points


def _floor(ended: Ended, scale: float) -> float | None:
    """Return a lower limit of all losses on the data of the first start; None if unknown.

    `scale` is the factor from a loss to the loss in the report.
    """
    if not ended.trainer.floor:
        return None
    with users():
        floor = ended.trainer.floor(ended.start.inputs, ended.start.targets)
        return _finite(floor.value[0] * scale)


def _best(cache: Cache, ended: Ended) -> dict[str, Any]:
    """Return the predictions and weights of the start with the smallest loss, as fields of a `Fit`.

    It is empty if no start is finite. Weights are left out if there are more than WEIGHTS, and
    predictions if inputs or outputs have more than one column.
    """
    if not ended.fitted.end:
        return {}
    predicted = predictions(cache, ended)
    if isinstance(predicted, Missing):
        return {}
    draw = int(np.count_nonzero(ended.fitted.finite[: np.argmin(ended.losses)]))
    answer, grid, marks = predicted.answer[draw], cache.population.grid, cache.population.marks
    label, theta = ended.end.network.layout.label, ended.end.theta[draw]
    best: dict[str, Any] = {}
    if len(theta) <= WEIGHTS:
        best["weights"] = {label(i): float(weight) for i, weight in enumerate(theta)}
    if grid.shape[1] == answer.shape[1] == 1:
        values = [_finite(y) for y in answer[:, 0]]
        best |= {"at": dict(zip(marks, values, strict=False))}
        x, places = np.unique(grid[:, 0], return_index=True)  # as its user wrote it, in any order
        best |= {"plot": {"x": x.tolist(), "y": [values[len(marks) + place] for place in places]}}
    return best


def table(cache: Cache) -> list[Row]:
    """Return a row of the report's table of changes for each trainer of a case, the references
    last.
    """
    ends = get_ends(cache)
    if not ends or not cache.population.table:
        return []
    references = [reference.name for reference in cache.case.references]
    rows = []
    for ended in sorted(ends, key=lambda ended: ended.trainer.name in references):
        quantiles = np.quantile(ended.losses, (0, 0.5, 1), method="nearest")
        low, middle, high = map(_finite, quantiles)
        title, starts = ended.trainer.title(), len(ended.losses)
        rows.append(Row(cache.population.table, title, starts, middle, low, high))
    return rows


def answer(cache: Cache, rows: list[Row]) -> str:
    """Return the sentence that the case's function `answer` makes of its rows in the table of
    changes.

    It is "" if the case has no `answer`, or if not all of its trainers have ended. An error in
    `answer` becomes the sentence.
    """
    case = cache.case
    trained = {ended.trainer.name for ended in get_ends(cache)}
    names = {getattr(trainer, "name", "") for trainer in (*case.subjects, *case.references)}
    if not case.answer or not trained >= names:
        return ""
    try:
        with users():
            sentence = case.answer(rows)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever a user's function raises, the report is written
        return f"Its answer {raised(error)}"
    return (
        exact(sentence)
        if isinstance(sentence, str)
        else f"Its answer is {shown(sentence)}, expected text"
    )


def points(cache: Cache) -> Points | None:
    """Return the data of the first start; None if inputs or targets have more than one column,
    since these cannot be drawn.
    """
    with users():
        data = cache.population.data(1)
    x, y = (np.asarray(part[0], np.float64) for part in data)
    if not x.shape[1] == y.shape[1] == 1:
        return None
    return {"x": x[:, 0].tolist(), "y": y[:, 0].tolist()}


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
