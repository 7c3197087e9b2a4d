"""The Python source of a port's function `columns(rows)`, which computes inputs from raw
columns.
"""

from __future__ import annotations

import keyword
from collections.abc import Mapping

from harness.text.python import is_name, literal, quoted
from reference.rds.expressions import names_in, scaling
from reference.rds.terms import LOGICAL, FormulaTerms, Variable
from reference.rds.values import Value

PYTHON_LOGICAL = {"FALSE": "False", "TRUE": "True"}
# Operations that Python's own do not compute as R does at the ends of their range.
HELPERS = {
    "divide": "def divide(x, y):\n    return x / y if y else x * math.inf\n",
    "power": "def power(x, y):\n    return x * x if y == 2 else math.pow(x, y)\n",
    "exp": "def exp(x):\n    return math.inf if x > 709.78 else math.exp(x)\n",
    "expm1": "def expm1(x):\n    return math.inf if x > 709.78 else math.expm1(x)\n",
    "sqrt": "def sqrt(x):\n    return math.sqrt(x) if x >= 0 else math.nan\n",
    "cross": (
        "def cross(left, right):\n"
        '    """The columns of an interaction; those of the left factor change fastest."""\n'
        "    return [one * other for other in right for one in left]\n"
    ),
    "level": (
        "def level(value):\n"
        '    if value is None or value != value or value in ("", "NA"):\n'
        "        return None\n"
        '    return f"{value:.15g}" if isinstance(value, float) else str(value)\n'
    ),
    "Levels": (
        "class Levels(dict):\n"
        "    def __missing__(self, value):\n"
        "        known = [level for level in self if level is not None]\n"
        '        raise ValueError(f"{value!r} is no level that R knows, expected one of {known}")\n'
    ),
    "number": ("def number(value):\n    return math.nan if value is None else float(value)\n"),
}
LOGARITHMS = {"log": 0, "log2": 0, "log10": 0, "log1p": -1}
for name, least in LOGARITHMS.items():
    HELPERS[name] = (
        f"def {name}(x):\n"
        f"    if x > {least}:\n"
        f"        return math.{name}(x)\n"
        f"    return -math.inf if x == {least} else math.nan\n"
    )
TAKEN = {
    *HELPERS,
    *keyword.kwlist,
    "rows",
    "made",
    "math",
    "warnings",
    "CLASSES",
    "torch",
    "nn",
    "Path",
    "Port",
    "columns",
}


def write_columns(terms: FormulaTerms) -> str:
    """Return the source of `columns(rows)` and of its tables of levels and helpers.

    Names and levels become literals in it; expressions are written by a table of operations.
    """
    names = _local_names(terms)
    used: set[str] = set()
    tables: dict[str, str] = {}
    for product in terms.products:
        for place, in_full in product:
            variable = terms.held[place]
            if variable.levels:
                table = _table_name(place, in_full)
                tables[table] = f"{table} = Levels({{\n{_table(variable, in_full)}}})\n"
    entries = [_term(terms, product, names, used) for product in terms.products]
    lines = ["def columns(rows):"]
    lines.append(
        '    """Return the inputs of Port (rows, inputs) from raw columns by name, of a dict'
    )
    lines.append('    or a DataFrame; None, NaN and "NA" are missing values."""')
    lines += _wrap("    raw = [", [f"rows[{quoted(name)}]" for name in terms.variables], "]")
    lines.append("    made = []")
    lines += _wrap("    for (", [*names.values(), ""], ") in zip(*raw, strict=True):")
    lines += _wrap("        made.append([", entries, "])")
    lines.append("    return torch.tensor(made, dtype=torch.float64)")
    helpers = [source for name, source in HELPERS.items() if name in used]
    if tables:
        helpers.insert(0, HELPERS["Levels"])
    return "\n\n".join([*helpers, *tables.values(), "\n".join(lines) + "\n"])


def _wrap(before: str, parts: list[str], after: str) -> list[str]:
    """Return parts on one line between two brackets, or on a line each if that is too long."""
    line = f"{before}{', '.join(parts).rstrip(' ')}{after}"
    if len(line) < 100:
        return [line]
    indent = " " * (4 + len(before) - len(before.lstrip()))
    return [before, *(f"{indent}{part}," for part in parts if part), f"{indent[4:]}{after}"]


def _local_names(terms: FormulaTerms) -> dict[str, str]:
    """Return the name of a Python variable for each raw column."""
    names: dict[str, str] = {}
    for number, name in enumerate(terms.variables, 1):
        usable = is_name(name) and name not in TAKEN and not name.startswith("LEVELS")
        names[name] = name if usable else f"column_{number}"
    if len(set(names.values())) != len(names):
        return {name: f"column_{number}" for number, name in enumerate(terms.variables, 1)}
    return names


def _table_name(place: int, in_full: bool) -> str:
    return f"LEVELS_{place + 1}{'_IN_FULL' if in_full else ''}"


def _table(variable: Variable, in_full: bool) -> str:
    """Return the code of the entries of a dict from each level of a variable to its columns; a
    missing level gives NaN.

    `in_full` gives every level a column of its own.
    """
    coding, _ = variable.coding(in_full)
    entries = []
    for level, row in zip(variable.levels, coding.tolist(), strict=True):
        columns = literal(tuple(row))
        entries.append((level, columns))
        if variable.levels == LOGICAL:  # Python's own, as texts
            entries.append((PYTHON_LOGICAL[level], columns))
    lines = [f"    {quoted(level)}: {row},\n" for level, row in entries]
    return "".join(lines) + f"    None: (math.nan,) * {coding.shape[1]},\n"


def _term(
    terms: FormulaTerms,
    product: tuple[tuple[int, bool], ...],
    names: Mapping[str, str],
    used: set[str],
) -> str:
    """Return the code of a formula's term, as one entry of a list, or as several entries behind a
    star.
    """
    factors = []
    for place, in_full in product:
        variable = terms.held[place]
        if variable.levels:
            used.add("level")
            column = names[names_in(variable.expression)[0]]
            factors.append(f"{_table_name(place, in_full)}[level({column})]")
        else:
            factors.append(f"({_write(variable.expression, names, used)},)")
    result = factors[0]
    for other in factors[1:]:
        used.add("cross")
        result = f"cross({result}, {other})"
    if len(factors) == 1 and not terms.held[product[0][0]].levels:
        return result[1:-2]
    return f"*{result}"


def _write(expression: Value, names: Mapping[str, str], used: set[str]) -> str:
    """Return the code of a checked expression, with parentheses around each operation.

    `names` has Python names by raw column; the operations' helpers are added to `used`.
    """
    if expression.kind == "symbol":
        used.add("number")
        return f"number({names[expression.symbol]})"
    if expression.kind != "language":
        return literal(float(expression.numbers[0]))
    if spread := scaling(expression):
        inner, centre, scale = spread
        return f"({_write(inner, names, used)} - {literal(centre)}) / {literal(scale)}"
    parts = [_write(part, names, used) for _, part in expression.arguments()]
    operation = expression.symbol
    if operation in ("(", "I"):
        return parts[0]
    if operation in ("+", "-") and len(parts) == 1:
        return f"({operation}{parts[0]})"
    if operation in ("+", "-", "*"):
        return f"({parts[0]} {operation} {parts[1]})"
    function = {"/": "divide", "^": "power"}.get(operation, operation)
    used.add(function)
    return f"{function}({', '.join(parts)})"
