"""Functions that kernels compute in several steps, with their errors: the error function and
softplus.
"""

from __future__ import annotations

import torch

from harness.rules.steps import Number, Steps


def bound_erf(steps: Steps, a: Number) -> Number:
    """Return erf(a) with a bound on its error, if a kernel computes it in float32 by polynomials.
    In the following, u is the unit roundoff.

    A polynomial in t = 1 / (1 + p |a|), times exp(-a^2), is right to 1.5e-7 (Abramowitz and Stegun,
    7.1.26). By Horner's rule with fused steps it loses 25 u exp(-a^2) at most. These are 3.2 u in
    its sums, which are largest at t = 1, 4.5 u by its coefficients, 10.3 u by t, which is off by 3
    u, and 7 u by exp and three products.

    oneDNN has polynomials of degree 5 in |a|, one for each quarter of an octave. They lose 9 u at
    most below 1.4, 52 u up to 3.6, and 3 u beyond. These are the sizes of the partial sums and
    terms of Taylor's polynomials at the middle of each interval.
    """
    size = abs(a.value)
    nearest = torch.clamp(size - a.error, min=0.0)
    density = torch.exp(-nearest * nearest)
    error = 1.1283791670955126 * density * a.error
    if steps.precision.dtype != "float64":
        far = ((size >= 1.4) & (size <= 3.6)).double()
        error = error + (1.5e-7 + (25 * density + 52 * far) * steps.u)
    return steps.function(torch.erf(a.value), error)


def bound_softplus(steps: Steps, a: Number) -> Number:
    """Return log(1 + exp(a)), with its rounding error. It is computed as log1p(exp(a)), which is
    infinite for a large a.
    """
    value = torch.clamp(a.value, min=0.0) + torch.exp(-abs(a.value)).log1p()
    lost = a.error + steps.precision.function
    return steps.function(value, a.value.sigmoid() * torch.expm1(lost) + steps.tiny)
