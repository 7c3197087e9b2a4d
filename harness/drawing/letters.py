"""The letters of lines, which stand to the right of a panel and apart from each other."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from harness.drawing.style import make_style
from harness.drawing.svg import LEADER, POINTS, TEXT, make_line


def paint_letters(axes: Axes, tall: float, ends: Sequence[tuple[int, tuple[float, float]]]) -> None:
    """Paint the letter of each line to the right of the panel, and a thin line from the line's end
    to it.

    `ends` has, for each line, its number and the point (x, y) at which it ends. `tall` is the
    height of the panel in inches.
    """
    axes.autoscale_view()
    to_share = axes.transData + axes.transAxes.inverted()
    placed = []
    for number, end in ends:
        height = float(np.clip(to_share.transform(end)[1], 0, 1))
        placed.append((height, number, end))
    placed.sort()
    heights = spread([height for height, *_ in placed], TEXT / (POINTS * tall))
    for (height, number, (x, _)), moved in zip(placed, heights, strict=True):
        across = float(to_share.transform((x, 1))[0])
        places = ((across, 1.03), (height, moved))
        axes.plot(
            *places,
            color=make_line(number)["color"],
            linewidth=2,
            linestyle=(0, LEADER),
            transform=axes.transAxes,
            clip_on=False,
            scalex=False,
            scaley=False,
        )
        axes.text(1.04, moved, make_style(number).letter, transform=axes.transAxes, va="center")


def spread(heights: Sequence[float], apart: float) -> list[float]:
    """Return ascending heights from 0 to 1, moved as little as possible so that they are `apart` or
    more.

    If there is no room for this, they are evenly spaced.
    """
    apart = min(apart, 1 / max(len(heights) - 1, 1))
    groups: list[list[float]] = []  # of heights, each less those before it need
    for number, height in enumerate(heights):
        groups.append([height - number * apart])
        while len(groups) > 1 and np.mean(groups[-2]) > np.mean(groups[-1]):
            groups[-2:] = [groups[-2] + groups[-1]]
    last = 1 - (len(heights) - 1) * apart
    starts = [min(max(float(np.mean(group)), 0.0), last) for group in groups for _ in group]
    return [start + number * apart for number, start in enumerate(starts)]
