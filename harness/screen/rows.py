"""The rows of the screen, before their widths are known."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

Colour = Literal["", "green", "red", "yellow"]


class Figures(NamedTuple):
    """The right columns of a row: the number of checks, the share of the rounding bound that the
    worst element used, and who answered.
    """

    checks: str
    used: str
    against: str


class Row(NamedTuple):
    """A row: a mark, a text, and what stands to the right of it.

    A text that is too wide is shortened unless it `is_whole`; `tail` stands behind it and is not
    shortened. `details` are shown below the row if all is shown. A row without a mark follows from
    the row above if it `is_part`.
    """

    text: str
    mark: str = ""
    colour: Colour = ""
    figures: Figures | None = None
    tail: str = ""
    details: tuple[str, ...] = ()
    is_whole: bool = False
    is_part: bool = False


class Ending(NamedTuple):
    """What the screen says besides the report: where the whole report is, the path of its page if
    it was written, and why the run fails although no check does.
    """

    whole: str = "report.md"
    place: str = ""
    complaints: Sequence[str] = ()


class Group(NamedTuple):
    """Rows under one label, which stands to the left of them."""

    label: str
    rows: list[Row]


class Line(NamedTuple):
    """A line of the screen; its columns from `start` to `end` have a colour."""

    text: str
    colour: Colour = ""
    start: int = 0
    end: int = 0
