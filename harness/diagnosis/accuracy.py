"""Hints on the accuracy of a subject that is a function of NumPy arrays."""

from dataclasses import replace

from harness.comparing.judge import Judgement
from harness.core.contract import Contract
from harness.core.finding import Hint, HintKind
from harness.core.verdict import Status
from harness.diagnosis.ignored import find_ignored
from harness.foreign.computed import Computed
from harness.judging.comparison import Comparison
from harness.text.python import called

COARSE_ULP = 4.0  # of exp and tanh in JAX and ONNX Runtime, as measured


def find_hint(comparison: Comparison) -> Hint | None:
    """Return a hint that explains the failure of a subject that is a function of NumPy arrays.

    The cause may be its arithmetic, or weights that it holds itself. Return None if neither
    explains the failure, and for any other subject.
    """
    if not isinstance(comparison.trial.subject, Computed):
        return None
    found = _find_coarse_functions(comparison) or _find_float32_arithmetic(comparison)
    return found or find_ignored(comparison, all_of_them=True)


def _find_float32_arithmetic(comparison: Comparison) -> Hint | None:
    """Return a hint if the answers of a float64 trial are those of float32 arithmetic, else
    None.
    """
    promised = comparison.contracts[0]
    if promised.dtype != "float64" or not _passes(comparison, replace(promised, dtype="float32")):
        return None
    cause = (
        "it is inside the rounding bound of float32: something in it computes in float32, expected"
        " float64"
    )
    return Hint(HintKind.LIKELY, cause)


def _find_coarse_functions(comparison: Comparison) -> Hint | None:
    """Return a hint if the failure vanishes for exp and tanh as inexact as those of JAX and ONNX
    Runtime, else None.
    """
    promised, name = comparison.contracts[0], called(comparison.trial.subject.name)
    if promised.exp_ulp >= COARSE_ULP:
        return None
    coarse = replace(promised, exp_ulp=COARSE_ULP)
    right = f"its exp and tanh are right to {COARSE_ULP:g} ulp, as those of JAX and ONNX Runtime"
    if _passes(comparison, coarse):
        return Hint(HintKind.VANISHES, right, f"Computed({name}, exp_ulp={COARSE_ULP:g})")
    if promised.absolute_activations:
        return None
    if not _passes(comparison, replace(coarse, absolute_activations=True)):
        return None
    cause = f"{right}, and small values of its tanh or logistic to a few roundings of 1"
    write = f"Computed({name}, exp_ulp={COARSE_ULP:g}, absolute_activations=True)"
    return Hint(HintKind.VANISHES, cause, write)


def _passes(comparison: Comparison, contract: Contract) -> bool:
    """Is the quantity inside its bounds if the subject promises the arithmetic of this contract?"""
    judged = comparison.judged(comparison.quantity, contract)
    return isinstance(judged, Judgement) and judged.status is Status.PASS
