"""Rows on which every hidden unit is saturated are no evidence that a port is right."""

from pathlib import Path

import numpy as np
import pytest
import torch

from reference import fitted
from tests.conftest import Approved
from tests.fitted.made import CALLS
from tests.fitted.ports import Port, judge_all, statuses
from tests.fitted.test_fitted import made, matrix

pytestmark = pytest.mark.usefixtures("live_r")


class Steps(Port):
    """A step function in place of the logistic."""

    def logistic(self, z: torch.Tensor) -> torch.Tensor:
        return (z > 0).to(z.dtype)


def test_rows_far_beyond_the_scale_of_a_fit_are_no_evidence(
    tmp_path: Path, approved: Approved
) -> None:
    """Neither for a right port nor for one whose activation is a step."""
    path, fit = made(tmp_path, CALLS["matrix"])
    rows = np.repeat(matrix() * 1e6 + 3e5, 2, axis=0)
    for port in (Port(fit.topology, fit.wts), Steps(fit.topology, fit.wts)):
        found = judge_all(fitted(path, port, x=rows))
        assert statuses(found)["predictions"] == "VACUOUS"
    approved([verdict.why for verdict in found if verdict.check == "predictions"])
    assert (
        statuses(judge_all(fitted(path, Port(fit.topology, fit.wts), x=matrix())))["predictions"]
        == "PASS"
    )
