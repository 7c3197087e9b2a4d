"""The loss of a problem: errors of its heads, weighed by rows, and decay of the network's
parameters.

In shapes, R counts rows of data, O outputs of all heads, and K outputs of one head. T counts the
network's parameters, which form the vector theta.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from harness.core.contract import Array, Indices
from harness.core.layout import Layout

Error = Literal["squares", "entropy", "bce", "softmax", "kl", "censored"]
Reduction = Literal["sum", "mean", "mean_of_rows"]
Targets = Literal["classes", "labels", "shares"]
Nested = float | tuple["Nested", ...]  # an array that can be compared and hashed
OF_WEIGHTS, OF_ROWS = (
    "one number, or one for each of the network's weights",
    "one number for each row",
)
# the errors of outputs; of the last ones, a row of a head's outputs has one
OF_A_ROW = ("softmax", "kl", "censored")
ERRORS = ("squares", "entropy", "bce", *OF_A_ROW)
REDUCTIONS = ("sum", "mean", "mean_of_rows")
TARGETS = ("classes", "labels", "shares")
CALLED = {  # by PyTorch, and here
    "none": "sum",
    "batchmean": "mean",
    "mse": "squares",
    "cross_entropy": "softmax",
    "nll": "softmax",
    "binary_cross_entropy": "bce",
    "kl_div": "kl",
}


@dataclass(frozen=True)
class Loss:
    """The sum of the errors of all heads, plus decay times the sum of squared parameters (nnet's
    `decay`).

    `error` is the error of a head's outputs o against targets t, one name or one for each head:

    - "squares": (o - t)^2, without a factor of one half;
    - "entropy": -t log(p / t) - (1 - t) log((1 - p) / (1 - t)), as nnet's `entropy=TRUE`, which
      subtracts the entropy of the targets; "bce" does not;
    - "softmax": -sum t log p over a row's outputs, as nnet's `softmax=TRUE`; "kl" subtracts the
      entropy of the targets, as torch's KLDivLoss;
    - "censored": -log of the sum of p over the outputs whose target is 1, as nnet's
      `censored=TRUE`.

    p are probabilities: the outputs themselves or, with `from_logits`, the logistic function of the
    outputs ("entropy", "bce") or their softmax (all others). `from_logits` is one flag, or one for
    each head.

    `reduction` is "sum", "mean" or "mean_of_rows". As in PyTorch's losses, "mean" is over the rows
    and units of each head, or over its rows if an error belongs to a row. `factor` multiplies the
    errors of all heads, or of each head. `decay` is one number, one for each of the network's
    parameters in nnet's order (T,), or a dict of blocks by name, as {"W1": 0.1}; other blocks have
    no decay. `weights` (R,) multiply the errors of each row, as nnet's `weights` do; they need the
    reduction "sum".

    `class_weights` (K,) multiply the targets of a "softmax" error, and `label_smoothing` mixes them
    with equal shares, as in torch's CrossEntropyLoss. Its mean divides by the weights of the rows'
    classes; if the targets are shares, torch divides by the number of rows ("mean_of_rows").

    `targets` names the kind of targets that probes draw. They are "classes" (one output of a row is
    1, or each is 0 or 1), "labels" (the same, but a model's own loss gets the numbers of the
    classes), or "shares" (any numbers from 0 to 1).

    Raises ValueError for another error, reduction or targets, and for weights, factors or decays
    that are not finite numbers from 0.
    """

    reduction: Reduction = "sum"
    decay: ArrayLike | Mapping[str, ArrayLike] = 0.0
    weights: ArrayLike | None = None
    error: Error | Sequence[Error] = "squares"
    from_logits: bool | Sequence[bool] = False
    factor: float | Sequence[float] = 1.0
    class_weights: ArrayLike | None = None
    label_smoothing: float = 0.0
    targets: Targets = "classes"

    def __post_init__(self) -> None:
        _expect("reduction", self.reduction, REDUCTIONS)
        for error in self.errors(1):
            _expect("error", error, ERRORS)
        _expect("targets", self.targets, TARGETS)
        self._settle_by_head()
        if isinstance(self.decay, Mapping):
            decays = {name: _settle(f"decay of {name}", d) for name, d in self.decay.items()}
            object.__setattr__(self, "decay", _ByBlock(decays.items()))
        elif self.one_decay is None and not isinstance(self.decay, _ByBlock):
            object.__setattr__(self, "decay", _settle("decay", self.decay, OF_WEIGHTS))
        self._settle_changes()
        if self.weights is None:
            return
        object.__setattr__(self, "weights", _settle("weights", self.weights, OF_ROWS))
        if self.reduction != "sum":
            raise ValueError(
                "a mean with weights was asked for, expected a sum: divide the weights by what you"
                " mean (the number of rows, or the sum of the weights), and write"
                " Loss(weights=...)"
            )

    def _settle_by_head(self) -> None:
        """Convert the fields that have one entry for each head to tuples."""
        if not isinstance(self.error, str):
            object.__setattr__(self, "error", tuple(self.error))
        if not isinstance(self.from_logits, bool):
            object.__setattr__(self, "from_logits", tuple(map(bool, self.from_logits)))
        if not isinstance(self.factor, int | float):
            object.__setattr__(self, "factor", _settle("factor", self.factor, "one for each head"))

    def _settle_changes(self) -> None:
        """Convert class weights to a tuple, and check the label smoothing.

        Raises ValueError if the label smoothing is not from 0 to below 1, or if it or class weights
        are given and the error is not "softmax".
        """
        if self.class_weights is not None:
            weights = _settle("class_weights", self.class_weights, "one number for each class")
            object.__setattr__(self, "class_weights", weights)
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(
                f"label_smoothing is {self.label_smoothing}, expected a number from 0 to below 1"
            )
        if self.changes_targets and self.error != "softmax":
            raise ValueError(
                f"class_weights and label_smoothing are of the error 'softmax', found"
                f" {self.error!r}: write the weights into the targets"
            )

    def errors(self, heads: int) -> tuple[Error, ...]:
        """Return the name of the error of each of `heads` heads (output tensors)."""
        return (self.error,) * heads if isinstance(self.error, str) else tuple(self.error)

    def logits(self, heads: int) -> tuple[bool, ...]:
        """Return for each of `heads` heads (output tensors) whether its outputs are logits."""
        given = self.from_logits
        return (given,) * heads if isinstance(given, bool) else tuple(given)

    @property
    def is_squares(self) -> bool:
        """Are the errors of all heads squares?"""
        return set(self.errors(1)) == {"squares"}

    @property
    def changes_targets(self) -> bool:
        """Do class weights or label smoothing change the targets?"""
        return self.class_weights is not None or self.label_smoothing > 0

    def expect_heads(self, outputs: tuple[int, ...]) -> None:
        """Raise ValueError unless the loss fits heads with these numbers of outputs."""
        heads = len(outputs)
        for name, given in (
            ("error", self.error),
            ("from_logits", self.from_logits),
            ("factor", self.factor),
        ):
            if isinstance(given, tuple) and len(given) != heads:
                raise ValueError(
                    f"{name} has {len(given)} entries, expected {heads}: one for each head"
                )
        for error, width in zip(self.errors(heads), outputs, strict=True):
            if error in OF_A_ROW and width < 2:
                raise ValueError(
                    f"a head of 1 output has the error {error!r}, expected 2 outputs or more: for"
                    " one output write error='entropy', as nnet does"
                )
        if self.class_weights is not None and any(
            w != np.size(self.class_weights) for w in outputs
        ):
            raise ValueError(
                f"class_weights has {np.size(self.class_weights)} numbers, expected one for each of"
                f" {outputs} outputs"
            )

    def change_targets(self, targets: Array) -> Array:
        """Return targets (..., K) changed by label smoothing and class weights."""
        smoothed = targets
        if self.label_smoothing:
            share = self.label_smoothing
            smoothed = (1 - share) * targets + share / targets.shape[-1]
        return smoothed if self.class_weights is None else smoothed * np.array(self.class_weights)

    @property
    def one_decay(self) -> float | None:
        """The decay of all parameters; None if parameters have different decays."""
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

    def of_rows(self, rows: slice | Indices) -> Loss:
        """Return a copy of the loss for some of the rows only: their weights, if there are any."""
        weights = self.row_weights
        return self if weights is None else replace(self, weights=weights[rows])

    def shares(self, rows: int, outputs: tuple[int, ...]) -> Array:
        """Return the weight of each output's error in the loss: (O,) if all rows weigh the same,
        else (R, O).

        `rows` is the number of rows, and `outputs` are the widths of the heads. An error of a whole
        row has the weight of any output of its head.
        """
        factors = np.broadcast_to(np.asarray(self.factor, dtype=np.float64), (len(outputs),))
        errors = self.errors(len(outputs))
        parts = []
        for width, factor, error in zip(outputs, factors, errors, strict=True):
            terms = 1
            if self.reduction == "mean":
                terms = rows if error in OF_A_ROW else rows * width
            elif self.reduction == "mean_of_rows":
                terms = rows
            parts.append(np.full(width, factor / terms))
        shares = np.concatenate(parts)
        weights = self.row_weights
        return shares if weights is None else weights[:, None] * shares


class _ByBlock(tuple[tuple[str, Nested], ...]):
    """Pairs of the name of a block and its decay."""


def _settle(name: str, given: ArrayLike, one_axis: str = "") -> Nested:
    """Return an array as nested tuples; `name` is its name in messages.

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


def _expect(name: str, given: object, known: tuple[str, ...]) -> None:
    """Raise ValueError unless the argument `given` is one of the known names; `name` is its
    name.
    """
    if given not in known:
        names = ", ".join(map(repr, known))
        called = CALLED.get(str(given))
        write = f": write {name}={called!r}" if called in known else ""
        raise ValueError(f"{name} {given!r} is not known, expected one of {names}{write}")


def _nest(numbers: float | list[float]) -> Nested:
    return tuple(map(_nest, numbers)) if isinstance(numbers, list) else numbers


SUM_OF_SQUARES = Loss()
