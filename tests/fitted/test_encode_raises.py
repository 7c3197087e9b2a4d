"""An encoder that raises is told to be it, with the columns that are lists of texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reference import fitted
from tests.conftest import Approved
from tests.fitted.ports import Port, judge_all
from tests.fitted.test_fitted import made, rows_file

pytestmark = pytest.mark.usefixtures("live_r")


def test_an_encoder_that_raises_is_named(tmp_path: Path, approved: Approved) -> None:
    """A comparison of a list of texts with a text is one truth value, which does not stack."""

    def encode(rows: dict[str, Any]) -> Any:
        return np.stack([rows["a"], rows["s"] == "q"], axis=1)

    call = "fit(f ~ a + s, d, size = 2, decay = 0.01)"
    path, fit = made(tmp_path, call)
    verdicts = judge_all(
        fitted(path, Port(fit.topology, fit.wts), x=rows_file(tmp_path), encode=encode)
    )
    assert {str(verdict.status) for verdict in verdicts} == {"BROKEN"}
    approved(verdicts[0].why)
