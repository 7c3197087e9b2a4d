"""A port whose weights lost their last digits on the way is told so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from reference import fitted
from tests.conftest import Approved
from tests.fitted.made import CALLS, CLASSES
from tests.fitted.ports import Port, judge_all, statuses
from tests.fitted.test_fitted import made, matrix, rows_file

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


def test_digits_that_print_has_dropped_are_named_in_float32_too(tmp_path: Path) -> None:
    """R prints 7 decimals of these weights; `torch.tensor(...)` then rounds them to float32."""
    path, fit = made(tmp_path, CALLS["matrix"])
    port = Port(fit.topology, np.round(fit.wts, 7), torch.float32)
    found = judge_all(fitted(str(path), lambda: port, x=matrix()))
    said = [verdict.why for verdict in found if verdict.check == "parameters"]
    assert "likely: the weights were written with 7 decimals" in said[0]
