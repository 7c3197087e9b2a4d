"""A value of R as data: numbers, texts, names and calls; nothing is evaluated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from harness.core.contract import Array

NUMBERS = ("logical", "integer", "double")
NONE = np.zeros(0)
# of an object of nnet(): these are read, as in fitted.R
FIELDS = (
    *("n", "nunits", "nconn", "conn", "nsunits", "decay", "entropy", "softmax", "censored"),
    *("value", "wts", "convergence", "fitted.values", "residuals", "lev", "lab", "call", "terms"),
    *("coefnames", "contrasts", "xlevels", "deviance", "AIC"),
)


@dataclass(frozen=True, eq=False)
class Value:
    """A value of R.

    `kind` is R's typeof(). A logical, integer or double has `numbers`, flat and in R's order, with
    NaN for NA. A character has `texts`, with None for NA; a symbol has one text. A list or a call
    ("language") has `parts`; the first part of a call is its function. A value of any other kind
    has none of these. `attributes` are R's, without "row.names".
    """

    kind: str
    numbers: Array = field(default_factory=lambda: NONE)
    texts: tuple[str | None, ...] = ()
    parts: tuple[Value, ...] = ()
    attributes: Mapping[str, Value] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.numbers) + len(self.texts) + len(self.parts)

    @property
    def names(self) -> tuple[str, ...]:
        """The name of each part or element; empty texts if it has no names."""
        texts = self.attributes["names"].texts if "names" in self.attributes else ()
        return tuple(text or "" for text in texts) or ("",) * len(self)

    @property
    def symbol(self) -> str:
        """The name of a symbol, or of a call's function; else an empty text."""
        value = self.parts[0] if self.kind == "language" and self.parts else self
        return value.texts[0] or "" if value.kind == "symbol" else ""

    def named(self) -> dict[str, Value]:
        """Return the parts of a list by their names."""
        if self.kind != "list":
            return {}
        return dict(zip(self.names, self.parts, strict=False))

    def elements(self) -> dict[str, str]:
        """Return the texts of a named character vector by their names."""
        return {name: text or "" for name, text in zip(self.names, self.texts, strict=False)}

    def arguments(self) -> Iterator[tuple[str, Value]]:
        """Yield the arguments of a call, each with its name or an empty text."""
        yield from zip(self.names[1:], self.parts[1:], strict=False)

    def matrix(self) -> Array:
        """Return the numbers of an R matrix (rows, columns); a vector becomes one column."""
        shape = [int(length) for length in self.attribute("dim").numbers]
        if len(shape) != 2 or min(shape) < 0 or shape[0] * shape[1] != len(self.numbers):
            return self.numbers[:, None]
        return np.ascontiguousarray(self.numbers.reshape(shape[1], shape[0]).T)

    def attribute(self, name: str) -> Value:
        """Return an attribute; NULL if there is none."""
        return self.attributes.get(name, NULL)

    def dimension_names(self, axis: int) -> tuple[str, ...]:
        """Return the names of the rows (0) or columns (1) of a matrix; empty if it has none."""
        names = self.attribute("dimnames").parts
        return tuple(text or "" for text in names[axis].texts) if len(names) > axis else ()


NULL = Value("NULL")


def decode(given: Sequence[Any]) -> Value:
    """Return the value for the nested lists of `encode` in fitted.R."""
    kind, numbers, texts, missing, parts, names, attributes = given
    shown: list[str | None] = []
    for text, is_missing in zip(texts, missing, strict=True):
        shown.append(None if is_missing else str(text))
    decoded = {str(name): decode(each) for name, each in zip(names, attributes, strict=True)}
    array = np.asarray(numbers, np.float64)
    array.flags.writeable = False
    return Value(str(kind[0]), array, tuple(shown), tuple(map(decode, parts)), decoded)
