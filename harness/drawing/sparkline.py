"""Sparklines: small curves, without axes, of a measure over several runs."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from harness.drawing.svg import CARD, draw, make_line

INCHES = (5.0, 1.1)


def draw_sparkline(
    name: str, label: str, values: Sequence[float | None], whole: Sequence[bool]
) -> Markup:
    """Draw one value for each run from left to right; the mark of a run that is not `whole` is
    hollow.

    A value of None is left out. `name` is a prefix of the ids in the SVG element, and `label`
    describes the figure to a screen reader.
    """
    heights = np.array(values, dtype=float)  # None becomes NaN
    is_whole = np.array(whole, dtype=bool)
    at = np.arange(len(heights))

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        axes.set_axis_off()
        line = make_line(0) | {"marker": "o", "linewidth": 3}
        axes.plot(at, heights, **line | {"marker": ""})
        for some, ground in ((is_whole, line["color"]), (~is_whole, CARD)):
            face = line | {"linestyle": "", "markeredgewidth": 3, "markerfacecolor": ground}
            axes.plot(at[some], heights[some], **face)
        axes.margins(0.05, 0.3)

    return draw(name, label, paint, INCHES)
