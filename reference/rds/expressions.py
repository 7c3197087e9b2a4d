"""Evaluates arithmetic in the variables of a formula by a table of operations; R is not run.

An expression is a call of R as data. A function that is not in the table is refused. The functions
are those of the C library, which R calls too: numbers equal R's to the last bit on the same
machine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from harness.core.contract import Array
from reference.rds.deparse import deparse
from reference.rds.fit import Unsupported
from reference.rds.values import NUMBERS, Value

WAY_OUT = "where R is, R's model.matrix reads it"
Scalar = Callable[..., float]


def _log_like(function: Scalar, least: float) -> Scalar:
    """Return a logarithm that is -inf at `least` and NaN below it, as R's is."""

    def compute(x: float) -> float:
        if x > least:
            return function(x)
        return -math.inf if x == least else math.nan

    return compute


def _exp_like(function: Scalar) -> Scalar:
    """Return an exponential that overflows to infinity, as R's does."""

    def compute(x: float) -> float:
        try:
            return function(x)
        except OverflowError:
            return math.inf

    return compute


def _sqrt(x: float) -> float:
    return math.sqrt(x) if x >= 0 else math.nan


def _power(x: float, y: float) -> float:
    """Return x^y as R_POW in R's arithmetic.c does."""
    if y == 2:
        return x * x
    with np.errstate(all="ignore"):
        try:
            return math.pow(x, y)
        except OverflowError:
            return math.inf if x > 0 or y % 2 == 0 else -math.inf
        except ValueError:  # a root of a negative number, or 0 to a negative power
            return math.inf if x == 0 else math.nan


def _divide(x: float, y: float) -> float:
    with np.errstate(all="ignore"):
        return float(np.float64(x) / np.float64(y))


FUNCTIONS: dict[tuple[str, int], Scalar] = {
    ("(", 1): lambda x: x,
    ("I", 1): lambda x: x,
    ("+", 1): lambda x: x,
    ("-", 1): lambda x: -x,
    ("+", 2): lambda x, y: x + y,
    ("-", 2): lambda x, y: x - y,
    ("*", 2): lambda x, y: x * y,
    ("/", 2): _divide,
    ("^", 2): _power,
    ("abs", 1): abs,
    ("sqrt", 1): _sqrt,
    ("exp", 1): _exp_like(math.exp),
    ("expm1", 1): _exp_like(math.expm1),
    ("log", 1): _log_like(math.log, 0.0),
    ("log2", 1): _log_like(math.log2, 0.0),
    ("log10", 1): _log_like(math.log10, 0.0),
    ("log1p", 1): _log_like(math.log1p, -1.0),
}


def names_in(expression: Value) -> list[str]:
    """Return the raw columns that an expression uses, each once, in their order."""
    if expression.kind == "symbol":
        return [expression.symbol]
    names: dict[str, None] = {}
    if expression.kind == "language":
        for _, part in expression.arguments():
            names.update(dict.fromkeys(names_in(part)))
    return list(names)


def check(expression: Value) -> None:
    """Raise Unsupported, which names the call, for an operation that is not supported."""
    if expression.kind == "symbol" and expression.symbol:
        return
    if expression.kind in NUMBERS and len(expression) == 1:
        return
    if expression.kind != "language":
        raise Unsupported(f"{deparse(expression)} in a formula is not supported; {WAY_OUT}")
    if spread := scaling(expression):
        check(spread[0])
        return
    arguments = list(expression.arguments())
    known = (expression.symbol, len(arguments)) in FUNCTIONS
    if not known or any(name for name, _ in arguments):
        raise Unsupported(f"the term {deparse(expression)} is not supported; {WAY_OUT}")
    for _, part in arguments:
        check(part)


def scaling(expression: Value) -> tuple[Value, float, float] | None:
    """Return the argument of scale(), its centre and its spread, as they are stored in predvars.

    The centre is 0 and the spread 1 if scale() was called with FALSE. Return None for another
    expression, and for a scale() without stored numbers, which would use the rows to be predicted.
    """
    if expression.symbol != "scale":
        return None
    arguments = dict(expression.arguments())
    if set(arguments) != {"", "center", "scale"} or len(expression.parts) != 4:
        return None
    numbers = []
    for name, none in (("center", 0.0), ("scale", 1.0)):
        value = arguments[name]
        if value.kind == "double" and len(value) == 1:
            numbers.append(float(value.numbers[0]))
        elif value.kind == "logical" and len(value) == 1 and value.numbers[0] == 0:
            numbers.append(none)
        else:
            return None
    return arguments[""], numbers[0], numbers[1]


def compute(expression: Value, columns: Mapping[str, Array], rows: int) -> Array:
    """Return the values (R,) of a checked expression, given the raw columns by name; R is the
    number of `rows`.
    """
    if expression.kind == "symbol":
        return columns[expression.symbol]
    if expression.kind != "language":
        return np.full(rows, expression.numbers[0])
    if spread := scaling(expression):
        inner, centre, scale = spread
        result: Array = (compute(inner, columns, rows) - centre) / scale
        return result
    parts = [compute(part, columns, rows) for _, part in expression.arguments()]
    function = FUNCTIONS[expression.symbol, len(parts)]
    values = [function(*row) for row in zip(*(part.tolist() for part in parts), strict=True)]
    return np.array(values, dtype=np.float64)
