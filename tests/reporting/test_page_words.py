"""Sentences of the page and of the summary that a usual run does not show."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from harness.core.report import Asked, Report, Sizes
from harness.core.verdict import Status, Verdict
from harness.keeping.folder import Kept
from harness.keeping.kept_run import summarise_run
from harness.keeping.trend import make_trend
from harness.publishing import figures
from harness.publishing.beside import Beside
from harness.publishing.markdown import markdown
from harness.publishing.page import page
from harness.reporting.regressions import Change, Comparison, Kind
from harness.reporting.results import parse
from tests.conftest import Approved
from tests.reporting.test_page import Elements, fits, full, small, verdict


def fail(check: str, **given: str) -> Verdict:
    """A trial that fails, with a script."""
    script = "build/report/reproducers/net.py"
    return verdict("Net", check, Status.FAIL, why=f"{check}\nis wrong", alone=script, **given)


def test_a_cause_names_what_follows_from_it(tmp_path: Path, approved: Approved) -> None:
    """One block with its script and case, and the other checks by name, each of which leads to its
    row.
    """
    script = tmp_path / "reproducers" / "net.py"
    script.parent.mkdir()
    script.write_text("")
    (tmp_path / "test_net.py").write_text("")
    first = fail("forward")
    report = Report(
        {},
        [first, fail("loss", follows=first.id), fail("gradient", follows=first.id)],
        places={"sine": "test_net.py:7"},
    )
    text = page(report, Beside(folder=tmp_path, start=tmp_path))
    found = Elements(text)
    approved(found.part("failures"))
    assert len(found.all("pre")) == 1
    links = [each["href"] for each in found.all("a")]
    assert {"reproducers/net.py", "test_net.py#L7", "#t1", "#t2", "#t3"} <= set(links)
    approved(markdown(report).split("## Failures")[1].split("\n## ")[0])


def test_many_changes_are_left_out(approved: Approved) -> None:
    """And said to be so, on the page and in the summary."""
    changes = [Change(Kind.REGRESSION, f"case: {i}", f"told {i}") for i in range(120)]
    report = Report({}, [verdict("Net")])
    beside = Beside(comparison=Comparison(changes, "2026-11-29T07:00:00+00:00", "abc"))
    text = Elements(page(report, beside))
    told = markdown(report, beside)
    more = [line for line in told.split("\n") if "more changes" in line]
    approved([*text.lines[1:6], *[line for line in text.lines if "more changes" in line], *more])


def test_the_first_kept_run_has_no_trend(approved: Approved) -> None:
    """But stands in the table."""
    report = Report({"date": "2026-11-29T07:00:00+00:00"}, [verdict("Net")])
    trend = make_trend(Kept([], []), summarise_run(report))
    approved(Elements(page(report, Beside(trend=trend))).part("trend"))


def test_what_was_tried_is_told(approved: Approved) -> None:
    """And what was not; ways of calling once for all cases that share them."""
    asked = Asked(12, (1, 2), {"inputs": Sizes(1.0, 2.0, True)}, ("eval()", "a deep copy"))
    report = Report({}, [verdict("Net")], asked={"one": asked, "two": replace(asked, draws=7)})
    approved(Elements(page(report)).part("asked"))


def test_figures_without_room_are_said(monkeypatch: pytest.MonkeyPatch, approved: Approved) -> None:
    """Networks too; their findings stay."""
    monkeypatch.setattr(figures.Room.__init__, "__defaults__", (0,))
    found = Elements(page(parse_of(full())))
    approved([line for line in found.part("networks", "fits") if "raw" in line])
    assert not found.labels


def test_all_axes_are_named(approved: Approved) -> None:
    """Those of the losses of all starts too."""
    given = [fit | {"losses": [0.5, 0.1]} for fit in fits()]
    found = Elements(page(parse_of(small(fits=given))))
    approved(line for line in found.part("fits") if re.search("start|loss", line))


def parse_of(results: dict[str, object]) -> Report:
    """The report of a parsed results.json."""
    import json

    return parse(json.dumps(results).encode())
