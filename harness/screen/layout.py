"""Arranges rows in columns, for a terminal of any width."""

from collections.abc import Sequence
from itertools import zip_longest
from textwrap import wrap

from harness.screen.rows import Figures, Group, Line, Row
from harness.text.harmless import one_line, printable
from harness.text.lines import fold, shorten

NARROWEST = 60  # columns; a narrower terminal breaks the lines itself
WIDE = 100  # columns from which labels stand on one line
LEAST = 40  # columns of a text beside its figures: for them the last figure is left out
ALL_LINES = 100  # of a row that is folded, at most
HEADINGS = Figures("checks", "bound used", "against")


def lay_out(groups: Sequence[Group], width: int, is_verbose: bool = False) -> list[Line]:
    """Return the lines of groups of rows, none of them wider than `width` columns.

    A row takes one line, and a longer text is shortened. If `is_verbose`, a row takes as many lines
    as it needs, followed by its details.
    """
    width = max(width, NARROWEST)
    label_width = 16 if width >= WIDE else 12
    room = width - label_width
    rows = [row for group in groups for row in group.rows if row.figures]
    figures = [row.figures for row in rows if row.figures]
    longest = max((len(row.text) for row in rows), default=0)
    widths = _choose_widths(figures, room - 2 - min(longest, LEAST))
    text_width = min(room - 2 - sum(number + 2 for number in widths), longest)
    lines = []
    for group in groups:
        if rows and group.rows[0] is rows[0]:
            heading = _join(" " * (text_width + 2), HEADINGS, widths)
            lines.append(Line(" " * label_width + heading))
        bodies: list[Line] = []
        for row in group.rows:
            bodies += _lay_out_row(row, room, text_width, widths, is_verbose)
        lines += _label(group.label, bodies, label_width)
    return lines


def _choose_widths(figures: Sequence[Figures], room: int) -> list[int]:
    """Return the widths of the columns to the right of a row's text, for `room` columns of the
    terminal. The last column is left out if there is no room for it.
    """
    if not figures:
        return []
    widths = [max(map(len, column)) for column in zip(HEADINGS, *figures, strict=True)]
    if sum(number + 2 for number in widths) > room:
        del widths[-1]
    return widths


def _join(text: str, figures: Figures, widths: Sequence[int]) -> str:
    """Return a text followed by the columns `figures` in these widths: numbers right-aligned, names
    left-aligned.
    """
    checks, used, *against = [
        each.rjust(width) if number < 2 else each
        for number, (each, width) in enumerate(zip(figures, widths, strict=False))
    ]
    return "  ".join([text, checks, used, *against])


def _lay_out_row(
    row: Row, room: int, text_width: int, widths: Sequence[int], is_verbose: bool
) -> list[Line]:
    """Return the lines of a row, `room` columns wide: the text in `text_width` columns, then the
    figures in `widths`.
    """
    mark = f"{row.mark} " if row.mark else ""
    if row.is_part:
        mark = "    "
    tail = f"  {one_line(row.tail)}" if row.tail else ""
    others: list[str] = []
    if row.is_whole:
        first, *others = fold(row.text, room - len(mark), ALL_LINES, "  ")
        if len(others) > 0 or len(mark + first + tail) > room:
            others += fold(row.tail, room - len(mark), ALL_LINES, "  ")
            tail = ""
    else:
        columns = text_width if row.figures else room - len(mark) - len(tail)
        if is_verbose:
            first, *others = fold(row.text, columns, ALL_LINES, "  ") or [""]
        else:
            first = shorten(row.text, columns)
    if row.figures:
        first = _join(first.ljust(text_width), row.figures, widths)
    coloured = len(mark) + (len(first) if row.colour == "red" else 0)
    lines = [Line(f"{mark}{first}{tail}".rstrip(), row.colour, 0, coloured)]
    lines += [Line(" " * len(mark) + other) for other in others]
    if is_verbose:
        for detail in row.details:
            folded = fold(detail, room - 6, ALL_LINES, "  ")
            lines += [Line(f"      {line}") for line in folded]
    return lines


def _label(label: str, bodies: Sequence[Line], width: int) -> list[Line]:
    """Return the lines of a group (`bodies`) with its label to the left, which wraps onto several
    lines if it is long.
    """
    lines = []
    for head, body in zip_longest(wrap(label, width - 1), bodies):
        text = (head or "").ljust(width)
        if body is None:
            lines.append(Line(text.rstrip()))
        else:
            start, end = body.start + width, body.end + width
            lines.append(Line(printable(text + body.text), body.colour, start, end))
    return lines
