"""Numbers with errors for direct tests of the steps of rules, and the roundoffs of their dtypes.

The roundoffs are those of IEEE 754-2019, table 3.5, plus that of float64, in which operations are
repeated.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from harness.rules.numbers import Number
from harness.rules.precision import precision_of
from harness.rules.steps import Steps

U, U_BFLOAT16, U_FLOAT16 = (2.0**-bits + 2.0**-53 for bits in (24, 8, 11))
TINY, TINY_FLOAT16 = 2.0**-126, 2.0**-14
TOP, TOP_FLOAT16 = (2 - 2.0**-23) * 2.0**127, 65504.0
INF = torch.inf


def take_steps(dtype: str = "float32") -> Steps:
    return Steps(precision_of(dtype))


def number(values: Sequence[float], errors: Sequence[float] | None = None) -> Number:
    """Return numbers with errors; exact ones without."""
    wide = torch.tensor(values, dtype=torch.float64)
    return Number(wide, None if errors is None else torch.tensor(errors, dtype=torch.float64))


def assert_errors(found: Number | torch.Tensor, expected: Sequence[float]) -> None:
    """Each error is the expected one, up to the rounding of a few operations in float64."""
    errors = found.error if isinstance(found, Number) else found
    assert errors.reshape(-1).tolist() == pytest.approx(list(expected), rel=1e-11, abs=0)
