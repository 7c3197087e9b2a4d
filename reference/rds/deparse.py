"""A call of R as text on one line, in the form of R's deparse()."""

from __future__ import annotations

import math
import re

import numpy as np

from reference.rds.values import NUMBERS, Value

SPACED = ("+", "-", "*", "~", "==", "!=", "<", ">", "<=", ">=", "&", "|", "&&", "||", "<-", "=")
CLOSE = ("^", ":", "/", "$", "@", "::", ":::")
UNARY = ("-", "+", "!", "~")
MOST_NUMBERS = 20  # a longer vector is named by its length
DIGITS = 15  # R's
ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def deparse(value: Value) -> str:
    """Return a call, a name or a constant as R writes it; long data are named by their length."""
    if value.kind == "symbol":
        return _name(value.symbol)
    if value.kind == "NULL":
        return "NULL"
    if value.kind in NUMBERS or value.kind == "character":
        return _vector(value)
    if value.kind == "language":
        return _call(value)
    return f"<{value.kind} of {len(value)}>"


def _name(name: str) -> str:
    plain = re.fullmatch(r"(?:[^\W\d_]|\.(?!\d))[\w.]*|", name)
    return name if plain else f"`{name}`"


def _call(call: Value) -> str:
    arguments = list(call.arguments())
    parts = [deparse(part) for _, part in arguments]
    operator = call.symbol
    if len(parts) == 2 and (operator in SPACED or re.fullmatch("%.*%", operator)):
        return f"{parts[0]} {operator} {parts[1]}"
    if len(parts) == 2 and operator in CLOSE:
        return f"{parts[0]}{operator}{parts[1]}"
    if len(parts) == 1 and operator in UNARY:
        return f"{operator}{parts[0]}"
    if len(parts) == 1 and operator == "(":
        return f"({parts[0]})"
    named = []
    for (name, _), part in zip(arguments, parts, strict=True):
        named.append(f"{_name(name)} = {part}" if name else part)
    if operator in ("[", "[[") and parts:
        return f"{parts[0]}{operator}{', '.join(named[1:])}{']' * len(operator)}"
    return f"{deparse(call.parts[0])}({', '.join(named)})"


def _vector(value: Value) -> str:
    if len(value) > MOST_NUMBERS:
        return f"<{value.kind} of {len(value)}>"
    texts = [_text(text) for text in value.texts]
    texts += [number_text(float(number), value.kind) for number in value.numbers]
    if not texts:
        return f"{'numeric' if value.kind == 'double' else value.kind}(0)"
    steps = np.diff(value.numbers)
    if value.kind == "integer" and len(texts) > 1 and (steps == 1).all():
        return f"{texts[0][:-1]}:{texts[-1][:-1]}"
    named = []
    for name, text in zip(value.names, texts, strict=True):
        named.append(f"{_name(name)} = {text}" if name else text)
    return named[0] if len(named) == 1 and named == texts else f"c({', '.join(named)})"


def _text(text: str | None) -> str:
    if text is None:
        return "NA"
    return '"' + "".join(ESCAPES.get(letter, letter) for letter in text) + '"'


def number_text(number: float, kind: str = "double") -> str:
    """Return a number as R writes it, with at most 15 digits."""
    if math.isnan(number):
        return "NA"
    if kind == "logical":
        return "TRUE" if number else "FALSE"
    if kind == "integer":
        return f"{number:.0f}L"
    if math.isinf(number):
        return "Inf" if number > 0 else "-Inf"
    mantissa, exponent = f"{number:.{DIGITS - 1}e}".split("e")
    mantissa = mantissa.rstrip("0").rstrip(".")
    places = len(mantissa.partition(".")[2]) - int(exponent)
    fixed = f"{number:.{max(places, 0)}f}"
    short = f"{mantissa}e{exponent}"
    return fixed if len(fixed) <= len(short) else short
