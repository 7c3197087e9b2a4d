"""The loss of a problem: squared errors, weighed by rows, and decay of the network's parameters.

In shapes, R counts rows of data and O outputs of all heads. T counts the network's parameters,
which form the vector theta.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.core.contract import Array
from harness.core.layout import Layout

Nested = float | tuple["Nested", ...]  # an array that can be compared and hashed
OF_WEIGHTS, OF_ROWS = (
    "one number, or one for each of the network's weights",
    "one number for each row",
)


@dataclass(frozen=True)
class Loss:
    """Squared error summed over all heads, plus decay times the sum of squared parameters (nnet's
    `decay`).

    `reduction` is "sum", or "mean" over the rows and units of each head. There is no factor of one
    half. `decay` is one number, or one for each of the network's parameters in nnet's order (T,),
    or a dict of blocks by name, as {"W1": 0.1}; blocks that it does not name have no decay.
    `weights` (R,) multiply the squared errors of each row, as nnet's `weights` do; a "mean" has
    none.

    Raises ValueError for another reduction, and for weights or decays that are not finite numbers
    from 0.
    """

    reduction: str = "sum"
    decay: ArrayLike | Mapping[str, ArrayLike] = 0.0
    weights: ArrayLike | None = None

    def __post_init__(self) -> None:
        if self.reduction not in ("sum", "mean"):
            raise ValueError(
                f"reduction {self.reduction!r} is not known, expected 'sum' or 'mean': only squares"
                " are judged yet; of another loss, as entropy, choose checks=['forward'], or"
                " compare it with a Prototype that has the same"
            )
        if isinstance(self.decay, Mapping):
            decays = {name: _settle(f"decay of {name}", d) for name, d in self.decay.items()}
            object.__setattr__(self, "decay", _ByBlock(decays.items()))
        elif self.one_decay is None and not isinstance(self.decay, _ByBlock):
            object.__setattr__(self, "decay", _settle("decay", self.decay, OF_WEIGHTS))
        if self.weights is None:
            return
        object.__setattr__(self, "weights", _settle("weights", self.weights, OF_ROWS))
        if self.reduction == "mean":
            raise ValueError(
                "a mean with weights was asked for, expected a sum: divide the weights by what you"
                " mean (the number of rows, or the sum of the weights), and write"
                " Loss(weights=...)"
            )

    @property
    def one_decay(self) -> float | None:
        """The decay of all parameters; None if weights or blocks have decays of their own."""
        return float(self.decay) if isinstance(self.decay, int | float | np.number) else None

    @property
    def row_weights(self) -> Array | None:
        """The weights of the rows (R,); None if there are none."""
        return None if self.weights is None else np.array(self.weights, dtype=np.float64)

    @cached_property
    def has_decay(self) -> bool:
        """Is the decay of any parameter other than 0?"""
        if isinstance(self.decay, _ByBlock):
            return any(np.any(decay) for _, decay in self.decay)
        return bool(np.any(np.asarray(self.decay)))

    def decays(self, layout: Layout) -> Array:
        """Return the decay of each parameter (T,) of a network with this layout.

        Raises ValueError if the layout has another number of parameters, or lacks a block.
        """
        if isinstance(self.decay, _ByBlock):
            none = dict.fromkeys([block.name for block in layout.blocks], 0.0)
            return layout.join(none | dict(self.decay))
        given = np.array(self.decay, dtype=np.float64)
        if given.ndim and given.size != layout.size:
            raise ValueError(
                f"{given.size} numbers were given, expected {OF_WEIGHTS}: {layout.size} in nnet's"
                " order"
            )
        return np.broadcast_to(given, (layout.size,))

    def of_rows(self, rows: slice | NDArray[np.intp]) -> Loss:
        """Return the loss of some of the rows."""
        weights = self.row_weights
        return self if weights is None else replace(self, weights=weights[rows])

    def shares(self, rows: int, outputs: tuple[int, ...]) -> Array:
        """Return the weight of each squared error in the loss: (O,) if all rows weigh the same,
        else (R, O).

        `outputs` are the widths of the heads.
        """
        weights = self.row_weights
        if weights is not None:
            return np.repeat(weights[:, None], sum(outputs), axis=1)
        if self.reduction == "sum":
            return np.ones(sum(outputs))
        return np.concatenate([np.full(width, 1 / (rows * width)) for width in outputs])


class _ByBlock(tuple[tuple[str, Nested], ...]):
    """Decays of blocks: the name of each block, and its decay."""


def _settle(name: str, given: ArrayLike, one_axis: str = "") -> Nested:
    """Return an array as nested tuples.

    `one_axis` describes the numbers of an array that must have one axis. Raises ValueError for
    another number of axes, and unless all numbers are finite and not negative.
    """
    array = np.array(given, dtype=np.float64)
    if one_axis and array.ndim != 1:
        raise ValueError(f"{name} has shape {array.shape}, expected {one_axis}")
    wrong = array[~(np.isfinite(array) & (array >= 0))]
    if wrong.size:
        raise ValueError(f"{name} holds {wrong[0]:g}, expected finite numbers from 0")
    return _nest(array.tolist())


def _nest(numbers: float | list[float]) -> Nested:
    return tuple(map(_nest, numbers)) if isinstance(numbers, list) else numbers


SUM_OF_SQUARES = Loss()
