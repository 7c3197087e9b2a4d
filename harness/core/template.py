"""The templates of the rooms, `reporting/page.html.j2` say, and the filters that they know."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from harness.core.python_text import Code, literal, raw
from harness.core.report import grouped

if TYPE_CHECKING:
    from jinja2 import Template

T = TypeVar("T")


def filled(name: str, harmless: Callable[[str], str], **context: object) -> str:
    """A template with what it shows filled in, each text made harmless, and in HTML escaped too.

    In a template of Python every value becomes a literal, but for code.
    """
    return str(_template(name, harmless).render(context))


@cache  # it takes longer to be read than to be filled in
def _template(name: str, harmless: Callable[[str], str]) -> Template:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    python = name.endswith(".py.j2")
    environment = Environment(
        autoescape=name.endswith(".html.j2"),
        finalize=literal
        if python
        else lambda value: harmless(value) if type(value) is str else value,
        keep_trailing_newline=True,
        loader=FileSystemLoader(Path(__file__).parents[1]),
        lstrip_blocks=True,
        trim_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {"by": by, "figure": figure, "place": place}
    environment.filters |= {"code": Code, "literal": literal, "raw": raw} if python else {}
    return environment.get_template(name)


def by(things: Iterable[T], field: str) -> list[tuple[object, list[T]]]:
    """The things by one of their fields, in the order in which they first come."""
    return list(grouped(things, attrgetter(field)).items())


def figure(value: float | None) -> str:
    """A number as a person reads it."""
    text = "–" if value is None else f"{value:,.0f}" if 1e3 <= abs(value) < 1e7 else f"{value:.3g}"
    return text.replace("-", "−")


def place(value: float, among: Sequence[float | None]) -> float:
    """Where a number stands among others on a logarithmic scale, in percent."""
    logs = [math.log10(max(each, 1e-30)) for each in (*among, value) if each is not None]
    return round(100 * (logs[-1] - min(logs)) / (max(logs) - min(logs) or 1), 1)
