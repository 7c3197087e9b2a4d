"""Rows of raw data, as in R's data.frame: columns by name, of numbers or of texts."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO, TextIOWrapper
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.core.contract import Array
from harness.text.reading import read_regular

# of a csv file: 90,000 rows of ten columns
MOST_BYTES, MOST_VALUES = 1 << 25, 1_000_000
MOST_NAMED, MOST_LETTERS = 20, 40  # of the names of its columns, in a sentence
NA = "NA"  # how R, and a csv that R wrote, spell a missing value
Column = Array | tuple[str | None, ...]


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of raw data: columns by name, all of one length.

    A column of numbers is an array (R,) of float64, in which NaN is a missing value. A column of
    texts is a tuple of R texts, in which None is a missing value. `written` are the texts of the
    columns that were read from a csv file.
    """

    columns: Mapping[str, Column]
    written: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    @classmethod
    def of(cls, given: object, names: Sequence[str] = ()) -> Rows:
        """Return the rows of a csv file, a pandas DataFrame, a dict of columns, or a matrix (R, K).

        The columns of a matrix have the given `names`, else x1, x2, and so on. Numbers keep every
        bit of float64. R counts rows. Raises ValueError, with a sentence, for anything else.
        """
        if isinstance(given, Rows):
            return given
        if isinstance(given, str | PathLike):
            return _read_csv(Path(fspath(given)))
        if isinstance(given, Mapping):
            table: Mapping[Any, Any] = given
        elif hasattr(given, "columns") and hasattr(given, "__getitem__"):
            table = {name: given[name] for name in given.columns}
        else:
            table = _of_matrix(given, names)
        columns = {str(name): _column(str(name), column) for name, column in table.items()}
        lengths = {name: len(column) for name, column in columns.items()}
        if len(set(lengths.values())) != 1 or not next(iter(lengths.values())):
            raise ValueError(f"the columns have the lengths {lengths}, expected one length, not 0")
        return cls(columns)

    def chosen(self, names: Sequence[str]) -> Rows:
        """Return a copy with only the columns of these names, in this order. Raises ValueError for
        a missing column.
        """
        if missing := [name for name in names if name not in self.columns]:
            plural = "s" * (len(missing) > 1)
            raise ValueError(
                f"the data have no column{plural} {list_names(missing)}, expected"
                f" {list_names(names)}; they have {list_names([*self.columns])}"
            )
        return replace(self, columns={name: self.columns[name] for name in names})

    @property
    def is_written(self) -> bool:
        """Were these rows read from a csv file?"""
        return bool(self.written)

    def texts_of(self, name: str) -> tuple[str | None, ...]:
        """Return a column of texts."""
        column = self.columns[name]
        assert isinstance(column, tuple)
        return column

    def settled(self, levels: Mapping[str, tuple[str, ...]]) -> Rows:
        """Return a copy of the rows in which a factor's column becomes texts, as written in the csv
        file, if its numbers are no levels but its texts are ("01").

        `levels` has the levels of each factor by its column. Numbers that are levels stay numbers.
        """
        columns = dict(self.columns)
        for name, known in levels.items():
            texts = self.written.get(name)
            held = {text for text in self.as_texts([name]).texts_of(name) if text is not None}
            if not held <= set(known) and texts is not None:
                columns[name] = texts
        return replace(self, columns=columns)

    def as_texts(self, names: Iterable[str]) -> Rows:
        """Return a copy of the rows in which these columns are texts; numbers are written as R
        writes them.
        """
        columns = dict(self.columns)
        for name in names:
            column = columns[name]
            if not isinstance(column, tuple):
                texts = [None if np.isnan(number) else f"{number:.15g}" for number in column]
                columns[name] = tuple(texts)
        return replace(self, columns=columns)

    def without(self, names: Iterable[object]) -> Rows:
        """Return a copy without the columns of these names."""
        dropped = [name for name in names if isinstance(name, str)]
        columns = {name: part for name, part in self.columns.items() if name not in dropped}
        return replace(self, columns=columns)

    @property
    def are_numbers(self) -> bool:
        """Are all columns numbers?"""
        return not any(isinstance(column, tuple) for column in self.columns.values())

    @property
    def are_missing(self) -> NDArray[np.bool_]:
        """A mask of the rows (R,) with a missing value."""
        missing = np.zeros(len(self), dtype=bool)
        for column in self.columns.values():
            if isinstance(column, tuple):
                missing |= [text is None for text in column]
            else:
                missing |= np.isnan(column)
        return missing

    def matrix(self) -> Array:
        """Return the columns of numbers joined to a matrix (R, K).

        R counts rows.
        """
        return np.stack([np.asarray(column) for column in self.columns.values()], axis=1)

    def lists(self) -> dict[str, Any]:
        """Return the columns as a dict: an array of numbers, or a list of texts."""
        columns: dict[str, Any] = {}
        for name, column in self.columns.items():
            columns[name] = list(column) if isinstance(column, tuple) else column.copy()
        return columns

    def equals(self, other: Rows) -> bool:
        """Do both have the same columns with the same values? NaN equals NaN."""
        if list(self.columns) != list(other.columns) or len(self) != len(other):
            return False
        for name, column in self.columns.items():
            there = other.columns[name]
            if isinstance(column, tuple) or isinstance(there, tuple):
                if column is not there and tuple(column) != tuple(there):
                    return False
            elif not np.array_equal(column, there, equal_nan=True):
                return False
        return True

    def part(self, places: Iterable[int]) -> Rows:
        """Return a copy with only the rows at these positions."""
        numbers = [int(place) for place in places]
        columns: dict[str, Column] = {}
        for name, column in self.columns.items():
            if isinstance(column, tuple):
                columns[name] = tuple(column[place] for place in numbers)
            else:
                columns[name] = column[numbers]
        return replace(self, columns=columns)

    def followed_by(self, other: Rows) -> Rows:
        """Return these rows followed by the other's, which has the same columns."""
        columns: dict[str, Column] = {}
        for name, column in self.columns.items():
            more = other.columns[name]
            if isinstance(column, tuple):
                columns[name] = (*column, *more)
            else:
                columns[name] = np.concatenate([column, np.asarray(more, dtype=np.float64)])
        return replace(self, columns=columns)


def _of_matrix(given: object, names: Sequence[str]) -> dict[str, Any]:
    matrix = np.asarray(given)
    if matrix.ndim == 1:
        matrix = matrix[:, None]
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise ValueError(
            f"the data have shape {matrix.shape}, expected (rows, columns), a csv file, a DataFrame"
            " or a dict of columns"
        )
    if len(names) != matrix.shape[1]:
        names = [f"x{number + 1}" for number in range(matrix.shape[1])]
    return {name: matrix[:, number] for number, name in enumerate(names)}


def _column(name: str, given: object) -> Column:
    """Return a column as float64, or as texts if any of its values is a text."""
    values = np.asarray(given)
    if values.ndim != 1:
        raise ValueError(f"column {name} has shape {values.shape}, expected one value a row")
    if values.dtype.kind in "fiu":
        return _freeze(values)
    if values.dtype.kind == "b":
        return tuple("TRUE" if value else "FALSE" for value in values.tolist())
    listed = [None if _is_missing(value) else value for value in values.tolist()]
    texts = [None if value is None else str(value) for value in listed]
    if any(isinstance(value, str) for value in listed):
        return tuple(texts)
    return _read_column(texts)


def is_number(text: str) -> bool:
    """Is a text a number?"""
    try:
        _to_number(text)
    except ValueError:
        return False
    return True


def _to_number(text: str) -> float:
    """Return the number that a text represents.

    Raises ValueError for 1_000 and for digits of other scripts, which are numbers to Python and
    texts to R.
    """
    if "_" in text or not text.isascii():
        raise ValueError(text)
    return float(text)


def _is_missing(value: object) -> bool:
    """Is this value None, NaN, or pandas' NA? These values, and no others, differ from themselves
    or have no truth value.
    """
    try:
        return value is None or bool(value != value)
    except TypeError:
        return True


def _freeze(values: NDArray[Any]) -> Array:
    column = np.array(values, dtype=np.float64)
    column.flags.writeable = False
    return column


def _read_column(texts: Sequence[str | None]) -> Column:
    """Return texts as numbers if all of them are numbers or missing."""
    try:
        return _freeze(np.array([np.nan if text is None else _to_number(text) for text in texts]))
    except ValueError:
        return tuple(texts)


def _read_csv(path: Path) -> Rows:
    """Read a csv file with a header line, as R's read.csv does."""
    names, lines = read_table(path)
    if "" in names:
        raise ValueError(
            f"{path}: column {names.index('') + 1} has no name, expected one: write.csv(...,"
            " row.names = FALSE) leaves R's row names out"
        )
    if len(set(names)) != len(names):
        raise ValueError(f"{path} has the columns {list_names(names)}, expected each once")
    columns, written = {}, {}
    for name, texts in zip(names, zip(*lines, strict=True), strict=True):
        written[name] = tuple(None if text in (NA, "") else text for text in texts)
        columns[name] = _read_column(written[name])
    return Rows(columns, written)


def read_table(path: Path) -> tuple[list[str], list[list[str]]]:
    """Return the names of the columns of a csv file, and its rows of texts.

    Raises ValueError, with the name of the file, if it is no such table.
    """
    content = _read(path)
    try:
        with TextIOWrapper(BytesIO(content), newline="", encoding="utf-8-sig") as file:
            names, *lines = [line for line in csv.reader(file) if line]
    except (ValueError, csv.Error) as error:
        raise ValueError(f"{path} is no csv file with a line of names: {error}") from None
    other = next((mark for mark in (";", "\t") if mark in names[0]), "")
    if other and len(names) == 1:
        raise ValueError(
            f"{path} is separated by {other!r}, expected commas and decimal points, as write.csv()"
            " writes them"
        )
    if not lines:
        raise ValueError(f"{path} has no rows, expected one at least")
    for number, line in enumerate(lines, 2):
        if len(line) != len(names):
            raise ValueError(
                f"{path}, line {number} has {len(line)} values, expected {len(names)}:"
                f" {list_names(names)}"
            )
    return names, lines


def _read(path: Path) -> bytes:
    """Return the bytes of a csv file. Raises ValueError if it is too large, or no file."""
    try:
        content = read_regular(path, MOST_BYTES)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"{path} {error}: give a csv file with a line of names") from None
    lines = content.count(b"\n") + content.count(b"\r") - content.count(b"\r\n")
    values = content.count(b",") + 2 * lines  # a row takes memory too
    if values > MOST_VALUES:
        raise ValueError(
            f"{path} has {values:,} values, expected at most {MOST_VALUES:,}: give some of its rows"
        )
    return content


def split_names(text: str) -> list[str]:
    """Return the names in the text of an option: A,B or "A, first",B."""
    return [name.strip() for name in next(csv.reader([text], skipinitialspace=True), [])]


def list_names(names: Sequence[str]) -> str:
    """Return the first names of columns, as a text."""
    first = [name[:MOST_LETTERS] for name in names[:MOST_NAMED]]
    if len(names) > MOST_NAMED:
        first.append(f"{len(names) - MOST_NAMED} more")
    return ", ".join(first)
