"""The figures of the page: the fits' curves, their losses, and the planted faults that rules catch.

A fit's curve is the network's output, drawn over its single input. A planted fault is a wrong
answer made on purpose, to test the judge and published rules.
"""

import math
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
from harness.drawing.letters import paint_letters
from harness.drawing.svg import INK, POINTS, TEXT, draw, make_line

EMPTY: Curve = {"x": [], "y": []}
DRAWN = 120  # points of a curve of losses, at most
MARKS = 2  # markers on a line
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
WIDE = 9.0  # inches, of all figures
HIGH, LOW = 4.6, 3.0  # inches, of a panel; more if it has many lines
Rates = Mapping[str, Sequence[tuple[float, float]]]  # by dtype: size of a fault, percentage caught


def errors(fit: Fit, points: Points) -> tuple[Any, Any]:
    """Return the x of the data points in the range of a fit's curve, and their distances from the
    curve.

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
    """Return the largest distance of each fit's curve from a data point, and the trainer's name, as
    pairs in ascending order.
    """
    found: list[tuple[float, str]] = []
    if points:
        for fit in fits:
            _, error = errors(fit, points)
            if len(error):
                found.append((float(error.max()), fit.trainer))
    return sorted(found, key=itemgetter(0))


def draw_curves(
    name: str, label: str, fits: Sequence[Fit], points: Points | None, number: Mapping[str, int]
) -> Markup:
    """Draw the data points and the fits' curves and, below, the distance of each curve from the
    points.

    `number` has, by trainer, the number that determines the style of its line. `name` is a prefix
    of the ids in the SVG element, and `label` describes the figure to a screen reader.
    """
    tall, low = _choose_height(len(fits), LOW), _choose_height(len(fits), LOW - 0.8)
    heights = (tall, low) if points else (tall,)

    def paint(figure: Figure) -> None:
        panels = figure.subplots(len(heights), sharex=True, squeeze=False, height_ratios=heights)
        axes = panels[:, 0]
        if points:
            _paint_dots(axes[0], points)
            least, most = min(points["y"]), max(points["y"])
            # a curve that diverged leaves the figure
            axes[0].set_ylim(1.4 * least - 0.4 * most - 1e-9, 1.4 * most - 0.4 * least + 1e-9)
        lines = [(number[fit.trainer], *_pairs(**fit.plot or EMPTY)) for fit in fits]
        _plot_lines(axes[0], tall, lines)
        axes[0].set_ylabel("y")
        if points:
            below = [(number[fit.trainer], *errors(fit, points)) for fit in fits]
            axes[1].set(yscale="log")
            _plot_lines(axes[1], low, [(n, x, np.maximum(error, 1e-16)) for n, x, error in below])
            _set_logarithmic(axes[1], "error")
        axes[-1].set_xlabel("x")

    return draw(name, label, paint, (WIDE, sum(heights)))


def draw_losses(name: str, label: str, fits: Sequence[Fit], number: Mapping[str, int]) -> Markup:
    """Draw the loss of each fit by iteration, and the floor of each fit that has one.

    A floor is a lower limit of all losses. The arguments are those of `draw_curves`.
    """

    tall = _choose_height(len(fits), HIGH)

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        axes.set(yscale="log")
        axes.set_xscale("symlog", linthresh=1)
        lines = []
        for fit in fits:
            steps = fit.curve or ()
            iteration, loss = _pairs([at for at, _ in steps], [value for _, value in steps])
            some = _choose_places(len(loss))
            lines.append((number[fit.trainer], iteration[some], np.maximum(loss[some], 1e-30)))
        _paint_level(axes, "floor", {fit.floor for fit in fits if fit.floor})
        axes.set(xlabel="iteration", xlim=(0, max((x.max(initial=1) for _, x, _ in lines))))
        _plot_lines(axes, tall, lines)
        _set_logarithmic(axes, "loss")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: write_tick(value)))

    return draw(name, label, paint, (WIDE, tall))


def draw_ends(name: str, label: str, fits: Sequence[Fit], number: Mapping[str, int]) -> Markup:
    """Draw the final losses of all starts, sorted, and the limit of a good fit if there is one.

    A limit that distinguishes trainers lies in a step of the lines. The arguments are those of
    `draw_curves`.
    """

    tall = _choose_height(len(fits), HIGH)

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        lines = []
        for fit in fits:
            known = [loss for loss in fit.losses or () if loss is not None]
            sizes = np.clip(np.sort(known), 1e-30, 1e30)
            sizes = np.concatenate([sizes[:1], sizes])  # the first one's loss holds from 0 on
            at = 100 * np.arange(len(sizes)) / len(fit.losses or [0])
            lines.append((number[fit.trainer], at, sizes))
        axes.set(yscale="log", xlim=(0, 100), xlabel="starts that end at most there, %")
        _paint_level(axes, "good", {fit.quality for fit in fits if fit.quality})
        _plot_lines(axes, tall, lines, drawstyle="steps-pre")
        _set_logarithmic(axes, "loss at the end")

    return draw(name, label, paint, (WIDE, tall))


def draw_catches(name: str, label: str, rules: Sequence[Rates]) -> Markup:
    """Draw the share of planted faults that each rule catches, by the size of the faults.

    There is a panel for each dtype, with a line for each rule. `rules` has for each rule, by dtype,
    pairs of a fault's size and the percentage caught. `name` and `label` are those of `draw`.
    """
    dtypes = sorted({dtype for rule in rules for dtype in rule}, reverse=True)
    tall = _choose_height(len(rules), HIGH)

    def paint(figure: Figure) -> None:
        panels = figure.subplots(len(dtypes) or 1, 1, squeeze=False)[:, 0]
        for axes, dtype in zip(panels, dtypes, strict=False):
            axes.set(title=dtype, xscale="log", ylim=(-4, 104), ylabel="faults caught, %")
            lines = []
            for number, rule in enumerate(rules):
                rates = np.array(rule.get(dtype, ())).reshape(-1, 2)
                lines.append((number, rates[:, 0], rates[:, 1]))
            _plot_lines(axes, tall, lines)
        panels[-1].set_xlabel("size of the fault, relative")

    return draw(name, label, paint, (WIDE, tall * max(len(dtypes), 1)))


def _choose_height(lines: int, least: float) -> float:
    """Return the height of a panel in inches: at least `least`, and enough for the letters of its
    lines.
    """
    return max(least, 0.8 + lines * TEXT / POINTS)


def _choose_places(length: int) -> Any:
    """Return the indices of at most DRAWN points of a curve of this length, denser at its
    beginning.
    """
    spread = np.geomspace(1, max(length, 1), DRAWN).round().astype(int)
    return np.unique(spread - 1)[:length]


def _plot_lines(
    axes: Axes, tall: float, lines: Sequence[tuple[int, Any, Any]], **settings: Any
) -> None:
    """Plot lines, each given as (number, x, y), with markers and with a letter to the right of the
    panel.

    The number determines a line's style. The scales of the axes must be set before. `tall` is the
    height of the panel in inches.
    """
    is_cut = not axes.get_autoscaley_on()  # a line may leave the panel
    bottom, top = axes.get_ylim() if is_cut else (-np.inf, np.inf)
    ends = []
    for number, x, y in lines:
        inside = np.flatnonzero((y >= bottom) & (y <= top))
        # markers of lines that lie on one another stand beside each other
        spots = len(inside) * (np.linspace(0.03, 0.7, MARKS) + 0.03 * (number % 8))
        marks = list(inside[spots.astype(int)]) if len(inside) else []
        [line] = axes.plot(x, y, **make_line(number), markevery=marks, clip_on=is_cut, **settings)
        line.get_path().should_simplify = True  # else only that of many points
        if len(x):
            ends.append((number, (x[-1], y[-1])))
    paint_letters(axes, tall - 0.8, ends)


def _paint_dots(axes: Axes, points: Points) -> None:
    """Paint data points as lines of length 0 with round ends, which take few bytes of SVG."""
    x, y = (np.repeat(np.array(points[name], dtype=float), 3) for name in ("x", "y"))
    x[2::3] = np.nan
    dots: dict[str, Any] = {"color": INK, "linewidth": 7, "solid_capstyle": "round", "zorder": 3}
    [line] = axes.plot(x, y, **dots)
    line.get_path().should_simplify = False
    axes.margins(x=0.01)


def _paint_level(axes: Axes, name: str, levels: set[float]) -> None:
    """Paint a dotted horizontal line at each level, with `name` written above it."""
    for level in sorted(levels):
        axes.axhline(level, color=INK, linestyle=(0, (2, 6)), linewidth=2)
        axes.annotate(name, (0, level), (6, 6), ("axes fraction", "data"), "offset points")


def _pairs(x: Sequence[float], y: Sequence[float | None]) -> tuple[Any, Any]:
    """Return x and y of a curve, without the points whose y is None.

    A y beyond 1e30 in absolute value is cut to it, since larger numbers cannot be drawn. Raises
    ValueError if x and y have different lengths.
    """
    if len(x) != len(y):
        raise ValueError(f"results: a curve has {len(x)} x and {len(y)} y, expected as many")
    at, value = np.array(x, dtype=float), np.array(y, dtype=float)  # None becomes NaN
    there = ~np.isnan(value)
    return at[there], np.clip(value[there], -1e30, 1e30)


def write_tick(number: float) -> str:
    """Return a number at an axis as a person reads it: "1,000", "0.05", "10⁻⁸"."""
    power = round(math.log10(abs(number)), 9) if number else 0.0
    if power.is_integer() and not -4 < power < 5:
        return "10" + str(int(power)).translate(SUPERSCRIPTS)
    text = f"{number:,.0f}" if abs(number) >= 1_000 else f"{number:.3g}"
    return text.replace("-", "−")


def _set_logarithmic(axes: Axes, label: str) -> None:
    """Make the y axis logarithmic, with few ticks."""
    axes.set(yscale="log", ylabel=label)
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(LogLocator(numticks=7) if high > 30 * low else MaxNLocator(5))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: write_tick(value)))
    axes.minorticks_off()
