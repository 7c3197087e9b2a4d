"""The rows of the screen, before their widths are known."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

Colour = Literal["", "green", "red", "yellow"]


class Figures(NamedTuple):
    """The right columns of a row.

    They are the number of checks, the share of the rounding bound that the worst element used, and
    the sources of the answers.
    """

    checks: str
    used: str
    against: str


class Row(NamedTuple):
    """A row of the screen: a mark, a text, and the columns to the right of it.

    A text that is too wide is shortened unless it `is_whole`; `tail` follows it and is not
    shortened. `details` are lines below the row, shown only in full output. A row without a mark
    continues the row above if it `is_part`.
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
    """The end of the screen besides the report.

    It has the place of the whole report, the path of its page if it was written, and the reasons
    why the run fails although no check does.
    """

    whole: str = "report.md"
    place: str = ""
    complaints: Sequence[str] = ()


class Group(NamedTuple):
    """Rows under one label, which is printed to the left of them."""

    label: str
    rows: list[Row]


class Line(NamedTuple):
    """A line of the screen; its columns from `start` to `end` have a colour."""

    text: str
    colour: Colour = ""
    start: int = 0
    end: int = 0
