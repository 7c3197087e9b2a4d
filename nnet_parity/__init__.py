"""The public names: `from nnet_parity import Case, verify, Network, probes, numpy_net, r_nnet`.

A name is loaded when it is first used, so that the plugin does not slow down other runs of pytest.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nnet_parity.names import explain_shadowing

if TYPE_CHECKING:
    from harness import *  # noqa: F403
    from reference import *  # noqa: F403

# The public names of each package; tests/guest/test_door.py compares them with the packages.
PUBLIC = {
    "harness": (
        "Bounded",
        "Case",
        "Computed",
        "Contract",
        "Contrast",
        "Entry",
        "Formulation",
        "Layout",
        "Loss",
        "Population",
        "Problem",
        "Recipe",
        "Result",
        "Status",
        "Subject",
        "Trained",
        "TrainedBy",
        "Verdict",
        "VerdictFailed",
        "check",
        "jax_model",
        "onnx_model",
        "same",
        "verify",
    ),
    "reference": (
        "Crossed",
        "Equations",
        "Network",
        "NumpyNet",
        "OnData",
        "RNnet",
        "Stated",
        "fitted",
        "gradient_descent",
        "least_squares",
        "nnet_fit",
        "nnet_fits",
        "nnet_gradients",
        "numpy_net",
        "optim_bfgs",
        "probes",
        "r_nnet",
        "runif",
        "scipy_bfgs",
        "scipy_lbfgsb",
        "starts",
    ),
}
RENAMED = {"Prototype": "Computed(answer, name, slopes, dtype='float64')"}  # and what to write now
PACKAGES: dict[str, str] = {}  # the package of each public name
for _package, _names in PUBLIC.items():
    PACKAGES |= dict.fromkeys(_names, _package)
__all__ = list(PACKAGES)


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used.

    Raises ImportError for an old name, and if Python finds another package instead of our `harness`
    or `reference`.
    """
    if name in RENAMED:
        raise ImportError(f"nnet_parity has no {name} any more, write {RENAMED[name]}")
    if name not in PACKAGES:
        raise AttributeError(f"module 'nnet_parity' has no attribute {name!r}")
    package = PACKAGES[name]
    if sentence := explain_shadowing(package):
        raise ImportError(sentence)
    value = getattr(import_module(package), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *PACKAGES})
