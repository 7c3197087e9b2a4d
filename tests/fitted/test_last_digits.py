"""A port whose weights lost their last digits on the way is told so."""

from __future__ import annotations

from pathlib import Path

import pytest

from reference import fitted
from tests.conftest import Approved
from tests.fitted.made import CLASSES
from tests.fitted.ports import Port, judge_all, statuses
from tests.fitted.test_fitted import made, rows_file

pytestmark = pytest.mark.usefixtures("live_r")


def test_weights_of_fifteen_digits_are_named(tmp_path: Path, approved: Approved) -> None:
    """Weights that are off in the 16th digit are R's but for their last digits, and the line that
    writes them all is said.
    """
    path, fit = made(tmp_path, CLASSES["softmax"])
    port = Port(fit.topology, fit.wts * (1 + 4.9e-15))
    verdicts = judge_all(fitted(path, port, x=rows_file(tmp_path)))
    assert statuses(verdicts)["predictions"] == "FAIL"
    assert statuses(verdicts)["parameters"] == "PASS"
    approved([verdict.why for verdict in verdicts])
