"""The roundoffs of a dtype: of results, and of the steps inside an operation."""

from __future__ import annotations

import pytest
import torch

from harness.core.contract import PRECISION
from harness.rules.precision import precision_of
from tests.rules.given import TINY, TOP, U_BFLOAT16, U_FLOAT16, U
from tests.support import HELD

# the unit roundoff with that of float64, the smallest normal number and the largest
STORED = {
    "float64": (2.0**-52, 2.0**-1022, (2 - 2.0**-52) * 2.0**1023),
    "float32": (U, TINY, TOP),
    "bfloat16": (U_BFLOAT16, TINY, (2 - 2.0**-7) * 2.0**127),
    "float16": (U_FLOAT16, 2.0**-14, 65504.0),
}


def test_dtypes_are_those_of_torch_that_have_a_contract() -> None:
    """All contracts but that of tf32, which is no dtype but float32 with rounded factors."""
    assert set(HELD) == set(PRECISION) - {"tf32"}
    assert all(isinstance(getattr(torch, each), torch.dtype) for each in HELD)


@pytest.mark.parametrize("dtype", list(STORED))
def test_steps_are_float32_where_results_are_narrower(dtype: str) -> None:
    """Each has its roundoff (IEEE 754-2019, table 3.5) and range; functions are off by 2 ulp."""
    precision = precision_of(dtype)
    narrow = dtype in ("bfloat16", "float16")
    assert precision.narrow is narrow
    assert (precision.stored, precision.tiny, precision.largest) == STORED[dtype]
    inside = precision.inside, precision.tiny_inside, precision.largest_inside
    assert inside == STORED["float32" if narrow else dtype]
    assert precision.function == 4 * precision.inside


@pytest.mark.parametrize("dtype", list(STORED))
def test_one_by_one_a_function_is_rounded_to_the_dtype_once_more(dtype: str) -> None:
    """A function f that is off by 4 u is stored, off by v: |f| (4 u (1 + v) + v) at most."""
    precision = precision_of(dtype)
    stepwise = precision.stepwise()
    v, u = precision.stored, precision.inside
    assert stepwise.function == pytest.approx(v + 4 * u * (1 + v), rel=1e-14)
    stored = precision.stored, precision.tiny, precision.largest
    assert (stepwise.inside, stepwise.tiny_inside, stepwise.largest_inside) == stored
    assert (stepwise.stored, stepwise.tiny, stepwise.largest) == stored
    assert not stepwise.narrow


def test_a_dtype_without_a_contract_is_refused() -> None:
    """Nothing is known of float8."""
    with pytest.raises(ValueError, match="float8_e5m2"):
        precision_of("float8_e5m2")
