"""Published rules, replayed on the corpus of the selfcheck: which draws (D,) each flags.

Each gets the answers (D, n) of one implementation, another's in the same dtype, the exact values,
and the dtype.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from harness.core.contract import Array

Rule = Callable[[Array, Array, Array, str], Array]

# rtol and atol, torch/testing/_comparison.py
CLOSE = {"float64": (1e-7, 1e-7), "float32": (1.3e-6, 1e-5)}


def _apart(a: Array, b: Array, rtol: float, atol: float) -> Array:
    with np.errstate(invalid="ignore", over="ignore"):
        return np.asarray(~(abs(a - b) <= atol + rtol * abs(b)).all(axis=1))


def assert_close(a: Array, b: Array, exact: Array, dtype: str) -> Array:
    """torch.testing.assert_close at its defaults."""
    return _apart(a, b, *CLOSE[dtype])


def allclose(a: Array, b: Array, exact: Array, dtype: str) -> Array:
    """numpy.allclose at its defaults."""
    return _apart(a, b, 1e-5, 1e-8)


def assert_allclose(a: Array, b: Array, exact: Array, dtype: str) -> Array:
    """numpy.testing.assert_allclose at its defaults."""
    return _apart(a, b, 1e-7, 0.0)


def four_ulp(a: Array, b: Array, exact: Array, dtype: str) -> Array:
    """At most four units in the last place apart."""
    return np.asarray(
        ~(abs(a - b) <= 4 * np.spacing(abs(b).astype(dtype)).astype(float)).all(axis=1)
    )


def dynamo(a: Array, b: Array, exact: Array, dtype: str) -> Array:
    """torch._dynamo.utils.same: the root mean square error may be three times the other's, plus a
    tenth of 1e-4.
    """
    exact = exact.reshape(a.shape)
    with np.errstate(invalid="ignore", over="ignore"):
        mine, other = (np.sqrt(((each - exact) ** 2).mean(axis=1)) for each in (a, b))
    return np.asarray(~(mine <= 3 * other + 1e-5))


def nnsmith(a: Array, b: Array, exact: Array, dtype: str) -> Array:
    """NNSmith's oracle (ise-uiuc/nnsmith, nnsmith/difftest.py): rtol 1e-2, atol 1e-3."""
    return _apart(a, b, 1e-2, 1e-3)


def polygraphy(a: Array, b: Array, exact: Array, dtype: str) -> Array:
    """Polygraphy's CompareFunc.simple at its defaults: an element may be off by 1e-5, absolutely or
    relatively.

    NVIDIA/TensorRT, tools/Polygraphy/polygraphy/comparator/compare.py: rtol and atol 1e-5,
    check_error_stat "elemwise", which flags an element that exceeds both; what is 0 counts there as
    2.2e-16, which 1e-5 absolutely has let pass.
    """
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        off = abs(a - b)
        return np.asarray(~((off <= 1e-5) | (off / abs(b) <= 1e-5)).all(axis=1))


RIVALS: dict[str, Rule] = {
    rule.__name__: rule
    for rule in (assert_close, allclose, assert_allclose, four_ulp, dynamo, nnsmith, polygraphy)
}
