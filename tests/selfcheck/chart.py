"""The selfcheck as a picture of its own: which share of planted faults is caught, by their size."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from harness.drawing import figures
from harness.drawing.style import draw_sample, make_style
from harness.publishing import page
from harness.reporting.selfcheck_result import Rule
from harness.text.harmless import printable

WIDTH, LINE, COLUMNS = 720, 24, 2
LIGHT, DARK, FIGURE = (
    Path(page.__file__).with_name(name).read_text(encoding="utf-8")
    for name in ("light.css", "dark.css", "figure.css")
)
COLOURS = f":root {{ {LIGHT} }} @media (prefers-color-scheme: dark) {{ :root {{ {DARK} }} }}"
STYLE = "text { font: 14px system-ui, sans-serif; fill: var(--ink) } svg { color: var(--ink) }"


def drawn(found: dict[str, Any]) -> str:
    """The figure of the report's page and its legend, in the page's colours, light or dark."""
    rules = [
        Rule(each["rule"], each["false_alarm_rate"], each["catch_rate"]) for each in found["rules"]
    ]
    words = (
        f"Share of planted faults caught, by their size: {rules[0].rule} and {len(rules) - 1}"
        " published rules"
    )
    figure = figures.draw_catches("t", words, [rule.rates for rule in rules])
    [(wide, tall)] = re.findall(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', figure)
    height = int(WIDTH * float(tall) / float(wide))
    rows = -(-len(rules) // COLUMNS)
    legend = Markup("").join(
        _key(rule, n, height + 24 + LINE * (n % rows), n // rows) for n, rule in enumerate(rules)
    )
    whole = height + 24 + LINE * rows
    return Markup(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {whole}" role="img"'
        f' aria-label="{_text(words)}"><style>{COLOURS}{STYLE}{FIGURE}</style>'
        f'<rect width="{WIDTH}" height="{whole}" fill="var(--card)"/><svg width="{WIDTH}"'
        f' height="{height}"{figure.removeprefix("<svg")}{legend}</svg>\n'
    )


def _key(rule: Rule, number: int, y: int, column: int) -> Markup:
    """A rule's line, its letter, its name, and what it flags of what is right."""
    x = 24 + column * WIDTH // COLUMNS
    letter = make_style(number).letter
    says = _text(f"{letter} {rule.rule}: flags {rule.false_alarm_rate:.2%} of what is right")
    place = f'<svg x="{x}" y="{y - 11}" width="40" height="12"'
    line = draw_sample(number).removeprefix("<svg")
    return Markup(f'{place}{line}<text x="{x + 48}" y="{y}">{says}</text>')


def _text(words: str) -> str:
    return printable(str(escape(words)))
