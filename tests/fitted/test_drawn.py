"""Rows that are drawn without a user's data reach every hidden unit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.core.contract import NNET_CLIP
from reference.fitted.drawn import draw_rows
from reference.r.nnet_reference import LIVE
from reference.rds.reading import read_fit
from tests.fitted.made import make_fit

pytestmark = pytest.mark.usefixtures("live_r")
FEW = "60, 1, 2, -45, 3, 1"
MANY = f"{FEW}, 20, 0.5, -0.3, 33, -1, 2, 5, 1, -1"


@pytest.mark.parametrize(("hidden", "weights"), [(2, FEW), (5, MANY)])
def test_each_unit_is_seen_within_the_clip(hidden: int, weights: str, tmp_path: Path) -> None:
    """Its argument is small in its share of the rows, however large its bias is; with no more units
    than inputs in two rows of three; the third is drawn around 0.
    """
    start = f"Wts = c({weights}, rep(1, {hidden + 1})), mask = rep(FALSE, {4 * hidden + 1})"
    net = read_fit(make_fit(tmp_path / "fit.rds", f"fit(x, u, size = {hidden}, {start})"), LIVE)
    own = net.wts[: hidden * (1 + net.topology.inputs)].reshape(hidden, -1)
    z = draw_rows(net, None).matrix() @ own[:, 1:].T + own[:, 0]
    for unit in range(hidden):
        assert abs(z[unit :: hidden + 1, unit]).max() < 5
    if hidden == 2:
        assert (abs(z) < NNET_CLIP).all(axis=1).sum() == 43


def test_a_unit_of_tiny_weights_draws_no_row_away(tmp_path: Path) -> None:
    """Where its argument is 0, all others would be beyond the clip."""
    call = "fit(x, u, size = 2, Wts = c(9, 1e-9, 1e-9, 0, 1, 1, 1, 1, 1), mask = rep(FALSE, 9))"
    net = read_fit(make_fit(tmp_path / "fit.rds", call), LIVE)
    assert abs(draw_rows(net, None).matrix()).max() < 100


def test_an_input_that_is_made_of_raw_columns_is_left_alone(tmp_path: Path) -> None:
    """Only inputs that are raw columns are moved; a logarithm's argument stays positive."""
    net = read_fit(make_fit(tmp_path / "fit.rds", "fit(y ~ a + log(b), d, size = 3)"), LIVE)
    rows = draw_rows(net, None)
    assert set(rows.columns) == {"a", "b"}
    assert np.asarray(rows.columns["b"]).min() > 0
