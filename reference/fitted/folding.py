"""The fitted weights with the scaling of the inputs folded into them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.core.contract import Array
from harness.shipped.truth import Equivalent, Table
from reference.rds.fit import FittedNet

ROUNDOFF = 2.0**-53
SLOPE_ROUNDINGS = 16  # of a factor that is read from two rows: differences, a quotient, the data


def fold_scaling(fit: FittedNet, table: Table) -> Sequence[Equivalent]:
    """Return the weights of an equivalent network of the raw columns, with the scaling of inputs
    folded in.

    This is possible if each input is a raw column times a factor plus a shift. The result is empty
    if it is not possible, or if there is nothing to fold.
    """
    raw, inputs = table.given[0], table.inputs
    if inputs is None or raw.shape != inputs.shape or np.array_equal(raw, inputs):
        return []
    factors, shifts = np.ones(inputs.shape[1]), np.zeros(inputs.shape[1])
    for place in range(inputs.shape[1]):
        scale = _read_scale(raw[:, place], inputs[:, place])
        if scale is None:
            return []
        factors[place], shifts[place] = scale
    return [_fold(fit, factors, shifts)]


def _read_scale(raw: Array, scaled: Array) -> tuple[float, float] | None:
    """Return the (factor, shift) with which the column `scaled` is computed from the column `raw`;
    None if there are none.
    """
    low, high = int(raw.argmin()), int(raw.argmax())
    if raw[low] == raw[high]:
        return None
    factor = float((scaled[high] - scaled[low]) / (raw[high] - raw[low]))
    shift = float(scaled[low] - factor * raw[low])
    size = abs(factor) * abs(raw) + abs(shift)
    if (abs(factor * raw + shift - scaled) > 4 * SLOPE_ROUNDINGS * ROUNDOFF * size).any():
        return None
    return factor, shift


def _fold(fit: FittedNet, factors: Array, shifts: Array) -> Equivalent:
    theta, sizes = fit.wts.copy(), np.zeros_like(fit.wts)
    net, start = fit.topology, 0
    for sources in net.connections:
        bias = start + sources.index(0)
        for place, source in enumerate(sources, start):
            if 1 <= source <= net.inputs:
                weight = fit.wts[place]
                theta[place] = weight * factors[source - 1]
                theta[bias] += weight * shifts[source - 1]
                sizes[place] = abs(theta[place])
                sizes[bias] += abs(weight * shifts[source - 1])
        sizes[bias] += abs(fit.wts[bias])
        start += len(sources)
    roundings = SLOPE_ROUNDINGS + net.inputs
    return Equivalent("with the scaling folded into them", theta, roundings * ROUNDOFF * sizes)
