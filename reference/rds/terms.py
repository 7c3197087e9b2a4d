"""The right side of a formula without R: computes the columns of the inputs from raw columns.

Terms are read from the object's own terms, levels and contrasts. An expression is data: a table of
operations computes it, and nothing is evaluated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from harness.core.contract import Array
from harness.text.harmless import one_line, shown
from reference.rds.contrasts import read_contrasts
from reference.rds.deparse import deparse, number_text
from reference.rds.expressions import WAY_OUT, check, compute, names_in
from reference.rds.fit import Unsupported
from reference.rds.rows import Column, Rows
from reference.rds.values import NULL, Value

LOGICAL = ("FALSE", "TRUE")
SPELLINGS = {"T": "TRUE", "true": "TRUE", "True": "TRUE", "F": "FALSE", "false": "FALSE"}
SPELLINGS["False"] = "FALSE"
FACTORS = ("factor", "ordered", "character")


@dataclass(frozen=True, eq=False)
class Variable:
    """A variable of a formula: an expression in raw columns, or a factor.

    A factor has `levels`, `contrasts` (levels, columns), and the suffix of each column's name.
    """

    name: str
    expression: Value
    levels: tuple[str, ...] = ()
    contrasts: Array | None = None
    suffixes: tuple[str, ...] = ()

    def coding(self, in_full: bool) -> tuple[Array, tuple[str, ...]]:
        """Return the numbers (levels, columns) by which a factor's levels enter the inputs, and the
        suffix of each column's name.

        With `in_full` each level has a column of its own; else the columns are the contrasts.
        """
        assert self.contrasts is not None
        if in_full:
            return np.eye(len(self.levels)), self.levels
        return self.contrasts, self.suffixes


@dataclass(frozen=True, eq=False)
class FormulaTerms:
    """The terms of a formula that are supported without R, or the reason why they are not.

    Each of `products` is a term: the numbers of its variables, each with True if its factor is
    coded in full. `refused` is the reason as a sentence, else "". If there is a reason,
    `told_levels` are the levels that the object states.
    """

    variables: tuple[str, ...]
    held: tuple[Variable, ...] = ()
    products: tuple[tuple[tuple[int, bool], ...], ...] = ()
    refused: str = ""
    told_levels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @cached_property
    def levels(self) -> dict[str, tuple[str, ...]]:
        """The levels of each raw column that is a factor, a text or a logical."""
        levels = dict(self.told_levels)
        for variable in self.held:
            if variable.levels:
                levels[names_in(variable.expression)[0]] = variable.levels
        return levels

    def columns(self, rows: Rows) -> Array:
        """Return the inputs (R, I), as R's model.matrix computes them without the intercept.

        A row with a missing value becomes a row of NaN. R counts rows and I inputs. Raises
        Unsupported if a term is not supported, and ValueError for an unknown level, a missing
        column, and texts instead of numbers.
        """
        if self.refused:
            raise Unsupported(self.refused)
        raw = rows.chosen(self.variables)
        numbers = {}
        for name, column in raw.columns.items():
            if name not in self.levels:
                numbers[name] = _as_numbers(name, column)
        values, missing = [], np.zeros(len(rows), dtype=bool)
        for variable in self.held:
            if variable.levels:
                name = names_in(variable.expression)[0]
                value: Array = _as_codes(name, raw.columns[name], variable.levels)
            else:
                value = compute(variable.expression, numbers, len(rows))
            values.append(value)
            missing |= np.isnan(value)
        parts = [self._product(product, values) for product in self.products]
        inputs = np.hstack(parts)
        inputs[missing] = np.nan
        return inputs

    def _product(self, product: Sequence[tuple[int, bool]], values: Sequence[Array]) -> Array:
        """Return the columns of a term of the formula, for all rows: products of the columns of its
        variables. Those of its first variable change fastest.

        `product` has the term's variables as (number, coded in full), `values` the values of all
        variables.
        """
        result = np.ones((len(values[0]), 1))
        for place, in_full in product:
            variable, value = self.held[place], values[place]
            columns = value[:, None]
            if variable.levels:
                coding, _ = variable.coding(in_full)
                columns = coding[np.nan_to_num(value).astype(int)]
            result = (columns[:, :, None] * result[:, None, :]).reshape(len(value), -1)
        return result

    def names(self) -> list[str]:
        """Return the names of the inputs, as in model.matrix."""
        found = []
        for product in self.products:
            names = [""]
            for place, in_full in product:
                variable = self.held[place]
                suffixes = variable.coding(in_full)[1] if variable.levels else ("",)
                own = [variable.name + suffix for suffix in suffixes]
                names = [f"{name}:{one}" if name else one for one in own for name in names]
            found += names
        return found


def read_terms(
    terms: Value, xlevels: Value, contrasts: Value, columns: Sequence[str]
) -> FormulaTerms:
    """Return the right side of the formula in an object of nnet().

    `columns` are the names of the net's inputs. If terms are not supported without R, the result
    has the reason in `refused`. Raises ValueError if the object's parts do not fit together.
    """
    response = terms.attribute("response").numbers
    expressions = terms.attribute("predvars").parts or terms.attribute("variables").parts
    names = terms.attribute("factors").dimension_names(0)
    if terms.kind != "language" or len(expressions) != len(names) + 1 or len(response) != 1:
        raise ValueError("its terms do not name their variables")
    predictors = []
    for place, (name, expression) in enumerate(zip(names, expressions[1:], strict=True), 1):
        if place != response[0]:
            predictors.append((one_line(name), expression))
    raw: dict[str, None] = {}
    for _, expression in predictors:
        raw.update(dict.fromkeys(map(one_line, names_in(expression))))
    variables = tuple(raw)
    try:
        return _read_supported(
            terms, xlevels.named(), contrasts.named(), columns, predictors, variables
        )
    except Unsupported as error:
        stated_levels = {}
        for name, expression in predictors:
            texts = xlevels.named().get(name, NULL).texts
            if texts and (column := _levelled_column(expression)):
                stated_levels[column] = tuple(map(str, texts))
        return FormulaTerms(variables, refused=str(error), told_levels=stated_levels)


def _levelled_column(expression: Value) -> str:
    """Return the raw column whose texts are a variable's levels, as of `site`, `factor(site)` or
    `relevel(site, "east")`; "" for an expression that computes others, as `cut(age, 3)`.
    """
    if expression.kind == "symbol":
        return expression.symbol
    is_kept = expression.symbol in ("factor", "as.factor") and len(expression.parts) == 2
    if is_kept or expression.symbol == "relevel":
        return expression.parts[1].symbol if expression.parts[1].kind == "symbol" else ""
    return ""


def _read_supported(
    terms: Value,
    levels: dict[str, Value],
    contrasts: dict[str, Value],
    columns: Sequence[str],
    predictors: Sequence[tuple[str, Value]],
    variables: tuple[str, ...],
) -> FormulaTerms:
    """Return the terms. Raises Unsupported, which names the term, if one is not supported."""
    if len(terms.attribute("offset")):
        raise Unsupported(f"the formula has an offset, which is not supported; {WAY_OUT}")
    classes = terms.attribute("dataClasses").elements()
    variables_read = []
    for name, expression in predictors:
        # a name that is none in R stands in backticks in the formula, and not in its lists
        key = expression.symbol if expression.kind == "symbol" else name
        parts = (classes.get(key, ""), levels.get(key, NULL), contrasts.get(key, NULL))
        variables_read.append(_read_variable(name, expression, *parts))
    if terms.attribute("intercept").numbers[:1] != 1 and any(one.levels for one in variables_read):
        raise Unsupported(f"`- 1` beside a factor is not supported; {WAY_OUT}")
    pattern = np.delete(
        terms.attribute("factors").matrix(), int(terms.attribute("response").numbers[0]) - 1, axis=0
    )
    products = []
    for column in pattern.T:
        places = np.flatnonzero(column)
        products.append(tuple((int(place), bool(column[place] == 2)) for place in places))
    formula_terms = FormulaTerms(variables, tuple(variables_read), tuple(products))
    if formula_terms.names() != list(columns):
        raise Unsupported(
            f"the formula {deparse(terms)[:80]} makes other columns than the fit has; {WAY_OUT}"
        )
    return formula_terms


def _read_variable(
    name: str,
    expression: Value,
    kind: str,
    levels: Value,
    contrasts: Value,
) -> Variable:
    """Return a variable of the formula, with its class, levels and contrasts from the object."""
    if kind == "logical" or kind in FACTORS:
        known = LOGICAL if kind == "logical" else tuple(map(str, levels.texts))
        if expression.symbol in ("factor", "as.factor") and len(expression.parts) == 2:
            expression = expression.parts[1]
        if expression.kind != "symbol":
            raise Unsupported(f"the term {deparse(expression)} is not supported; {WAY_OUT}")
        if contrasts.kind == "NULL" or len(known) < 2:
            raise ValueError(f"it holds no levels and contrasts of {name}")
        matrix, suffixes = read_contrasts(name, contrasts, known)
        return Variable(name, expression, known, matrix, tuple(map(one_line, suffixes)))
    if kind not in ("numeric", "nmatrix.1"):
        raise Unsupported(f"the term {name[:60]} is of class {kind}: not supported; {WAY_OUT}")
    check(expression)
    return Variable(name, expression)


def _as_numbers(name: str, column: Column) -> Array:
    if isinstance(column, tuple):
        text = next(text for text in column if text is not None)
        raise ValueError(f"column {name} holds {shown(text, 40)}, expected numbers")
    return column


def _as_codes(name: str, column: Column, levels: tuple[str, ...]) -> Array:
    """Return the number of each row's level in a column, as a float: NaN if it is missing."""
    texts: list[str | None] = []
    if isinstance(column, tuple):
        texts += column
    else:
        texts += [None if np.isnan(one) else number_text(one) for one in column.tolist()]
    if levels == LOGICAL:
        texts = [SPELLINGS.get(text or "", text) for text in texts]
    places = {level: float(place) for place, level in enumerate(levels)}
    for text in texts:
        if text is not None and text not in places:
            raise ValueError(
                f"column {name} holds the level {shown(text, 40)}, which the fit does not know;"
                f" known are {', '.join(levels)}"
            )
    return np.array([np.nan if text is None else places[text] for text in texts])
