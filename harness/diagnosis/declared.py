"""Explains differences of two implementations' exact answers by their contracts: the arithmetic
that each promises.
"""

from harness.core.contract import Contract
from harness.judging.comparison import Comparison


def explain_contracts(comparison: Comparison, witness: str) -> str:
    """Return how the two contracts of a comparison differ, as "R clips its logistic at ±15".

    `witness` is the name of the reference. Returns "" for differences that have no sentence.
    """
    activations = comparison.formulation.network.activations
    mine, theirs = comparison.contracts
    sides = ((comparison.trial.subject.name, mine), (witness, theirs))
    reasons = []
    if "logistic" in activations and mine.logistic_clip != theirs.logistic_clip:
        reasons += [_describe_clip(name, contract) for name, contract in sides]
    if "relu" in activations and mine.relu_at_zero != theirs.relu_at_zero:
        slopes = [f"{contract.relu_at_zero:g} in {name}" for name, contract in sides]
        reasons.append(f"the derivative of ReLU at exactly 0 is {' and '.join(slopes)}")
    return " and ".join(filter(None, reasons))


def _describe_clip(name: str, contract: Contract) -> str:
    if contract.logistic_clip is None:
        return ""
    return f"{name} clips its logistic at ±{contract.logistic_clip:g}"
