"""Bounds on activations and on their derivatives.

Each function takes the arguments z of an activation, with bounds on their errors, and a contract:
the arithmetic that an implementation promises. It returns the activation h and its derivative by z,
with bounds on their errors. The bounds hold for every usual formula of the derivative in terms of
h.
"""

import numpy as np

from harness.arithmetic.formulas import LOGISTIC, TANH, round_result, steepen
from harness.arithmetic.plain import logistic, relu_slope
from harness.arithmetic.rounding import DIRECTED, total_roundoff
from harness.core.contract import Bounded, Contract

Activated = tuple[Bounded, Bounded]  # the activation and its derivative


def bound_relu(z: Bounded, contract: Contract) -> Activated:
    """Bound ReLU and its derivative.

    ReLU does not round. If z may be on either side of 0, the derivative may be 0 or 1.
    """
    live = z.value + z.error > 0
    kink = (abs(z.value) <= z.error) & (z.error > 0)
    height = Bounded(np.maximum(z.value, 0.0), z.error * live)
    return height, Bounded(relu_slope(z.value, contract), kink.astype(float))


def bound_tanh(z: Bounded, contract: Contract) -> Activated:
    """Bound tanh and its derivative.

    tanh is accurate to the units in the last place that the contract (the promised arithmetic)
    states.
    """
    u, tiny = total_roundoff(contract), contract.tiny
    h = np.tanh(z.value)
    d = 1 - h * h
    steepest = np.where(z.error <= 0.5, np.minimum(steepen(d, z.error, TANH), 1.0), 1.0)
    moved = np.minimum(steepest * z.error, 2.0)
    # the implementation rounds tanh of its own z
    coarse = _round_at_one(contract)
    error = round_result(h, moved, 2 * contract.exp_ulp, u, coarse)
    error = (error + tiny * (h != 0)) * DIRECTED
    moved = 2 * abs(h) * error + error * error
    # from 1 - h^2; 4 / (e^z + e^-z)^2 takes 2 (k + 1) + 2 roundings of d, k = 2 exp_ulp
    slope = moved + u * (h * h + moved + (4 * contract.exp_ulp + 4) * (d + moved))
    return Bounded(h, error), Bounded.make_acting(d, (slope + coarse + tiny) * DIRECTED)


def bound_logistic(z: Bounded, contract: Contract) -> Activated:
    """Bound the logistic and its derivative.

    The contract (the promised arithmetic) states the accuracy of exp, and the |z| beyond which the
    logistic is exactly 0 or 1.
    """
    u, tiny = total_roundoff(contract), contract.tiny
    h = logistic(z.value)
    d = h * (1 - h)
    steepest = np.where(z.error <= 0.5, np.minimum(steepen(d, z.error, LOGISTIC), 0.25), 0.25)
    moved = np.minimum(steepest * z.error, 1.0)
    # the implementation rounds the logistic of its own z
    coarse = _round_at_one(contract)
    error = round_result(h, moved, 2 * contract.exp_ulp + 2, u, coarse)
    error = (error + tiny) * DIRECTED
    # from h (1 - h); e^-z / (1 + e^-z)^2 takes 3 k + 4 roundings of d if h is small, 2 k + 4
    # if h is large
    moved = abs(1 - 2 * h) * error + error * error
    slope = round_result(d, moved, 4 * contract.exp_ulp + 4, u, coarse)
    slope = (slope + tiny) * DIRECTED
    clip = contract.logistic_clip
    if clip is None or not (abs(z.value) + z.error > clip).any():
        return Bounded.make_acting(h, error), Bounded.make_acting(d, slope)
    jump = float(logistic(np.array(-clip)))
    beyond, edge = abs(z.value) > clip, abs(abs(z.value) - clip) <= z.error
    h = np.where(beyond, (z.value > 0).astype(float), h)
    d = np.where(beyond, 0.0, d)
    error = np.where(edge, error + jump, np.where(beyond, 0.0, error))
    slope = np.where(edge, slope + jump, np.where(beyond, 0.0, slope))
    return Bounded(h, error), Bounded(d, slope)


def _round_at_one(contract: Contract) -> float:
    """Return the largest absolute error of tanh or the logistic if each is computed from the other,
    or from exp; 0 if the contract promises a small relative error.

    `exp_ulp` is the contract's error of exp, in units in the last place. In 2 sigmoid(2 z) - 1, the
    logistic is off by 2 exp_ulp + 2 roundings of at most 1. They are doubled, and the difference
    rounds once. (1 + tanh(z / 2)) / 2, and (1 - e) / (1 + e) with e = exp(-2 z), are off by less.
    """
    if not contract.absolute_activations:
        return 0.0
    return (4 * contract.exp_ulp + 5) * total_roundoff(contract)
