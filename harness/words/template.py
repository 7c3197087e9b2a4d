"""Fill in the packages' templates, such as `publishing/page.html.j2`; this module also has their
filters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from harness.core.report import grouped
from harness.text import harmless, python
from harness.text.python import Code, literal, raw

if TYPE_CHECKING:
    from jinja2 import Template

T = TypeVar("T")
# constants are made literals when a template of Python is compiled
COMPILED_BY = [Path(__file__), Path(str(python.__file__)), Path(str(harmless.__file__))]


def fill_template(name: str, make_harmless: Callable[[str], str], **context: object) -> str:
    """Return a template filled with values; each text is made harmless, and escaped in HTML.

    In a template of Python every value becomes a literal, except for `Code`.
    """
    return str(_template(name, make_harmless).render(context))


@cache  # it takes longer to be read than to be filled in
def _template(name: str, make_harmless: Callable[[str], str]) -> Template:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context

    from harness.text.compiled_templates import CompiledTemplates

    @pass_context  # else constants would be made harmless when the template is compiled
    def finalize(_: object, value: object) -> object:
        return make_harmless(value) if type(value) is str else value

    is_python = name.endswith(".py.j2")
    environment = Environment(
        autoescape=name.endswith(".html.j2"),
        bytecode_cache=CompiledTemplates(COMPILED_BY),
        finalize=literal if is_python else finalize,
        keep_trailing_newline=True,
        loader=FileSystemLoader(Path(__file__).parents[1]),
        lstrip_blocks=True,
        trim_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {"by": by, "figure": figure, "place": place}
    if is_python:
        environment.filters |= {"code": Code, "literal": literal, "raw": raw}
    return environment.get_template(name)


def by(things: Iterable[T], field: str) -> list[tuple[object, list[T]]]:
    """Group objects by the values of one of their fields, in the order in which the values first
    occur.
    """
    return list(grouped(things, attrgetter(field)).items())


def figure(value: float | None) -> str:
    """Return a number as text for people."""
    if value is None:
        return "–"
    text = f"{value:,.0f}" if 1e3 <= abs(value) < 1e7 else f"{value:.3g}"
    return text.replace("-", "−")


def place(value: float, among: Sequence[float | None]) -> float:
    """Return the position of a number on a logarithmic scale from the smallest to the largest of
    `among`, from 0 to 100 percent.
    """
    logs = [math.log10(max(each, 1e-30)) for each in (*among, value) if each is not None]
    return round(100 * (logs[-1] - min(logs)) / (max(logs) - min(logs) or 1), 1)
