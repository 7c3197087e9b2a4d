"""What the selfcheck said is shown beside a report, whole or with one line that says why not."""

import json
import math
import os
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.core.report import Report
from harness.publishing.beside import Beside
from harness.publishing.markdown import markdown
from harness.publishing.page import main
from harness.publishing.page import page as page_of
from harness.publishing.writing import write
from harness.reporting.results import parse
from harness.reporting.selfcheck_result import Rule, Selfcheck, read_beside
from nnet_parity.report_folder import exchange
from tests.conftest import Approved
from tests.reporting.test_hostile import NAMES, expect_harmless_markdown, expect_harmless_page
from tests.reporting.test_page import Elements, small
from tests.selfcheck import chart

COMMIT = "0123456789ab"
PICTURE = re.compile(r"!\[[\w ,]+\]\(\.\./selfcheck\.svg\)\n")
RATES = {
    "1e-13 float64": 0.5,
    "1e-01 float64": 1.0,
    "1e-05 float32": 0.25,
    "1e-01 float32": 1,
    "structural float64": 1,
}
JSON = dict[str, Any]


def found(**given: Any) -> JSON:
    """What a selfcheck wrote, as far as a report looks at it."""
    rules = [
        {"rule": name, "false_alarm_rate": rate, "catch_rate": RATES}
        for name, rate in (("nnet-parity", 0.0), ("allclose", 0.1), ("four_ulp", 0.42))
    ]
    what = {
        "date": "2026-11-27T12:00:00+00:00",
        "commit": COMMIT,
        "summary": ["0 false alarms in 9", "7 of 7 caught"],
    }
    return {**what, "rules": rules, "false_alarms": 0} | given


def report(**given: Any) -> Report:
    """A small one, of that commit."""
    here = {"date": "2026-11-28", "commit": COMMIT}
    return parse(json.dumps(small(environment=here, **given)).encode())


def read_of(tmp_path: Path, written: Any, commit: str = COMMIT) -> Selfcheck:
    """What is read of a file that holds this, beside a folder of a report."""
    text = written if isinstance(written, str) else json.dumps(written)
    (tmp_path / "selfcheck.json").write_text(text)
    trust = read_beside(tmp_path / "report", commit)
    assert trust is not None
    return trust


def test_where_none_was_measured_nothing_is_said(tmp_path: Path) -> None:
    """No file, no section."""
    assert read_beside(tmp_path / "report", COMMIT) is None
    assert "trust" not in Elements(page_of(report())).parts
    assert not PICTURE.search(markdown(report()))


def test_a_report_shows_what_was_measured(tmp_path: Path, approved: Approved) -> None:
    """Its sentences, its date and commit, and the figure with what each rule flags of what is
    right.
    """
    trust = read_of(tmp_path, found())
    assert trust.note == ""
    shown = Elements(page_of(report(), Beside(trust=trust)))
    approved([*filter(re.compile("[a-z]{2}").search, shown.part("trust")), shown.labels[-1]])
    assert all(each in shown.text for each in (trust.date, trust.commit, *trust.summary))


def test_the_markdown_shows_it_too(tmp_path: Path, approved: Approved) -> None:
    """The picture lies beside the folder of the report."""
    trust = read_of(tmp_path, found())
    (shown,) = filter(PICTURE.search, markdown(report(), Beside(trust=trust)).split("\n## "))
    approved(shown)
    assert trust.date in shown


def test_a_selfcheck_of_another_commit_is_told_in_one_line(
    tmp_path: Path, approved: Approved
) -> None:
    """And still shown; where nobody knows what the report is of, nothing is said."""
    stale = read_of(tmp_path, found(), commit="ffff")
    approved(stale.note)
    assert stale.note in Elements(page_of(report(), Beside(trust=stale))).text
    assert stale.note in markdown(report(), Beside(trust=stale))
    assert read_of(tmp_path, found(), commit="unknown").note == ""


DAMAGED = {
    "nothing": "",
    "half of it": "[1, 2",
    "deep": "[" * 100_000,
    "a list": "[]",
    "NaN": json.dumps(found()).replace("0.42", "NaN"),
    "a name twice": json.dumps(found())[:-1] + ', "date": "twice"}',
    "no commit": {"date": "2026"},
    "a long line": found(summary=["x" * 301]),
    "many lines": found(summary=["x"] * 51),
    "no rules": found(rules=[]),
    "a rate above 1": found(rules=[{"rule": "a", "false_alarm_rate": 2, "catch_rate": {}}]),
    "a formula": found(
        rules=[{"rule": "a", "false_alarm_rate": 0, "catch_rate": {"$x$ float64": 1}}]
    ),
    "a rate below 0": found(
        rules=[{"rule": "a", "false_alarm_rate": 0, "catch_rate": {"1e-05 float64": -1}}]
    ),
}


@pytest.mark.parametrize("how", DAMAGED)
def test_a_damaged_file_is_told_in_one_line(tmp_path: Path, how: str, approved: Approved) -> None:
    """And nothing of it is shown; the report is whole all the same."""
    trust = read_of(tmp_path, DAMAGED[how])
    assert trust == Selfcheck("", "", (), (), note=trust.note)
    approved(trust.note)
    assert "\n" not in trust.note
    assert len(trust.note) < 400
    write(report(), tmp_path / "report", exchange)
    assert f"- {trust.note}\n" in (tmp_path / "report" / "report.md").read_text().replace("\\", "")
    assert trust.note in Elements((tmp_path / "report" / "index.html").read_text()).part("trust")


def test_what_is_no_file_is_not_read(tmp_path: Path, approved: Approved) -> None:
    """A pipe would be waited for."""
    os.mkfifo(tmp_path / "selfcheck.json")
    trust = read_beside(tmp_path / "report", COMMIT)
    assert trust is not None
    approved(trust.note)


def test_its_words_are_only_words(tmp_path: Path) -> None:
    """A file that somebody else has written drives nothing: hostile names in every place, all at
    once.
    """
    names = [name[:300] for name in NAMES if name]
    for some in (names[start : start + 16] for start in range(0, len(names), 16)):
        written = found(date=some[0], commit=some[1], summary=some)
        written["rules"] = [written["rules"][0] | {"rule": name} for name in some]
        trust = read_of(tmp_path, written)
        assert trust.summary == some
        expect_harmless_markdown(PICTURE.sub("", markdown(report(), Beside(trust=trust)), count=1))
        expect_harmless_page(page_of(report(), Beside(trust=trust)))
        ElementTree.fromstring(chart.drawn(written))


def test_the_page_made_of_a_file_has_it_too(tmp_path: Path) -> None:
    """`python -m harness.publishing.page` looks beside the folder of what it is given."""
    (tmp_path / "selfcheck.json").write_text(json.dumps(found()))
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "results.json").write_text(json.dumps(report().record()))
    assert main([str(tmp_path / "report" / "results.json"), str(tmp_path / "out.html")]) == 0
    assert "7 of 7 caught" in (tmp_path / "out.html").read_text()


def test_the_picture_is_text_and_lines_in_the_colours_of_the_page(approved: Approved) -> None:
    """Light and dark; each rule with its line and what it flags of what is right, each axis with
    its name.
    """
    text = chart.drawn(found())
    root = ElementTree.fromstring(text)
    assert root.attrib["role"] == "img"
    words = [
        "".join(each.itertext()).strip() for each in root.iter("{http://www.w3.org/2000/svg}text")
    ]
    approved(filter(re.compile("[a-z]{2}").search, words))
    assert "prefers-color-scheme: dark" in text
    used, known = set(re.findall(r"var\((--\w+)\)", text)), set(re.findall(r"(--[\w-]+):", text))
    assert {"--ink", "--card", "--s0", "--s2"} <= used <= known
    ids = re.findall(r' id="([^"]*)"', text)
    assert len(ids) == len(set(ids))
    assert not re.search(r"<script|<image|https?://(?!www.w3.org/2000/svg)|@import", text)


@settings(deadline=None, max_examples=8)  # drawing takes a fifth of a second
@given(st.dictionaries(st.sampled_from(list(RATES)), st.floats(0, 1)), st.floats(0, 1))
def test_any_rates_can_be_drawn(rates: dict[str, float], alarms: float) -> None:
    """None, one, or of one dtype only: the picture is whole."""
    rule = {"rule": "a", "false_alarm_rate": alarms, "catch_rate": rates}
    ElementTree.fromstring(chart.drawn(found(rules=[rule])))
    assert math.isfinite(Rule(**rule).false_alarm_rate)
