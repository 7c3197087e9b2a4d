"""docs/nnet.md lists every argument of R's functions, and every fact with a test that exists."""

import re
from pathlib import Path

import pytest

from reference.r.nnet_reference import LIVE

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "nnet.md").read_text(encoding="utf-8")
FUNCTIONS = {
    "Arguments of nnet()": ["nnet.default", "nnet.formula"],
    "Arguments of multinom()": ["multinom"],
    "Arguments of predict()": ["predict.nnet", "predict.multinom"],
}
MOST_LEFT_OUT = 3


def rows(heading: str) -> list[list[str]]:
    """The cells of the table below a heading."""
    part = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


@pytest.mark.parametrize("heading", FUNCTIONS)
def test_every_argument_stands_in_a_table(live_r: None, heading: str) -> None:
    """R says which there are."""
    said = {name for row in rows(heading) for name in re.findall(r"`([\w.]+)", row[0])}
    for function in FUNCTIONS[heading]:
        names = LIVE.eval_text(f"names(formals(getFromNamespace('{function}', 'nnet')))")
        assert set(names) <= said, function


def test_at_most_three_arguments_are_left_out() -> None:
    """Each of them says why."""
    left_out = [row for row in rows("Arguments of nnet()") if row[1].startswith("why not")]
    assert len(left_out) <= MOST_LEFT_OUT


def test_every_fact_of_nnet_has_a_row() -> None:
    """In order."""
    numbers = [int(row[0]) for row in rows("What nnet really does")]
    assert numbers == list(range(1, 23))


def test_every_test_that_is_named_exists() -> None:
    """By its file and its name."""
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)
    assert len(named) > 25
    for file, test in named:
        text = (ROOT / file).read_text(encoding="utf-8")
        assert f"def {test}(" in text, f"{file}::{test}"
