"""Common misreadings of a fitted object's weights, each as other weights in nnet's order.

nnet holds the weights unit by unit: each hidden unit's bias and then the weights of its inputs;
each output's bias, the weights of the hidden units and then, with skip, those of the inputs. In
shapes, T counts weights, H hidden units, I inputs and O outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations, permutations

import numpy as np

from harness.core.contract import Array
from reference.r.topology import Topology

FEW = 5  # units or columns of which all orders are tried; of more, only pairs are exchanged
DIGITS = range(2, 10)  # significant digits, or decimals, that a text may have kept
MOST_LOST = 3  # weights that may be missing at the end


@dataclass(frozen=True, eq=False)
class Reading:
    """The weights (T,) that a port would read by mistake, and a description."""

    words: str
    wts: Array


@dataclass(frozen=True, eq=False)
class _Layers:
    """The weights of a fully connected net: hidden units (H, 1 + I), outputs (O, 1 + H [+ I]).

    H counts hidden units and I inputs.
    """

    net: Topology
    hidden: Array
    outputs: Array

    @classmethod
    def of(cls, net: Topology, wts: Array) -> _Layers:
        cut = net.hidden * (1 + net.inputs)
        hidden = wts[:cut].reshape(net.hidden, 1 + net.inputs)
        return cls(net, hidden, wts[cut:].reshape(net.outputs, -1))

    @property
    def skips(self) -> bool:
        return self.net.hidden > 0 and self.outputs.shape[1] > 1 + self.net.hidden

    def joined(self, hidden: Array | None = None, outputs: Array | None = None) -> Array:
        parts = [self.hidden if hidden is None else hidden]
        parts.append(self.outputs if outputs is None else outputs)
        return np.concatenate([part.ravel() for part in parts])


def is_full(net: Topology) -> bool:
    """Does each hidden unit have all inputs, and each output all hidden units, as nnet() builds
    them?
    """
    lengths = {len(sources) for sources in net.connections[: net.hidden]}
    of_outputs = {len(sources) for sources in net.connections[net.hidden :]}
    full = {1 + net.hidden, 1 + net.hidden + net.inputs}
    return lengths <= {1 + net.inputs} and len(of_outputs) == 1 and of_outputs <= full


def list_readings(net: Topology, wts: Array, columns: tuple[str, ...]) -> Iterator[Reading]:
    """Yield all misreadings of the weights of a net, the commonest first."""
    if is_full(net):
        layers = _Layers.of(net, wts)
        yield from _read_orders(layers)
        yield from _exchange_units(layers)
        yield from _exchange_columns(layers, columns)
    yield from _lose_some(wts)
    yield from _lose_digits(wts)


def _bias_last(rows: Array) -> Array:
    return np.roll(rows, 1, axis=1)


def _by_column(rows: Array) -> Array:
    """Return a matrix whose numbers, taken row by row, are filled in column by column: the result
    if they are taken to be in R's order.
    """
    return rows.ravel().reshape(rows.shape[::-1]).T


def _weights_by_column(rows: Array) -> Array:
    return np.concatenate([rows[:, :1], _by_column(rows[:, 1:])], axis=1)


def _biases_first(rows: Array) -> Array:
    flat, count = rows.ravel(), len(rows)
    return np.concatenate([flat[:count, None], flat[count:].reshape(count, -1)], axis=1)


def _biases_after(rows: Array) -> Array:
    flat, count = rows.ravel(), len(rows)
    return np.concatenate([flat[-count:, None], flat[:-count].reshape(count, -1)], axis=1)


_ORDERS: tuple[tuple[str, Callable[[Array], Array]], ...] = (
    ("each unit's bias is read last, and nnet has it first", _bias_last),
    ("the weights are read by column, and nnet has them unit by unit", _by_column),
    ("the weights beside the biases are read by column, and nnet has them unit by unit",
     _weights_by_column),
    ("all biases are read first, and nnet has each before its unit's weights", _biases_first),
    ("all biases are read after the weights, and nnet has each before its unit's weights",
     _biases_after),
)  # fmt: skip


def _read_orders(layers: _Layers) -> Iterator[Reading]:
    """Yield readings in which the layers, or units, are taken in another order."""
    if layers.net.hidden == layers.net.inputs > 1:
        turned = np.hstack([layers.hidden[:, :1], layers.hidden[:, 1:].T])
        words = "the hidden weights are transposed (as many units as inputs, so the shapes fit)"
        yield Reading(words, layers.joined(hidden=turned))
    yield from _read_coefficients(layers)
    for words, change in _ORDERS:
        hidden = change(layers.hidden) if len(layers.hidden) else layers.hidden
        outputs = change(layers.outputs)
        yield Reading(words, layers.joined(hidden, outputs))
        if len(layers.hidden):
            yield Reading(f"in the hidden layer {words}", layers.joined(hidden=hidden))
            yield Reading(f"in the output layer {words}", layers.joined(outputs=outputs))
    if layers.skips:
        bias, rest = layers.outputs[:, :1], layers.outputs[:, 1:]
        inputs, hidden = np.split(rest, [layers.net.inputs], axis=1)
        words = "the skip inputs are read before the hidden units, and nnet has them after"
        yield Reading(words, layers.joined(outputs=np.hstack([bias, hidden, inputs])))
        in_order = 1 + layers.net.hidden
        outputs = layers.outputs.copy()
        outputs[:, in_order:] = 0.0
        words = "the skip inputs have no effect on the outputs"
        yield Reading(words, layers.joined(outputs=outputs))
    if layers.outputs.size and layers.hidden.size:
        both = layers.joined()
        swapped = np.concatenate([both[layers.outputs.size :], both[: layers.outputs.size]])
        words = "the outputs' weights are read first, and nnet has the hidden units' first"
        yield Reading(words, swapped)


def _read_coefficients(layers: _Layers) -> Iterator[Reading]:
    """Yield readings of multinom()'s coef(), a matrix with a row for each class but the first."""
    baseline, coef = layers.outputs[:1], layers.outputs[1:]
    if layers.net.hidden or baseline.any() or len(coef) < 2:
        return
    words = "the numbers of coef(fit), which R writes column by column, are taken row by row"
    by_row = coef.T.ravel().reshape(coef.shape)
    yield Reading(words, layers.joined(outputs=np.vstack([baseline, by_row])))
    words = "the rows of coef(fit), one a class, are taken for its columns"
    yield Reading(words, layers.joined(outputs=np.vstack([baseline, _by_column(coef)])))


def _orders(count: int) -> Iterator[tuple[int, ...]]:
    """Yield orders of `count` things other than the natural one: all orders of few things; the
    reversed order and exchanged pairs of many.
    """
    natural = tuple(range(count))
    if count <= FEW:
        yield from (order for order in permutations(natural) if order != natural)
        return
    yield natural[::-1]
    for one, other in combinations(natural, 2):
        order = list(natural)
        order[one], order[other] = other, one
        yield tuple(order)


def _exchange_units(layers: _Layers) -> Iterator[Reading]:
    """Yield readings in which the hidden units have another order in one layer only."""
    hidden = layers.net.hidden
    for order in _orders(hidden):
        moved = [unit for unit in range(hidden) if order[unit] != unit]
        units = " and ".join(map(str, moved)) if len(moved) == 2 else ", ".join(map(str, moved))
        words = f"hidden units {units} are exchanged in one layer only"
        yield Reading(words, layers.joined(hidden=layers.hidden[list(order)]))
        if len(moved) > 2:
            outputs = layers.outputs.copy()
            outputs[:, 1 : 1 + hidden] = layers.outputs[:, 1 : 1 + hidden][:, list(order)]
            yield Reading(words, layers.joined(outputs=outputs))


def _exchange_columns(layers: _Layers, columns: tuple[str, ...]) -> Iterator[Reading]:
    """Yield readings in which the inputs have another order; `columns` are their names."""
    net = layers.net
    for order in _orders(net.inputs):
        moved = [columns[column] for column in range(net.inputs) if order[column] != column]
        places = [0, *(1 + column for column in order)]
        hidden = layers.hidden[:, places] if len(layers.hidden) else layers.hidden
        outputs = layers.outputs
        if outputs.shape[1] > 1 + net.hidden:
            order_of_all = [*range(1 + net.hidden), *(1 + net.hidden + column for column in order)]
            outputs = outputs[:, order_of_all]
        words = f"the inputs {' and '.join(moved)} stand in another order than in R"
        yield Reading(words, layers.joined(hidden, outputs))


def _lose_some(wts: Array) -> Iterator[Reading]:
    """Yield readings that lose weights at the end, or begin one position too late or too early."""
    for count in range(1, min(MOST_LOST, len(wts) - 1) + 1):
        rest = wts.copy()
        rest[-count:] = 0.0
        lost = "weight is" if count == 1 else f"{count} weights are"
        yield Reading(f"the last {lost} dropped (0 in the port)", rest)
    for words, moved in (("second one", -1), ("last one", 1)):
        read = f"the weights are read from the {words} on"
        rolled = np.roll(wts, moved)
        yield Reading(read, rolled)
        cut = rolled.copy()
        cut[-1 if moved < 0 else 0] = 0.0
        yield Reading(read, cut)


def _lose_digits(wts: Array) -> Iterator[Reading]:
    """Yield readings with rounded weights: from a text with fewer digits, and from float32."""
    single = wts.astype(np.float32).astype(np.float64)
    words = "the weights went through float32, which keeps 7 digits: write 17, read them as float64"
    yield Reading(words, single)
    for digits in DIGITS:
        words = f"the weights were written with {digits} significant digits: write 17"
        rounded = np.array([float(f"{weight:.{digits}g}") for weight in wts])
        yield Reading(words, rounded)
        words = f"the weights were written with {digits} decimals: write 17 significant digits"
        yield Reading(words, np.round(wts, digits))
