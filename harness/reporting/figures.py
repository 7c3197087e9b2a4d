"""The figures of the page: SVG elements in colours that the page's style sheet decides, without
names from its data.
"""

import io
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import matplotlib
import numpy as np
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator
from scipy.interpolate import CubicSpline

from harness.core.report import Curve, Fit, Points
from harness.core.text import printable
from harness.reporting.selfcheck_result import Rule

# each stands for what COLOURS says
INK, LINE, CARD, PLUS, MINUS = (f"#00000{number}" for number in range(1, 6))
COLOURS = {
    INK: "currentColor",
    LINE: "var(--line)",
    CARD: "var(--card)",
    PLUS: "var(--plus)",
    MINUS: "var(--minus)",
}
COLOURS |= {f"#00001{number}": f"var(--s{number})" for number in range(8)}
DASHES = ((), (7, 2), (2, 2), (8, 2, 2, 2), (12, 3))  # with 8 colours, 40 lines told apart
RC: Any = {f"{part}color": INK for part in ("text.", "axes.edge", "axes.label", "xtick.", "ytick.")}
RC |= {
    "svg.hashsalt": "nnet-parity",
    "svg.fonttype": "none",
    "lines.scale_dashes": False,
    "font.size": 12,
}
RC |= {"axes.grid": True, "grid.color": LINE, "axes.spines.top": False, "axes.spines.right": False}
CLEAN = (  # what an element of a page needs not, or must not have
    (r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->|font-family: [^\"]*?sans-serif;?", ""),
    (r"<g id=\"[^\"]*\"", "<g"),
    (r"xlink:href", "href"),
    (r"(\d\.\d)\d+(?=[^<]*>)", r"\1"),  # a tenth of a point is fine enough, in half the bytes
    (r"\s+", " "),
    (r"(?<=\d) L (?=[^C\"]*\")", " "),  # after a moveto, pairs of numbers are linetos
)
JOINS = {
    "W1": ("x1", "h"),
    "V1": ("x2", "h"),
    "b": ("1", "h"),
    "W2": ("h", "o1"),
    "V2": ("h", "o2"),
}
JOINS |= {"b_w": ("1'", "o1"), "b_v": ("1'", "o2")}
EMPTY: Curve = {"x": [], "y": []}
COLUMNS = (("x1", "x2", "1"), ("h", "1'"), ("o1", "o2"))


def series(fits: Sequence[Fit]) -> dict[str, int]:
    """The number of each trainer, which its line on every figure goes by."""
    return {
        trainer: number for number, trainer in enumerate(dict.fromkeys(fit.trainer for fit in fits))
    }


def errors(fit: Fit, points: Points) -> tuple[Any, Any]:
    """How far a curve is from each point inside its range; between its grid values it is read by a
    cubic spline.
    """
    (x, y), (at, truth) = _pairs(**fit.plot or EMPTY), _pairs(**points)
    if (np.diff(x) <= 0).any():
        raise ValueError(f"results.fits: {fit.trainer!r} has a plot whose x do not increase")
    error = (
        abs(CubicSpline(x, y, extrapolate=False)(at) - truth)
        if len(x) > 1
        else np.full(len(at), np.nan)
    )
    inside = ~np.isnan(error)
    return at[inside], error[inside]


def misses(fits: Sequence[Fit], points: Points | None) -> list[tuple[float, str]]:
    """How far each curve is from the point that it misses most, and whose it is, the closest
    first.
    """
    found = [(errors(fit, points)[1], fit.trainer) for fit in fits] if points else []
    return sorted(
        ((float(error.max()), trainer) for error, trainer in found if len(error)), key=itemgetter(0)
    )


def curves(
    name: str, label: str, fits: Sequence[Fit], points: Points | None, number: Mapping[str, int]
) -> Markup:
    """Points, the fits' curves over them and, below, how far each curve is from each point."""

    def paint(figure: Figure) -> None:
        heights = (3, 2) if points else (1,)
        axes = figure.subplots(len(heights), sharex=True, squeeze=False, height_ratios=heights)[
            :, 0
        ]
        for fit in fits:
            axes[0].plot(*_pairs(**fit.plot or EMPTY), **_style(number[fit.trainer]))
        if points:
            axes[0].plot(points["x"], points["y"], "o", color=INK, markersize=3.2, zorder=3)
            low, high = min(points["y"]), max(points["y"])
            # whatever diverged
            axes[0].set_ylim(1.4 * low - 0.4 * high - 1e-9, 1.4 * high - 0.4 * low + 1e-9)
            for fit in fits:
                at, error = errors(fit, points)
                axes[1].plot(at, np.maximum(error, 1e-16), **_style(number[fit.trainer]))
            _logarithmic(axes[1], "error, absolute")
        axes[0].set_ylabel("y")
        axes[-1].set_xlabel("x")

    return _svg(name, label, paint, (5, 4.6))


def losses(name: str, label: str, fits: Sequence[Fit], number: Mapping[str, int]) -> Markup:
    """Loss by iteration, and the floor where one is known."""

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for fit in fits:
            steps = fit.curve or ()
            iteration, loss = _pairs([at for at, _ in steps], [loss for _, loss in steps])
            some = np.unique(np.geomspace(1, max(len(loss), 1), 120).round().astype(int) - 1)[
                : len(loss)
            ]
            axes.plot(iteration[some], np.maximum(loss[some], 1e-30), **_style(number[fit.trainer]))
        for floor in sorted({fit.floor for fit in fits if fit.floor}):
            axes.axhline(floor, color=INK, linestyle=(0, (1, 3)))
            axes.annotate("floor", (0, floor), (4, 3), ("axes fraction", "data"), "offset points")
        _logarithmic(axes, "loss")
        axes.set_xscale("symlog", linthresh=1)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.set(xlabel="iteration", xlim=(0, None))

    return _svg(name, label, paint, (5, 4.6))


def catches(name: str, label: str, rules: Sequence[Rule]) -> Markup:
    """Which share of planted faults a rule catches, by their size: a panel for every dtype, a line
    for every rule.
    """

    def paint(figure: Figure) -> None:
        kinds = sorted({key.split()[1] for rule in rules for key in rule.catch_rate}, reverse=True)
        panels = figure.subplots(1, len(kinds) or 1, sharey=True, squeeze=False)[0]
        for axes, kind in zip(panels, kinds, strict=False):
            for number, rule in enumerate(rules):
                keys = [(key, *key.split()) for key in rule.catch_rate]
                sizes = sorted(
                    (float(size), key)
                    for key, size, of in keys
                    if of == kind and size != "structural"
                )
                rates = [100 * rule.catch_rate[key] for _, key in sizes]
                axes.plot(
                    [size for size, _ in sizes], rates, **_style(number), zorder=3 - number / 20
                )
            axes.set(title=kind, xscale="log", xlabel="size of the fault, relative", ylim=(-4, 104))
        panels[0].set_ylabel("faults caught, %")

    return _svg(name, label, paint, (10, 4.2))


def diagram(name: str, label: str, weights: dict[str, float]) -> Markup | None:
    """A network as a picture, bias nodes as squares; None where a label is not of the two-headed
    family.
    """
    found = [
        (re.fullmatch(r"(\w+)\[(\d\d?)(?:, (\d\d?))?\]", place), weight)
        for place, weight in weights.items()
    ]
    named = [
        (*JOINS[m[1]], int(m[2]), int(m[3] or 0), weight)
        for m, weight in found
        if m and m[1] in JOINS
    ]
    if len(named) < len(weights):
        return None
    edges = [
        ((source, column), (target, row), weight) for source, target, row, column, weight in named
    ]
    nodes = sorted({node for *ends, _ in edges for node in ends})
    counts = Counter(group for group, _ in nodes)
    columns = [
        [node for group in groups for node in nodes if node[0] == group] for groups in COLUMNS
    ]
    places = {
        n: (x, (len(some) - 1) / 2 - y)
        for x, some in enumerate(columns)
        for y, n in enumerate(some)
    }

    def paint(figure: Figure) -> None:
        figure.set_layout_engine("none")
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0), frameon=False, xticks=[], yticks=[])
        largest = max(map(abs, weights.values())) or 1.0
        for source, target, weight in edges:
            x, y = zip(places[source], places[target], strict=True)
            style = {"color": PLUS} if weight >= 0 else {"color": MINUS, "linestyle": (0, (5, 3))}
            axes.plot(x, y, **style, linewidth=0.6 + 5.4 * abs(weight) / largest)
        for (group, index), place in places.items():
            bias = group[0] == "1"
            axes.plot(
                *place,
                "s" if bias else "o",
                color=CARD,
                markeredgecolor=INK,
                markersize=25,
                zorder=3,
            )
            letter = group if group == "h" or f"{group[0]}2" in counts else group[0]
            number = f"{index}" if group == "h" else f"[{index}]" if counts[group] > 1 else ""
            axes.text(
                *place,
                "1" if bias else f"{letter}{number}",
                ha="center",
                va="center",
                zorder=4,
                size=9,
            )
        axes.margins(0.1)

    return _svg(name, label, paint, (5, 1 + 0.6 * max(map(len, columns))))


def _pairs(x: Sequence[float], y: Sequence[float | None]) -> tuple[Any, Any]:
    """The pairs of x and y whose y is a number, and what is too far off to be drawn a little
    nearer.
    """
    if len(x) != len(y):
        raise ValueError(f"results: a curve has {len(x)} x and {len(y)} y, expected as many")
    at, value = np.array(x, dtype=float), np.array(y, dtype=float)  # None becomes NaN
    there = ~np.isnan(value)
    return at[there], np.clip(value[there], -1e30, 1e30)


def _style(number: int) -> dict[str, Any]:
    dash = DASHES[number % len(DASHES)]
    colour, style = f"#00001{number % 8}", (0, dash) if dash else "solid"
    return {"color": colour, "linestyle": style, "linewidth": 1.6 if number else 2.6}


def _logarithmic(axes: Axes, label: str) -> None:
    axes.set(yscale="log", ylabel=label)
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(LogLocator(numticks=7) if high > 30 * low else MaxNLocator(5))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.minorticks_off()


def _svg(
    name: str, label: str, paint: Callable[[Figure], None], inches: tuple[float, float]
) -> Markup:
    """What `paint` draws, as an element: the same bytes for the same data, and no id that another
    figure has.
    """
    with matplotlib.rc_context(), io.StringIO() as file:
        matplotlib.rcdefaults()  # whatever its user's matplotlibrc says
        matplotlib.rcParams.update(RC)
        paint(figure := Figure(inches, layout="constrained"))
        none = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(file, format="svg", transparent=True, metadata=none)
        text = file.getvalue()
    width, height = (72 * inch for inch in inches)
    body = text[text.index(">", text.index("<svg")) + 1 :]
    for pattern, by in (*CLEAN, (r'( id="|href="#|url\(#)', rf"\1{name}-")):
        body = re.sub(pattern, by, body, flags=re.DOTALL)
    body = re.sub("#0000[01][0-9]", lambda match: COLOURS[match[0]], body)
    head = (
        f'<svg class="figure" role="img" aria-label="{printable(escape(label))}" viewBox="0 0'
        f' {width:g} {height:g}">'
    )
    return Markup(head + body)
