"""Ports of classifications are judged by the fitted object."""

from __future__ import annotations

from pathlib import Path

import pytest

from reference.fitted.answers import network_of_fit
from reference.r.nnet_reference import LIVE
from reference.rds.reading import read_fit
from tests.conftest import Approved
from tests.fitted.made import CLASSES, make_fit

pytestmark = pytest.mark.usefixtures("live_r")


def test_a_classification_is_refused(tmp_path: Path, approved: Approved) -> None:
    """In a sentence."""
    fit = read_fit(make_fit(tmp_path / "fit.rds", CLASSES["softmax"]), LIVE)
    with approved.raises(ValueError):
        network_of_fit(fit)
