"""Formulas that R alone evaluates: functions of factors, texts and dates, on a user's own rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reference import fitted
from reference.r.nnet_reference import LIVE
from tests.conftest import Approved
from tests.fitted.ports import Port, judge_all, statuses
from tests.fitted.test_fitted import made, rows_file

pytestmark = pytest.mark.usefixtures("live_r")

TAKEN = {
    "levels that are computed": "cut(b, c(0, 2, 4)) + a",
    "a factor of another order": "relevel(f, 'v') + a",
    "labels of codes": "factor(o, labels = c('i', 'j', 'k')) + a",
    "texts that are compared": "ifelse(s == 'q', 1, 0) + a",
    "a spline": "ns(a, 3) + b",
}


@pytest.mark.parametrize("formula", TAKEN)
def test_a_right_port_of_a_formula_that_only_r_evaluates_passes(
    formula: str, tmp_path: Path
) -> None:
    """Where the file is trusted, R says which texts and numbers its formula takes."""
    call = f"{{ library(splines); fit(y ~ {TAKEN[formula]}, d, size = 2, linout = TRUE) }}"
    path, fit = made(tmp_path, call)
    port = Port(fit.topology, fit.wts)
    given: dict[str, Any] = {"y": "y", "encode": "columns", "trust": True}
    verdicts = judge_all(fitted(path, port, x=rows_file(tmp_path), **given))
    assert set(statuses(verdicts).values()) == {"PASS"}


REFUSED = {
    "a date": ("when + a", "transform(d, when = as.Date('2024-01-01') + 1:30)"),
    "codes of texts": ("as.numeric(f) + a", "d"),
    "a function of the user": ("triple(a) + b", "{ triple <<- function(x) 3 * x; d }"),
}


@pytest.mark.parametrize("formula", REFUSED)
def test_what_the_rows_do_not_hold_is_said(
    formula: str, tmp_path: Path, approved: Approved
) -> None:
    """A class that a csv file loses, codes of a factor that comes as texts, a user's function."""
    terms, data = REFUSED[formula]
    path, fit = made(tmp_path, f"fit(y ~ {terms}, {data}, size = 2, linout = TRUE)")
    rows = rows_file(tmp_path, lambda lines: [line.append("when") for line in lines])
    if formula == "a function of the user":
        LIVE.eval_text("rm(triple, envir = globalenv())")
    port = Port(fit.topology, fit.wts)
    (first, *_) = judge_all(fitted(path, port, x=rows, trust=True))
    assert str(first.status) == "BROKEN"
    approved(first.why)


def test_rows_are_asked_for_where_drawn_ones_do_not_suit(
    tmp_path: Path, approved: Approved
) -> None:
    """The numbers that are drawn are no texts that a formula pastes."""
    path, fit = made(tmp_path, "fit(y ~ paste(f, s) + a, d, size = 2, linout = TRUE)")
    port = Port(fit.topology, fit.wts)
    why = judge_all(fitted(path, port, trust=True))[0].why
    approved(why.rpartition("; ")[2])
