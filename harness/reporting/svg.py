"""Draws SVG elements for the page with matplotlib.

The page's style sheet defines their colours. The elements have no names from the report's data.
"""

import io
import re
from collections.abc import Callable
from typing import Any

import matplotlib
from markupsafe import Markup, escape
from matplotlib.figure import Figure

from harness.text.harmless import printable

# drawn colours, each of which `draw` replaces by the one in COLOURS
INK, LINE, CARD, PLUS, MINUS = (f"#00000{number}" for number in range(1, 6))
COLOURS = {
    INK: "currentColor",
    LINE: "var(--line)",
    CARD: "var(--card)",
    PLUS: "var(--plus)",
    MINUS: "var(--minus)",
}
SERIES = 8  # colours of lines
COLOURS |= {f"#00001{number}": f"var(--s{number})" for number in range(SERIES)}
DASHES = ((), (7, 2), (2, 2), (8, 2, 2, 2), (12, 3))  # with 8 colours, 40 different lines
SETTINGS: Any = {
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "svg.hashsalt": "nnet-parity",
    "svg.fonttype": "none",
    "lines.scale_dashes": False,
    "font.size": 12,
    "axes.grid": True,
    "grid.color": LINE,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
# patterns of what an element of a page does not need, or must not have, and their replacements
CLEAN = (
    (r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->|font-family: [^\"]*?sans-serif;?", ""),
    (r"<g id=\"[^\"]*\"", "<g"),
    (r"xlink:href", "href"),
    (r"(\d\.\d)\d+(?=[^<]*>)", r"\1"),  # a tenth of a point is fine enough, in half the bytes
    (r"\s+", " "),
    (r"(?<=\d) L (?=[^C\"]*\")", " "),  # after a moveto, pairs of numbers are linetos
)
ID = r'( id="|href="#|url\(#)'  # what stands before an id
NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))
POINTS = 72  # an inch


def draw(
    name: str, label: str, paint: Callable[[Figure], None], inches: tuple[float, float]
) -> Markup:
    """Return the SVG element of a figure that `paint` draws.

    `label` describes the figure to a screen reader. `name` is put before the ids in the element, so
    that they differ from those of other figures. `inches` are width and height. The same data give
    the same bytes.
    """
    with matplotlib.rc_context(), io.StringIO() as file:
        matplotlib.rcdefaults()  # not the settings of a user's matplotlibrc
        matplotlib.rcParams.update(SETTINGS)
        figure = Figure(inches, layout="constrained")
        paint(figure)
        figure.savefig(file, format="svg", transparent=True, metadata=NO_METADATA)
        text = file.getvalue()
    body = text[text.index(">", text.index("<svg")) + 1 :]
    for pattern, by in CLEAN:
        body = re.sub(pattern, by, body, flags=re.DOTALL)
    body = re.sub(ID, rf"\1{name}-", body)
    body = re.sub("#0000[01][0-9]", lambda match: COLOURS[match[0]], body)
    width, height = inches
    head = (
        f'<svg class="figure" role="img" aria-label="{printable(escape(label))}" viewBox="0 0'
        f' {POINTS * width:g} {POINTS * height:g}">'
    )
    return Markup(head + body)


def make_style(number: int) -> dict[str, Any]:
    """Return the colour and dashes of the line with a number; the line with number 0 is the
    widest.
    """
    dashes = DASHES[number % len(DASHES)]
    return {
        "color": f"#00001{number % SERIES}",
        "linestyle": (0, dashes) if dashes else "solid",
        "linewidth": 1.6 if number else 2.6,
    }
