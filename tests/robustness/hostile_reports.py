"""Reports: valid results.json, small and large, and attacks by them."""

from __future__ import annotations

import copy
import json
from functools import cache
from random import Random
from typing import Any

from harness.core.report import Report
from harness.reporting.results import MOST_BYTES, MOST_VALUES, parse, read
from tests.reporting.test_page import full
from tests.robustness.kind import Kind, Make

JSON = dict[str, Any]


@cache
def base() -> JSON:
    """A report with everything in it, and each field of each part."""
    whole: JSON = json.loads(json.dumps(parse(json.dumps(full()).encode()).record()))
    return whole


def record(report: JSON) -> str:
    """What is compared of a report: all of it but the findings, which reading adds."""
    verdicts = [{**verdict, "finding": None} for verdict in report["verdicts"]]
    return json.dumps({**report, "verdicts": verdicts}, sort_keys=True)


def describe(found: Report) -> str:
    """What is compared of a report that was read."""
    return record(json.loads(json.dumps(found.record())))


def make_valid(chance: Random) -> tuple[bytes, object]:
    """A report of one to 20,000 times the verdicts, in ASCII or UTF-8."""
    report = copy.deepcopy(base())
    report["verdicts"] *= chance.choice([1, 1, 1, 10, 100, 10_000 // len(report["verdicts"])])
    report["environment"]["platform"] = chance.choice(["Linux", "名前", "\U0001f600"])
    text = json.dumps(report, indent=1, ensure_ascii=chance.random() < 0.5)
    return text.encode(), record(report)


def placed(value: bytes, field: bytes = b'"environment": {"x": ') -> bytes:
    """A report that has this JSON among the facts of the machine."""
    text = json.dumps({**base(), "verdicts": []}).encode()
    return text.replace(b'"environment": {', field + value + b", ", 1)


def filled(value: bytes, least: float = 0.9, most: float = 4.0) -> Make:
    """A list of as many equal values as may be read, or more."""

    def make(valid: bytes, chance: Random) -> bytes:
        marks = 1 + sum(map(value.count, (b",", b"[", b"{")))
        count = int(MOST_VALUES * chance.uniform(least, most)) // marks
        return placed(b"[" + value * count + b"1]")

    return make


def long_text(first: bytes, letter: bytes = b"a") -> Make:
    """A text of as many bytes as may be read, after some letters that are wide."""

    def make(valid: bytes, chance: Random) -> bytes:
        count = int(MOST_BYTES * chance.choice([0.2, 0.45, 0.9, 0.99, 3])) // len(letter)
        return placed(b'"' + first + letter * count + b'"')

    return make


def verdicts(given: bytes) -> bytes:
    """A report of these verdicts."""
    return json.dumps({**base(), "verdicts": []}).encode().replace(
        b'"verdicts": []', b'"verdicts": [' + given + b"]"
    )  # fmt: skip


def failed(**given: Any) -> bytes:
    """A failed verdict as JSON."""
    names = ("id", "case", "subject", "reference", "source", "check", "device", "dtype")
    held = {**dict.fromkeys(names, ""), "status": "FAIL", "budget_used": 0, "why": ""}
    return json.dumps({**held, "expect": "equal", **given}, separators=(",", ":")).encode()


def many_names(valid: bytes, chance: Random) -> bytes:
    """An object of as many names as may be read."""
    names = range(chance.randint(1, 8) * 100_000)
    return placed(b"{" + b",".join(b'"%x":1' % number for number in names) + b"}")


def many_hints(valid: bytes, chance: Random) -> bytes:
    """A finding with as many hints as may be read, and a long text beside it."""
    hint = b'{"kind":"note","cause":""},'
    hints = hint * (int(MOST_VALUES * chance.uniform(0.5, 0.95)) // 3)
    finding = b'{"form":"reason","against":"' + b"a" * (17 << 20) + b'","hints":[' + hints
    return verdicts(failed(finding=0).replace(b'"finding":0', b'"finding":' + finding[:-1] + b"]}"))


def many_lines(valid: bytes, chance: Random) -> bytes:
    """A sentence of an older report that has as many lines as may be read."""
    return verdicts(failed(why="\nlikely: " * chance.randint(100_000, 2_000_000)))


def changed(change: Any) -> Make:
    """A report in which something is not as it must be."""

    def make(valid: bytes, chance: Random) -> bytes:
        report = copy.deepcopy(base())
        change(report, chance)
        return json.dumps(report).encode()

    return make


def set_of_verdict(name: str, *values: Any) -> Make:
    """A report in which each verdict says that it passed, and has one wrong field."""

    def change(report: JSON, chance: Random) -> None:
        for verdict in report["verdicts"]:
            verdict |= {"status": "PASS", "expect": "equal", "budget_used": 0.5}
            verdict[name] = chance.choice(values)

    return changed(change)


HOSTILE: dict[str, Make] = {
    "many numbers": filled(b"1.5,"),
    "many objects": filled(b'{"a":1},'),
    "many lists": filled(b"[],"),
    "many texts": filled(b'"\xc4\x81",'),
    "deep lists": lambda valid, chance: placed(b"[" * chance.randint(2_000, 800_000)),
    "deep objects": lambda valid, chance: placed(b'{"a":' * chance.randint(2_000, 800_000)),
    "a long text": long_text(b""),
    "a long wide text": long_text(b"\\ud83d\\ude00"),
    "a long text of UTF-8": long_text(b"\xf0\x9f\x98\x80"),
    "a long text of two bytes": long_text(b"\\u2013"),
    "a long text of escapes": long_text(b"", b"\\t"),
    "long numbers": lambda valid, chance: placed(
        b"[" + (b"1" * chance.randint(101, 4300) + b",") * 5_000 + b"1]"
    ),
    "a number of megabytes": lambda valid, chance: placed(b"1" * chance.randint(1 << 20, 24 << 20)),
    "not finite": lambda valid, chance: placed(
        chance.choice([b"NaN", b"-Infinity", b"1e999", b"1" * 400 + b".5"])
    ),
    "many names": many_names,
    "a name twice": lambda valid, chance: placed(b'1, "x": 2'),
    "many hints": many_hints,
    "many lines": many_lines,
    "many verdicts": lambda valid, chance: verdicts(
        b",".join([failed()] * chance.randint(50_000, 90_000))
    ),
    "another schema": changed(lambda report, chance: report.update(schema="x" * 1000)),
    "no verdicts": changed(lambda report, chance: report.pop("verdicts")),
    "a pass without a bound": set_of_verdict("budget_used", None, 1.1, 1e300, "0.5", -0.1, []),
    "a status that is none": set_of_verdict("status", "pass", "OK", 1, None, ["PASS"]),
    "an expectation that is none": set_of_verdict("expect", "", "any", None, 0),
    "other letters": lambda valid, chance: valid.decode().encode(
        chance.choice(["utf-16", "utf-32", "utf-8-sig"])
    ),
    "twice": lambda valid, chance: valid + valid,
    "a pickle": lambda valid, chance: b"\x80\x04cos\nsystem\n(X\x04\x00\x00\x00trueR.",
}  # fmt: skip
# what is said of the machine may be anything that can be read
READABLE = {name for name in HOSTILE if name.startswith(("many", "a long", "deep", "a number"))}
KIND = Kind(
    "results",
    "results.json",
    read,
    describe,
    make_valid,
    HOSTILE,
    frozenset({"bits changed", *READABLE}),
)
