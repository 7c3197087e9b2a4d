"""Rules for variances and standard deviations.

A rule bounds the rounding errors of one operation of torch. The rules compute in two passes: the
mean, then the squares of the deviations. The bound counts the error of the mean to first order, in
every deviation. So it is at least the bound of Welford's updating formula, whose relative error is
n k u for n numbers and the unit roundoff u, with k^2 = 1 + mean^2 / variance (Chan, Golub and
LeVeque, Algorithms for computing the sample variance, The American Statistician 37, 1983).
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.rules.numbers import count_terms, list_axes
from harness.rules.registry import Call, Error, rule
from harness.rules.steps import Number, Steps


@rule("var")
def variance(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of a variance."""
    return steps.store(find_spread(steps, call)[0])


@rule("std")
def deviate(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of a standard deviation."""
    return steps.store(steps.sqrt(find_spread(steps, call)[0]))


@rule("var_mean")
def variance_and_mean(steps: Steps, call: Call) -> Sequence[Error]:
    """Return bounds on the errors of a variance and a mean."""
    return [steps.store(each) for each in find_spread(steps, call)]


@rule("std_mean")
def deviate_and_mean(steps: Steps, call: Call) -> Sequence[Error]:
    """Return bounds on the errors of a standard deviation and a mean."""
    spread, mean = find_spread(steps, call)
    return [steps.store(steps.sqrt(spread)), steps.store(mean)]


def find_spread(steps: Steps, call: Call) -> tuple[Number, Number]:
    """Return the variance and the mean of a call, with their errors."""
    x = steps.exact(call["self"])
    dims, keepdim = call.given.get("dim"), bool(call.given.get("keepdim", False))
    terms = count_terms(x.value, list_axes(x.value, dims))
    mean = x if terms == 1 else steps.mean(x, dims, True)
    total = steps.sum(steps.square(steps.sub(x, mean)), dims, keepdim)
    degrees = max(terms - find_correction(call), 0.0)
    value, error = total.value / degrees, total.error / degrees
    return steps.round(value, error, 2), steps.mean(x, dims, keepdim)


def find_correction(call: Call) -> float:
    """Return the number that is subtracted from the number of terms to get the divisor of a
    variance.
    """
    if "unbiased" in call.given:
        return float(bool(call["unbiased"]))
    correction = call["correction"]
    return 1.0 if correction is None else float(correction)
