"""Draws SVG elements for the page with matplotlib, in few bytes.

The page's style sheet (figure.css) defines their colours. Names in the elements never come from the
report's data.
"""

import io
import re
from collections.abc import Callable
from typing import Any

import matplotlib
from markupsafe import Markup
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from harness.drawing.style import DASHES, MARKERS, SERIES, make_element, make_style

# colours that matplotlib draws with; `draw` replaces them by those in COLOURS
INK, LINE, CARD = (f"#00000{number}" for number in range(1, 4))
TAG = "#00001"  # and the number of a colour of a line
COLOURS = {INK: "currentColor", LINE: "var(--line)", CARD: "var(--card)"}
COLOURS |= {f"{TAG}{number}": f"var(--s{number})" for number in range(SERIES)}
TEXT = 22  # units of a letter's height; a figure is shown at about half its size
SETTINGS: Any = {
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "svg.hashsalt": "nnet-parity",
    "svg.fonttype": "none",
    "lines.scale_dashes": False,
    "lines.markersize": 11,
    "lines.markeredgewidth": 2,
    "path.simplify_threshold": 1,  # unit: a line may leave its points by so much
    "font.size": TEXT,
    "axes.grid": True,
    "axes.linewidth": 1.5,
    "axes.labelpad": 8,
    "grid.color": LINE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.major.pad": 8,
    "ytick.major.pad": 8,
}
# patterns of what an element of a page does not need, or must not have, and their replacements
CLEAN = (
    (r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", ""),
    (r"<path d=\"[^\"]*\" style=\"fill: none\"/>", ""),  # the grounds of the figure and its panels
    (r"<path [^>]*var\(--line\)[^>]*/>", lambda found: _write_grid_line(found[0])),
    (r"</?g\b[^>]*>", ""),
    (r"<defs>\s*</defs>", ""),
    (r"xlink:href", "href"),
    (r" transform=\"rotate\(-0 [^\"]*\"", ""),
    (r"<text style=\"[^\"]*?(text-anchor: (\w+))?; fill: currentColor\"", r'<text class="\2"'),
    # the marker itself has a style; those filled with CARD are filled by the page's style sheet
    (r"(<use [^>]*) style=\"fill: var\(--card\)[^\"]*\"", r"\1"),
    (r"(<use [^>]*) style=\"fill: ([^;\"]*)[^\"]*\"", r'\1 fill="\2"'),
    (r"(?:fill: none|stroke-linejoin: miter|stroke-linecap: square|stroke-dashoffset: 0);? ?", ""),
    (r"(\d+)\.(\d)\d*(?=[^<]*>)", lambda found: str(round(float(f"{found[1]}.{found[2]}")))),
    (r"\s+", " "),
    (r" ?([LMCz]) ?(?=[^<>]*>)", r"\1"),
    (r"(?<= d=\")M0 \d+C[^\"]*", MARKERS["o"].replace("m", "M", 1)),
    (r"M(\d+ \d+)L\1(?=[\"M])", r"M\1h0"),
    (r"(?<= d=\")M([-\dL ]+)(?=\")", lambda found: _write_steps(found[1])),
    (r"(?<=[;:]) (?=[^<>]*>)|;(?=\"/>)| (?=\"/>)", ""),
    (r" ?> ?<|(?<=>) (?=<)", "><"),
)
# the style of a line, which classes of the page's style sheet say in fewer bytes
LINE_STYLE = re.compile(
    r'style="(?:stroke-dasharray:([\d,]+);)?stroke:var\(--s(\d)\);stroke-width:(\d);?"'
)
ID = r'( id="|href="#|url\(#)([\w-]+)'  # what stands before an id, and the id
LEADER = (1, 5)  # the dashes of the line from a line's end to its letter
DASH_CLASSES = {",".join(map(str, dashes)): f"d{at}" for at, dashes in enumerate(DASHES)}
DASH_CLASSES[",".join(map(str, LEADER))] = "leader"
NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))
POINTS = 72  # units of an inch


def draw(
    name: str, label: str, paint: Callable[[Figure], None], inches: tuple[float, float]
) -> Markup:
    """Return the SVG element of a figure that `paint` draws.

    `label` describes the figure to a screen reader. `name` is a prefix of the ids in the element,
    so that they differ from those of other figures. `inches` are width and height. The same data
    give the same bytes.
    """
    with matplotlib.rc_context(), io.StringIO() as file:
        matplotlib.rcdefaults()  # not the settings of a user's matplotlibrc
        matplotlib.rcParams.update(SETTINGS)
        figure = Figure(inches, dpi=POINTS, layout="constrained")
        FigureCanvasSVG(figure)
        paint(figure)
        # savefig() would draw the figure once more for its layout
        arrange_panels(figure)
        figure.savefig(file, format="svg", transparent=True, metadata=NO_METADATA)
        text = file.getvalue()
    return make_element(label, POINTS * inches[0], POINTS * inches[1], _clean(text, name))


def arrange_panels(figure: Figure) -> None:
    """Arrange the panels of a figure, once."""
    engine = figure.get_layout_engine()
    assert engine is not None
    engine.execute(figure)
    figure.set_layout_engine(None)


def _clean(text: str, name: str) -> str:
    """Return the content of matplotlib's SVG in few bytes, with ids that begin with `name`."""
    body = text[text.index(">", text.index("<svg")) + 1 : text.rindex("</svg>")]
    body = re.sub("#0000[01][0-9]", lambda found: COLOURS[found[0]], body)
    for pattern, by in CLEAN:
        body = re.sub(pattern, by, body, flags=re.DOTALL)
    body = LINE_STYLE.sub(lambda found: _write_classes(*found.groups()), body)
    ids: dict[str, str] = {}

    def rename(found: re.Match[str]) -> str:
        short = ids.setdefault(found[2], f"{name}-{len(ids)}")
        return f"{found[1]}{short}"

    return re.sub(ID, rename, body)


def _write_steps(line: str) -> str:
    """Return an SVG path of absolute points, such as "9 3 L 9 8", as its first point and relative
    steps.
    """
    numbers = [int(number) for number in re.findall(r"-?\d+", line)]
    steps = [now - before for now, before in zip(numbers[2:], numbers, strict=False)]
    text = "".join(f" {step}" if step >= 0 else str(step) for step in steps)
    start = f"M{numbers[0]} {numbers[1]}"
    return f"{start}l{text.strip()}" if steps else start


def _write_classes(dashes: str | None, colour: str, width: str) -> str:
    """Return the classes of a line: "c1 d2 w3" has the second colour and the third dashes."""
    names = [f"c{colour}", f"w{width}"]
    if dashes:
        names.append(DASH_CLASSES[dashes])
    return f'class="{" ".join(names)}"'


def _write_grid_line(path: str) -> str:
    """Return a line of the grid without its style, which is in the page's style sheet."""
    place = re.search(r' d="[^"]*"', path)
    return f'<path class="raster"{place[0]}/>' if place else ""


def make_line(number: int) -> dict[str, Any]:
    """Return keyword arguments of matplotlib's `plot` for the line with this number."""
    style = make_style(number)
    return {
        "color": f"{TAG}{style.colour}",
        "linestyle": (0, style.dashes) if style.dashes else "solid",
        "linewidth": style.width,
        "marker": style.marker,
        "markerfacecolor": CARD,
    }
