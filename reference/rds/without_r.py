"""Reads an R object from a file without R, by the package rdata, whose parser evaluates nothing.

rdata decodes the bytes into a tree of values. Only its parser is used, with additional limits.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from harness.core.contract import Array
from reference.rds.fit import Unsupported
from reference.rds.stream import SMALLER
from reference.rds.values import FIELDS, NONE, NULL, Value

# A value takes some 9 microseconds and 350 bytes, a NULL or a text half of it. So many texts name
# the rows of the fitted values and residuals of 100,000 rows.
MOST_OBJECTS, COST = 200_000, 2
MOST_LINES = 1_200_000  # of a file that saveRDS(ascii = TRUE) wrote, a number each
MOST_DEEP = 20_000  # frames of Python: a list of R's takes two an element
NAMES = {
    "NIL": "NULL",
    "NILVALUE": "NULL",
    "SYM": "symbol",
    "LANG": "language",
    "LGL": "logical",
    "INT": "integer",
    "REAL": "double",
    "STR": "character",
    "VEC": "list",
    "LIST": "pairlist",
    "MISSINGARG": "symbol",
    "CLO": "closure",
    "PROM": "promise",
    "CPLX": "complex",
    "EXPR": "expression",
    "BCODE": "bytecode",
    "EXTPTR": "externalptr",
    **dict.fromkeys(("ENV", "GLOBALENV", "BASEENV", "EMPTYENV", "NAMESPACE"), "environment"),
}
# Codes of serialize.c that rdata does not know, and the code of a value that is written alike: an
# unbound value (of a promise that was never forced) as NULL, the namespace of base as base, an
# attached package as a namespace.
NULL_CODE, TEXT_CODE, HAS_MORE = 254, 9, 0x600  # attributes or a tag
UNKNOWN_CODES = {252: 254, 247: 241, 250: 249}
PLAIN = ("NULL", "symbol", "language", "logical", "integer", "double", "character", "list")
LATIN1 = 4  # CharFlags of rdata
SEQUENCES = (b"compact_intseq", b"compact_realseq")


class TooMuch(ValueError):
    """Raised if a file claims to hold more than it can, or more than is allowed."""


def parse(content: bytes) -> Any:
    """Return rdata's tree of a decompressed file.

    Raises Unsupported if rdata is not installed, ValueError if the content is damaged or too large.
    """
    try:
        from rdata.parser import DEFAULT_ALTREP_MAP
        from rdata.parser._ascii import ParserASCII
        from rdata.parser._binary import ParserBinary
        from rdata.parser._parser import RObject, parse_r_object_info
        from rdata.parser._xdr import ParserXDR
    except ImportError:
        raise Unsupported(
            'reading a fit without R takes the package rdata: pip install "nnet-parity[rds]"'
        ) from None
    starts = {b"X\n": ParserXDR, b"A\n": ParserASCII, b"A\r\n": ParserASCII, b"B\n": ParserBinary}
    start = next(start for start in starts if content.startswith(start))
    if (
        start.startswith(b"A")
        and (lines := content.count(b"\n") + content.count(b"\r")) > MOST_LINES
    ):
        raise ValueError(f"it holds {lines:,} lines, expected at most {MOST_LINES:,}")
    constructors = dict(DEFAULT_ALTREP_MAP)
    constructors[b"wrap_list"] = constructors[b"wrap_real"]
    sequences = _Sequences()
    for name in SEQUENCES:
        constructors[name] = sequences.limit(constructors[name])
    limited: Any = type("Limited", (_Limits, starts[start]), {"make_object": RObject})
    parser = limited(
        memoryview(content)[len(start) :],
        expand_altrep=True,
        altrep_constructor_dict=constructors,
    )
    parser.size, parser.read_info = len(content), lru_cache(parse_r_object_info)
    depth = sys.getrecursionlimit()
    sys.setrecursionlimit(max(depth, MOST_DEEP))
    try:
        return parser.parse_all().object
    except (KeyboardInterrupt, SystemExit):
        raise
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except TooMuch:
        raise
    except Exception:  # of many kinds, for bytes that mean nothing
        raise ValueError("it is cut or damaged") from None
    finally:
        sys.setrecursionlimit(depth)


class _Sequences:
    """Counts the numbers of all sequences like 1:n, which a file stores as their lengths only."""

    def __init__(self) -> None:
        self.numbers = 0.0

    def limit(self, constructor: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Return a version of rdata's `constructor` of sequences that refuses a long one, or too
        many.
        """

        def construct(state: Any) -> Any:
            length = state.value[0]
            self.numbers += abs(length)
            if not (length >= 0 and self.numbers <= MOST_OBJECTS):
                raise TooMuch(f"a sequence has the length {length:g}")
            return constructor(state)

        return construct


class _Limits:
    """Makes a parser of rdata refuse lengths beyond the file's size, and too many values.

    It is a mixin before the parser's class. It creates texts and NULLs itself, twice as fast.
    """

    size = objects = 0
    read_before: int | None = None
    make_object: Any
    read_info: Any

    def parse_R_object(
        self, references: Any = None, repeated: Any = None, info_int: int | None = None
    ) -> Any:
        self.objects += 1
        if info_int is None:
            code = self.parse_int()
            if code == NULL_CODE or (code & 0xFF == TEXT_CODE and not code & HAS_MORE):
                return self._make_plain(code)
            self.read_before = UNKNOWN_CODES.get(code, code)
        self.objects += COST - 1
        self._check_count()
        parser: Any = super()
        return parser.parse_R_object(references, repeated, info_int)

    def _make_plain(self, code: int) -> Any:
        """Return a NULL or a text without attributes."""
        self._check_count()
        text = None
        if code != NULL_CODE and (length := self.parse_int()) != -1:
            text = self.parse_string(length)
        return self.make_object(self.read_info(code), text, None)

    def _check_count(self) -> None:
        if self.objects > MOST_OBJECTS:
            raise TooMuch(f"it holds more than {MOST_OBJECTS:,} values; {SMALLER}")

    def parse_int(self) -> int:
        parser: Any = super()
        if self.read_before is None:
            return int(parser.parse_int())
        code, self.read_before = self.read_before, None
        return code

    def _parse_array_values(self, dtype: Any, length: int) -> Any:
        _check_length(length, self.size)
        parser: Any = super()
        return parser._parse_array_values(dtype, length)

    def parse_string(self, length: int) -> Any:
        _check_length(length, self.size)
        parser: Any = super()
        return parser.parse_string(length)

    def _parse_bytecode(self, references: Any, repeated: Any = None) -> Any:
        if repeated is None:
            count = self.parse_int()
            _check_length(count, self.size)
            repeated = [None] * count
        parser: Any = super()
        return parser._parse_bytecode(references, repeated)


def _check_length(length: int, size: int) -> None:
    if not 0 <= length <= size:
        raise TooMuch(f"something has the length {length}, in a file of {size} bytes")


def describe(thing: Any) -> Value:
    """Return a value of rdata's tree; for a list at the top, only nnet's fields (see read_fit in
    fitted.R).
    """
    kind = _kind(thing)
    if kind != "list":
        return Value(kind)
    attributes = dict(_attributes(thing))
    names = _value(attributes["names"]).texts if "names" in attributes else ()
    fields = [place for place, name in enumerate(names) if name in FIELDS]
    held = {
        "names": Value("character", texts=tuple(names[place] for place in fields)),
        "class": _value(attributes["class"]) if "class" in attributes else NULL,
        "all names": Value("character", texts=names),
    }
    return Value(kind, parts=tuple(_value(thing.value[place]) for place in fields), attributes=held)


def _value(thing: Any) -> Value:
    """Return a value of rdata's tree with its attributes. R's environments are left out."""
    while thing.referenced_object is not None:
        thing = thing.referenced_object
    kind = _kind(thing)
    if kind not in PLAIN:
        return Value(kind)
    attributes = {}
    for name, each in _attributes(thing):
        if name != "row.names":
            attributes[name] = _value(each)
    if kind == "symbol":
        return Value(kind, texts=(_text(thing.value) if thing.value is not None else "",))
    if kind == "language":
        parts = list(_walk(thing))
        if any(name for name, _ in parts):
            texts = tuple(name for name, _ in parts)
            attributes["names"] = Value("character", texts=texts)
        return Value(kind, parts=tuple(_value(part) for _, part in parts), attributes=attributes)
    if kind == "list":
        return Value(kind, parts=tuple(map(_value, thing.value)), attributes=attributes)
    if kind == "character":
        return Value(kind, texts=tuple(map(_text, thing.value)), attributes=attributes)
    return Value(kind, _numbers(thing.value), attributes=attributes)


def _kind(thing: Any) -> str:
    while thing.referenced_object is not None:
        thing = thing.referenced_object
    name = str(thing.info.type.name)
    return NAMES.get(name, name.lower())


def _walk(thing: Any) -> Iterator[tuple[str, Any]]:
    """Yield the elements of a pairlist or a call, each with its name or an empty text."""
    while _kind(thing) in ("pairlist", "language"):
        tag = thing.tag
        name = _value(tag).texts[0] if tag is not None and _kind(tag) == "symbol" else ""
        yield name or "", thing.value[0]
        thing = thing.value[1]


def _attributes(thing: Any) -> Iterator[tuple[str, Any]]:
    if thing.attributes is not None:
        yield from _walk(thing.attributes)


def _text(thing: Any) -> str | None:
    """Return a text of R; a byte that is not UTF-8 becomes its number, as "<ff>"."""
    if thing.value is None:
        return None
    if thing.info.gp & LATIN1:
        return str(thing.value.decode("latin-1"))
    text = thing.value.decode("utf-8", errors="surrogateescape")
    return re.sub(r"[\udc80-\udcff]", lambda found: f"<{ord(found[0]) - 0xDC00:02x}>", text)


def _numbers(given: Any) -> Array:
    """Return numbers as float64, NaN for R's NA."""
    if given is None:
        return NONE
    array = np.array(np.ma.getdata(given), dtype=np.float64)
    array[np.ma.getmaskarray(given)] = np.nan
    array.flags.writeable = False
    return array
