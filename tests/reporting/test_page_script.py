"""The script of the page, in a browser: filters, the search, sorting, and links into what is
closed.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.core.verdict import Status
from tests.reporting.test_page import Elements, browsed, page, small, verdict

DRIVE = """<script>addEventListener("DOMContentLoaded", () => {{
  const rows = () => all("table.trials tbody tr[id]").filter(row => !row.closest("[hidden]"));
  const told = what => seen.push(what);
  const names = () => rows().map(row => row.cells[0].textContent + " " + row.cells[4].textContent);
  {what}
}});</script>"""


def drive(what: str, folder: Path) -> list[str]:
    """What the lines of a script have told, on the page of a small run."""
    text = page(small()).replace("<meta", DRIVE.format(what=what) + "<meta", 1)
    (phone, screen), console = browsed(text, folder)
    assert console == []
    assert phone[2] == screen[2]
    return phone[2]


def test_checks_are_searched_by_every_word(tmp_path: Path) -> None:
    """Of the question, the case and the row, in any case; what is found is opened, and counted."""
    what = """
    told(String(tools.hidden));
    search.value = "GRADIENT sinenet";
    filter();
    told(names().join());
    told(tools.querySelector("output").textContent);
    told(all("#trials details").map(each => each.open).join());
    search.value = "";
    filter();
    told(rows().length + tools.querySelector("output").textContent);
    told(all("#trials details").map(each => each.open).join());
    """
    assert drive(what, tmp_path) == [
        "false",
        "SineNet 90 %",
        "1 of 7 rows are shown",
        "true,false",
        "7",
        "false,false",
    ]


def test_checks_are_filtered_by_how_they_ended(tmp_path: Path) -> None:
    """A box for each kind of result."""
    what = """
    for (const box of boxes) box.checked = box.value === "fails";
    filter();
    told(names().join());
    """
    assert drive(what, tmp_path) == ["Wrong ✗ FAIL,Dead ✗ BROKEN"]


def test_tables_are_sorted_by_their_heads(tmp_path: Path) -> None:
    """By number, up and down, with failures beyond all numbers; rows stay in their case."""
    what = """
    const button = all("table.trials thead button")[4];
    button.click();
    told(names().join());
    button.click();
    told(names().join());
    told(button.parentElement.getAttribute("aria-sort"));
    """
    up, down, said = drive(what, tmp_path)
    assert up.startswith("SineNet 5 %,SineNet 34 %,SineNet 90 %,Wrong ✗ FAIL,Dead ✗ BROKEN")
    assert down.startswith("Wrong ✗ FAIL,Dead ✗ BROKEN,SineNet 90 %,SineNet 34 %,SineNet 5 %")
    assert said == "descending"


def test_a_link_opens_what_is_closed(tmp_path: Path) -> None:
    """And takes back a filter that hides it."""
    what = """
    search.value = "nothing of the kind";
    filter();
    told(String(rows().length));
    location.hash = "#t3";
    reveal();
    told(String(document.getElementById("t3").closest("details").open));
    told(String(rows().length));
    """
    assert drive(what, tmp_path) == ["0", "true", "7"]


def test_without_the_script_everything_is_there() -> None:
    """The tools alone are hidden: without a script they would do nothing."""
    found = Elements(page(small()))
    hidden = [(tag, each.get("class")) for tag, each in found.tags if "hidden" in each]
    assert hidden == [("div", "tools")]
    assert not found.all("button")


@pytest.mark.parametrize("status", [Status.PASS, Status.ABSENT, Status.FAIL])
def test_every_kind_of_check_has_its_box(status: Status) -> None:
    """And no other."""
    text = page(small(verdicts=[verdict("Net", status=status, why="so\nit is").record()]))
    boxes = [each for each in Elements(text).all("input") if each.get("type") == "checkbox"]
    kinds = {Status.PASS: "u", Status.ABSENT: "none", Status.FAIL: "fails"}
    assert [each["value"] for each in boxes] == [kinds[status]]
