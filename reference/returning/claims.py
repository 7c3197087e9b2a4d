"""The loss, fitted values and residuals of an object at other weights, as R computes them.

In shapes, R counts rows, I inputs, O outputs and S weights of the object.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.core.contract import Array
from reference.fitted.targets import normalise
from reference.r.session import RSession
from reference.rds.fit import FittedNet

ALIKE = 1e-6  # rows as csv holds them give the old numbers so nearly; no verdict depends on it


@dataclass(frozen=True, eq=False)
class FittedRows:
    """The rows on which a network was fitted: inputs (R, I), targets (R, O), case weights (R,).

    R counts rows, I inputs and O outputs.
    """

    inputs: Array
    targets: Array
    weights: Array

    def whole(self) -> FittedRows:
        """Return a copy without the rows that have a missing value, since nnet() leaves them out of
        the fit.
        """
        known = np.isfinite(self.inputs).all(axis=1) & np.isfinite(self.targets).all(axis=1)
        known &= np.isfinite(self.weights)
        return FittedRows(self.inputs[known], self.targets[known], self.weights[known])


@dataclass(frozen=True, eq=False)
class Claims:
    """The numbers in a fitted object that depend on its weights: the loss, fitted values (R, O) and
    residuals (R, O).

    R counts rows and O outputs.
    """

    value: float
    fitted: Array
    residuals: Array


def recompute(
    session: RSession, path: str, net: FittedNet, old: Array, new: Array, rows: FittedRows
) -> Claims:
    """Return the loss, fitted values and residuals that R computes at the weights `new` (S,) on the
    fitted rows.

    Raises ValueError if the weights `old` do not give the object's own values there.
    """
    rows = rows.whole()
    before = _evaluate(session, path, net, old, rows)
    if len(net.fitted) and net.fitted.shape != before.fitted.shape:
        raise ValueError(
            f"the data hold {len(before.fitted)} rows without a missing value, expected the"
            f" {len(net.fitted)} rows on which the net was fitted"
        )
    pairs = {"value": (before.value, net.value)}
    if len(net.fitted):
        place = np.unravel_index(abs(before.fitted - net.fitted).argmax(), net.fitted.shape)
        pairs["fitted.values"] = float(before.fitted[place]), float(net.fitted[place])
    for name, (computed, claimed) in pairs.items():
        # not if it is NaN: marked as older
        if abs(computed - claimed) > ALIKE * (1 + abs(claimed)):
            raise ValueError(
                f"the data are not what nnet() was given: its own weights give {computed:.9g}"
                f" there, expected {claimed:.9g}, as its {name} says. Where rows were weighted give"
                " --weights; where data were changed before nnet(), the changed ones"
            )
    return _evaluate(session, path, net, new, rows)


def _evaluate(session: RSession, path: str, net: FittedNet, wts: Array, rows: FittedRows) -> Claims:
    inputs = rows.inputs
    if net.has_ones:
        inputs = np.hstack([np.ones((len(inputs), 1)), inputs])
    targets, weights = normalise(net, rows.targets, rows.weights)
    assert weights is not None
    value, outputs = session.call("evaluate_object", path, wts, inputs.T, targets.T, weights)
    fitted = np.ascontiguousarray(outputs.T)
    return Claims(float(value[0]), fitted, targets - fitted)
