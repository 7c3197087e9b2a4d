"""The styles of lines: lines of a figure differ in colour, and also in dashes, markers and letters.

The colours are those of the page's style sheet. The marker is drawn on the line, the letter at its
end.
"""

from typing import NamedTuple

from markupsafe import Markup, escape

from harness.text.harmless import printable

SERIES = 8  # colours of lines in the style sheet: --s0 to --s7
# Numbers of colours, dashes and markers have no common factor: 280 lines of a figure differ.
DASHES = ((), (14, 5), (4, 5), (18, 5, 4, 5), (28, 8))
MARKERS = {  # matplotlib's markers, and their paths around a place
    "o": "m-6 0a6 6 0 1 0 12 0a6 6 0 1 0-12 0",
    "s": "m-6-6h12v12h-12z",
    "^": "m0-7l7 13h-14z",
    "D": "m0-8l8 8-8 8-8-8z",
    "x": "m-6-6l12 12m0-12l-12 12",
    "+": "m0-8v16m-8-8h16",
    "v": "m0 7l7-13h-14z",
}
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Style(NamedTuple):
    """The style of a line: the number of its colour in the style sheet, dashes, width, marker and
    letter.
    """

    colour: int
    dashes: tuple[int, ...]
    width: int
    marker: str
    letter: str


def make_style(number: int) -> Style:
    """Return the style of a line by its number; the line with the number 0 is the widest."""
    turn, at = divmod(number, len(LETTERS))
    return Style(
        colour=number % SERIES,
        dashes=DASHES[number % len(DASHES)],
        width=3 if number else 5,
        marker=list(MARKERS)[number % len(MARKERS)],
        letter=LETTERS[at] + (str(turn) if turn else ""),
    )


def draw_sample(number: int) -> Markup:
    """Return a small SVG element that shows the style of the line with this number, for a figure's
    key.
    """
    style = make_style(number)
    dashes = " ".join(map(str, style.dashes))
    line = (
        f'<path d="M0 12h80" stroke-width="{style.width}" stroke-dasharray="{dashes or "none"}"/>'
    )
    mark = f'<path class="mark" d="M40 12{MARKERS[style.marker]}" stroke-width="2"/>'
    return Markup(
        f'<svg class="key" viewBox="0 0 80 24" aria-hidden="true" stroke="var(--s{style.colour})">'
        f"{line}{mark}</svg>"
    )


def make_element(label: str, width: float, height: float, body: str) -> Markup:
    """Return an SVG element with the content `body`; `label` describes the image to a screen
    reader.

    `width` and `height` are in the units of `body`.
    """
    said = printable(escape(label))
    shape = f'class="figure" viewBox="0 0 {width:g} {height:g}"'
    return Markup(f'<svg {shape} role="img" aria-label="{said}">{body}</svg>')
