"""A file of R's answers about a fitted object, used if R is not installed."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from harness.core.contract import Array
from harness.text.files import replace_whole
from harness.text.reading import read_regular
from reference.fitted.answers import Answers
from reference.r.topology import Topology
from reference.rds.fit import FittedNet
from reference.rds.rows import Rows
from reference.rds.stream import MOST_BYTES as MOST_OF_A_FIT

SCHEMA = "nnet-parity/fit/1"
LATER = ("classes", "lev", "labels", "is_multinom", "has_ones")  # which older files have not
# of a file of answers: those about 20,000 rows of 16 columns
MOST_BYTES, MOST_VALUES = 24 << 20, 1_000_000


class Stored(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of R's answers about a fitted object. Arrays are lists of rows, in which null stands
    for NaN.
    """

    schema: str
    date: str
    versions: dict[str, str]
    digest: str
    call: str
    topology: Topology
    wts: list[float]
    decay: list[float]
    value: float | None
    convergence: int
    is_formula: bool
    has_factors: bool
    columns: list[str]
    responses: list[str]
    prepare: str
    count: int
    rows: dict[str, list[float | str | None]]
    inputs: list[list[float | None]]
    predictions: list[list[float | None]]
    sizes: list[list[float | None]]
    seal: str = ""
    classes: list[str] = []
    lev: list[str] = []
    labels: list[str | None] = []
    is_multinom: bool = False
    has_ones: bool = False

    def fit(self) -> FittedNet:
        """Return the fitted object without the fitted rows."""
        none = np.zeros((0, self.topology.outputs))
        names = tuple(self.columns), tuple(self.responses)
        wts, decay = np.array(self.wts), np.array(self.decay)
        end = math.nan if self.value is None else self.value, self.convergence
        return FittedNet(
            *(
                self.topology,
                wts,
                decay,
                *end,
                *names,
                None,
                none,
                none,
                self.call,
                self.digest,
                {},
            ),
            classes=tuple(self.classes),
            lev=tuple(self.lev),
            is_multinom=self.is_multinom,
            has_ones=self.has_ones,
        )

    def answers(self) -> Answers:
        tables = _array(self.inputs), _array(self.predictions), _array(self.sizes)
        return Answers(*tables, tuple(self.labels))

    def user_rows(self) -> Rows:
        """Return the user's rows, without the drawn ones."""
        return self.all_rows().part(range(self.count))

    def all_rows(self) -> Rows:
        """Return the user's rows followed by the drawn ones."""
        columns: dict[str, Any] = {}
        for name, column in self.rows.items():
            texts = any(isinstance(value, str) for value in column)
            columns[name] = tuple(column) if texts else _array([column])[0]
        return Rows(columns)


def store(
    fit: FittedNet,
    rows: Rows,
    count: int,
    prepare: str,
    answers: Answers,
    versions: Mapping[str, str],
    date: str,
) -> Stored:
    """Return R's answers in the form of a file; the first `count` rows are the user's."""
    columns: dict[str, Any] = {}
    for name, column in rows.columns.items():
        columns[name] = list(column) if isinstance(column, tuple) else _list(column[None])[0]
    stored = Stored(
        SCHEMA,
        date,
        dict(versions),
        fit.digest,
        fit.call,
        fit.topology,
        fit.wts.tolist(),
        fit.decay.tolist(),
        None if math.isnan(fit.value) else fit.value,
        fit.convergence,
        fit.terms is not None,
        bool(fit.levels),
        list(fit.columns),
        list(fit.responses),
        prepare,
        count,
        columns,
        _list(answers.inputs),
        _list(answers.predictions),
        _list(answers.sizes),
        classes=list(fit.classes),
        lev=list(fit.lev),
        labels=list(answers.labels),
        is_multinom=fit.is_multinom,
        has_ones=fit.has_ones,
    )
    return sealed(stored)


def sealed(stored: Stored) -> Stored:
    """Return R's answers with a seal (a digest), which detects changes."""
    return msgspec.structs.replace(stored, seal=_seal(stored))


def write(path: Path, stored: Stored) -> None:
    """Write R's answers to a file, atomically. Raises ValueError if they are too many to be read
    again.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_whole({path: dump(stored)})


def dump(stored: Stored) -> str:
    """Return the text of a file of R's answers."""
    data = _without_defaults(stored) | {"seal": stored.seal}
    text = json.dumps(data, indent=None, separators=(", ", ": "))
    text = text.replace(", [", ",\n[") + "\n"
    try:
        _check_size(text.encode())
    except ValueError as error:
        raise ValueError(f"R's answers: the file {error}: give fewer rows") from None
    return text


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file. Raises ValueError if it is larger than any fitted object."""
    try:
        return sha256(read_regular(path, MOST_OF_A_FIT)).hexdigest()
    except ValueError as error:
        raise ValueError(f"{path} {error}") from None


def read(path: Path) -> Stored:
    """Read a file of R's answers. Raises ValueError, with its name, unless it is complete and
    valid.
    """
    name = os.path.relpath(path)
    try:
        content = read_regular(path, MOST_BYTES)
        _check_size(content)
    except OSError as error:
        raise ValueError(f"{name} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"{name} {error}: give R's answers about a fitted object") from None
    try:
        stored = msgspec.json.decode(content, type=Stored)
        if stored.schema != SCHEMA:
            raise ValueError(f"its schema is {stored.schema!r:.40}, expected {SCHEMA!r}")
        if stored.seal != _seal(stored):
            raise ValueError("its content is not what its seal says: it was cut or changed")
        _expect_lengths(stored)
    except (ValueError, msgspec.MsgspecError) as error:
        raise ValueError(
            f"{name} holds no answers of R that can be trusted ({error}): write it again with"
            " nnet-parity record or nnet-parity port"
        ) from None
    return stored


def _check_size(content: bytes) -> None:
    if len(content) > MOST_BYTES:
        raise ValueError(f"has {len(content):,} bytes, expected at most {MOST_BYTES:,}")
    values = content.count(b",") + content.count(b"[")
    if values > MOST_VALUES:
        raise ValueError(f"has {values:,} values, expected at most {MOST_VALUES:,}")


def _seal(stored: Stored) -> str:
    return sha256(msgspec.json.encode(_without_defaults(stored))).hexdigest()


def _without_defaults(stored: Stored) -> dict[str, Any]:
    """Return answers as data, without their seal, and without fields that have their default for
    fits of squares.
    """
    data: dict[str, Any] = msgspec.to_builtins(msgspec.structs.replace(stored, seal=""))
    for name in LATER:
        if not data[name]:
            del data[name]
    if stored.topology.error == "squares":
        data["topology"].pop("error", None)
    return data


def _expect_lengths(stored: Stored) -> None:
    net = stored.topology
    rows = len(next(iter(stored.rows.values()), []))
    widths = {"inputs": net.inputs, "predictions": net.outputs, "sizes": net.inputs}
    for name, width in widths.items():
        table: Sequence[Sequence[float | None]] = getattr(stored, name)
        if len(table) != rows or any(len(row) != width for row in table):
            raise ValueError(f"{name} has not {rows} rows of {width}")
    if len(stored.wts) != net.n_weights or len(stored.decay) != net.n_weights:
        raise ValueError(f"it has {len(stored.wts)} weights, expected {net.n_weights}")
    if stored.labels and len(stored.labels) != rows:
        raise ValueError(f"labels has not one of {rows} rows")
    if not 0 <= stored.count <= rows:
        raise ValueError(f"{stored.count} of its {rows} rows are the user's")


def _list(array: Array) -> list[list[float | None]]:
    return [[None if math.isnan(x) else x for x in row] for row in array.tolist()]


def _array(table: Sequence[Sequence[Any]]) -> Array:
    numbers = [[math.nan if x is None else float(x) for x in row] for row in table]
    return np.array(numbers, dtype=np.float64)
