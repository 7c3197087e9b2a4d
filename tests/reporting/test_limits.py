"""Reports of 30,000 trials are read; what would take much time or memory is refused before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.reporting import results
from harness.reporting.results import parse, read
from harness.reporting.selfcheck_result import read_beside
from tests.conftest import Approved
from tests.reporting.test_page import small

JSON = dict[str, Any]
HOSTILE: dict[str, Any] = {
    "many values": [1] * 900_000,
    "many lines": "\n" * 900_000,
    "wide letters": "\U0001f600" + "a" * (7 << 20),
    "letters of two bytes": "\u2013" + "a" * (13 << 20),
    "long numbers": 10**200,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_would_fill_the_memory_is_refused(
    name: str, tmp_path: Path, approved: Approved
) -> None:
    """In any place, here among the facts of the machine."""
    path = tmp_path / "results.json"
    path.write_text(json.dumps(small(environment={"x": HOSTILE[name]})))
    with approved.raises(ValueError):
        read(path)


def test_wide_letters_are_seen_as_such_or_escaped() -> None:
    """A report may be written in ASCII or in UTF-8: both are refused, and none that is short."""
    letters = "\U0001f600" + "a" * (results.MOST_BYTES // 4)
    for is_ascii in (True, False):
        long = json.dumps(small(environment={"x": letters}), ensure_ascii=is_ascii).encode()
        with pytest.raises(ValueError, match="letters of up to 4 bytes"):
            parse(long)
        short = json.dumps(small(environment={"x": letters[:1000]}), ensure_ascii=is_ascii)
        assert parse(short.encode()).environment["x"] == letters[:1000]


def test_thirty_thousand_trials_are_read(tmp_path: Path) -> None:
    """Each as long as a trial of our own cases, which say 700 bytes and 29 values."""
    report: JSON = small()
    verdict = dict(report["verdicts"][0])
    verdict["question"] = "q" * (700 - len(json.dumps(verdict, indent=1)))
    report["verdicts"] = [verdict] * 30_000
    data = json.dumps(report, indent=1).encode()
    assert len(data) > 30_000 * 700
    assert len(parse(data).verdicts) == 30_000


def test_a_selfcheck_larger_than_any_is_not_read(tmp_path: Path, approved: Approved) -> None:
    """Beside a report that is whole."""
    (tmp_path / "selfcheck.json").write_bytes(bytes(1 << 21))
    trust = read_beside(tmp_path / "report", "unknown")
    assert trust is not None
    approved(trust.note)
