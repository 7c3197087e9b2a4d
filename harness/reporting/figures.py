"""The figures of the page: the fits' curves, their losses, and the planted faults that rules catch.

A fit's curve is the network's output, drawn over its single input. A planted fault is a wrong
answer made on purpose, to test the judge and published rules.
"""

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator
from scipy.interpolate import CubicSpline

from harness.core.report import Curve, Fit, Points
from harness.reporting.selfcheck_result import Rule
from harness.reporting.svg import INK, draw, make_style

EMPTY: Curve = {"x": [], "y": []}
DRAWN = 120  # points of a curve of losses, at most


def series(fits: Sequence[Fit]) -> dict[str, int]:
    """Return a number for each trainer; the number decides the style of its lines in all
    figures.
    """
    trainers = dict.fromkeys(fit.trainer for fit in fits)
    return {trainer: number for number, trainer in enumerate(trainers)}


def errors(fit: Fit, points: Points) -> tuple[Any, Any]:
    """Return the distance of a fit's curve from each data point in its range: the points' x, and
    the distances.

    The curve is a cubic spline between its grid values. Raises ValueError if its x do not increase.
    """
    x, y = _pairs(**fit.plot or EMPTY)
    at, truth = _pairs(**points)
    if (np.diff(x) <= 0).any():
        raise ValueError(f"results.fits: {fit.trainer!r} has a plot whose x do not increase")
    if len(x) < 2:
        return at[:0], at[:0]
    error = abs(CubicSpline(x, y, extrapolate=False)(at) - truth)
    inside = ~np.isnan(error)
    return at[inside], error[inside]


def misses(fits: Sequence[Fit], points: Points | None) -> list[tuple[float, str]]:
    """Return the largest distance of each curve from a data point, with its trainer, the smallest
    first.
    """
    found: list[tuple[float, str]] = []
    if points:
        for fit in fits:
            _, error = errors(fit, points)
            if len(error):
                found.append((float(error.max()), fit.trainer))
    return sorted(found, key=itemgetter(0))


def curves(
    name: str, label: str, fits: Sequence[Fit], points: Points | None, number: Mapping[str, int]
) -> Markup:
    """Draw the data points and the fits' curves and, below, the distance of each curve from the
    points.

    `number` is the result of `series`; `name` and `label` are those of `draw`.
    """

    def paint(figure: Figure) -> None:
        heights = (3, 2) if points else (1,)
        panels = figure.subplots(len(heights), sharex=True, squeeze=False, height_ratios=heights)
        axes = panels[:, 0]
        for fit in fits:
            axes[0].plot(*_pairs(**fit.plot or EMPTY), **make_style(number[fit.trainer]))
        if points:
            axes[0].plot(points["x"], points["y"], "o", color=INK, markersize=3.2, zorder=3)
            low, high = min(points["y"]), max(points["y"])
            # a curve that diverged leaves the figure
            axes[0].set_ylim(1.4 * low - 0.4 * high - 1e-9, 1.4 * high - 0.4 * low + 1e-9)
            for fit in fits:
                at, error = errors(fit, points)
                axes[1].plot(at, np.maximum(error, 1e-16), **make_style(number[fit.trainer]))
            _set_logarithmic(axes[1], "error, absolute")
        axes[0].set_ylabel("y")
        axes[-1].set_xlabel("x")

    return draw(name, label, paint, (5, 4.6))


def losses(name: str, label: str, fits: Sequence[Fit], number: Mapping[str, int]) -> Markup:
    """Draw the loss of each fit by iteration, and the floor of each fit that has one.

    A floor is a loss that no fit can be below. The arguments are those of `curves`.
    """

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for fit in fits:
            steps = fit.curve or ()
            iteration, loss = _pairs([at for at, _ in steps], [value for _, value in steps])
            some = _choose_places(len(loss))
            style = make_style(number[fit.trainer])
            axes.plot(iteration[some], np.maximum(loss[some], 1e-30), **style)
        for floor in sorted({fit.floor for fit in fits if fit.floor}):
            axes.axhline(floor, color=INK, linestyle=(0, (1, 3)))
            axes.annotate("floor", (0, floor), (4, 3), ("axes fraction", "data"), "offset points")
        _set_logarithmic(axes, "loss")
        axes.set_xscale("symlog", linthresh=1)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.set(xlabel="iteration", xlim=(0, None))

    return draw(name, label, paint, (5, 4.6))


def ends(name: str, label: str, fits: Sequence[Fit], number: Mapping[str, int]) -> Markup:
    """Draw the losses at the ends of all starts, sorted, and the limit of a good fit if there is
    one.

    A limit that tells trainers apart lies in a step of the lines. The arguments are those of
    `curves`.
    """

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for fit in fits:
            known = [loss for loss in fit.losses or () if loss is not None]
            at = 100 * (np.arange(len(known)) + 1) / len(fit.losses or known or [0])
            sizes = np.clip(np.sort(known), 1e-30, 1e30)
            axes.plot(at, sizes, drawstyle="steps-pre", **make_style(number[fit.trainer]))
        for quality in sorted({fit.quality for fit in fits if fit.quality}):
            axes.axhline(quality, color=INK, linestyle=(0, (1, 3)))
            axes.annotate("good", (0, quality), (4, 3), ("axes fraction", "data"), "offset points")
        _set_logarithmic(axes, "loss at the end")
        axes.set(xlabel="starts that end at most there, %", xlim=(0, 100))

    return draw(name, label, paint, (5, 4.6))


def _choose_places(length: int) -> Any:
    """Return at most DRAWN indices of points of a curve of this length, denser at its beginning."""
    spread = np.geomspace(1, max(length, 1), DRAWN).round().astype(int)
    return np.unique(spread - 1)[:length]


def catches(name: str, label: str, rules: Sequence[Rule]) -> Markup:
    """Draw the share of planted faults that each rule catches, by the size of the faults.

    There is a panel for each dtype, with a line for each rule. `name` and `label` are those of
    `draw`.
    """
    dtypes: set[str] = set()
    for rule in rules:
        dtypes.update(caught.dtype for caught in rule.caught)

    def paint(figure: Figure) -> None:
        panels = figure.subplots(1, len(dtypes) or 1, sharey=True, squeeze=False)[0]
        for axes, dtype in zip(panels, sorted(dtypes, reverse=True), strict=False):
            for number, rule in enumerate(rules):
                sizes, rates = _list_rates(rule, dtype)
                axes.plot(sizes, rates, **make_style(number), zorder=3 - number / 20)
            title = "size of the fault, relative"
            axes.set(title=dtype, xscale="log", xlabel=title, ylim=(-4, 104))
        panels[0].set_ylabel("faults caught, %")

    return draw(name, label, paint, (10, 4.2))


def _list_rates(rule: Rule, dtype: str) -> tuple[list[float], list[float]]:
    """Return the sizes of planted faults in a dtype, ascending, and for each size the percentage
    caught.
    """
    rates: dict[float, float] = {}
    for caught in rule.caught:
        if caught.dtype == dtype and caught.size is not None:
            rates[caught.size] = 100 * caught.rate
    sizes = sorted(rates)
    return sizes, [rates[size] for size in sizes]


def _pairs(x: Sequence[float], y: Sequence[float | None]) -> tuple[Any, Any]:
    """Return x and y of a curve, without the points whose y is None.

    A y beyond 1e30 in size is cut to this size, since larger numbers cannot be drawn. Raises
    ValueError if x and y have different lengths.
    """
    if len(x) != len(y):
        raise ValueError(f"results: a curve has {len(x)} x and {len(y)} y, expected as many")
    at, value = np.array(x, dtype=float), np.array(y, dtype=float)  # None becomes NaN
    there = ~np.isnan(value)
    return at[there], np.clip(value[there], -1e30, 1e30)


def _set_logarithmic(axes: Axes, label: str) -> None:
    """Make the y axis logarithmic, with few ticks."""
    axes.set(yscale="log", ylabel=label)
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(LogLocator(numticks=7) if high > 30 * low else MaxNLocator(5))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.minorticks_off()
