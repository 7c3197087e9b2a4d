"""Searches for another order of the inputs or outputs that explains the observed outputs; a column
may also be used twice.

In shapes, D counts draws (problems of a stack), I inputs of all groups, O outputs of all heads, and
H hidden units.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np

from harness.core.contract import Array
from harness.core.layout import Block
from reference.explaining.order_words import describe_inputs, describe_outputs
from reference.explaining.stacks import ALIKE, Stack
from reference.faults.kinds import Blocks, Fault, Misread
from reference.mathematics.network import Network

NOTHING = -1  # the place of a column that is 0 throughout
FEW = 3  # draws at least that show an order


def find_orders(stacks: Sequence[Stack]) -> Iterator[Fault]:
    """Yield faults (mistakes): another order of the inputs or outputs that explains the observed
    outputs.
    """
    network = stacks[0].problem.network
    if not isinstance(network, Network):
        return
    outputs = _order_outputs(stacks)
    if outputs != list(range(len(outputs))):
        words = describe_outputs(outputs, network.outputs)
        yield Misread("outputs_ordered", words, partial(_take_outputs, outputs))
    inputs = _order_inputs(stacks, network)
    if inputs is not None and inputs != list(range(len(inputs))):
        words = describe_inputs(inputs, network.inputs)
        yield Misread("inputs_ordered", words, partial(_take_inputs, inputs))


def _order_outputs(stacks: Sequence[Stack]) -> list[int]:
    """Return, for each observed output, the number of the right output that is nearest to it in all
    stacks.
    """
    apart: Array | float = 0.0
    for stack in stacks:
        right, observed = stack.right["forward"], stack.observed["forward"]
        size = abs(right).max(axis=(1, 2), keepdims=True)
        scale = 1 / np.where(size > 0, size, 1.0)
        differences = scale[..., None] * (observed[..., :, None] - right[..., None, :])
        apart = apart + np.nan_to_num(differences**2, nan=np.inf).sum(axis=(0, 1))
    found: list[int] = np.argmin(apart, axis=1).tolist()
    return found


def _order_inputs(stacks: Sequence[Stack], network: Network) -> list[int] | None:
    """Return, for each input of the first layer, the number of the given input that is read in its
    place; None if unknown.

    In a problem of one row, the gradient by a weight of a hidden unit is the gradient by its bias
    times the input of this weight.
    """
    read, given = [], []
    for stack in stacks:
        problem = stack.problem
        if problem.rows > 1 or problem.loss.has_decay or "gradient" not in stack.observed:
            continue
        if not problem.formulation.is_renaming:
            return None
        slope = problem.formulation.matrix(stack.observed["gradient"])
        inputs, known = _divide_gradients(slope, network)
        read.append(inputs[known])
        given.append(problem.inputs[known, 0])
    if not read:
        return None
    return _match(np.concatenate(read), np.concatenate(given))


def _divide_gradients(slope: Array, network: Network) -> tuple[Array, Array]:
    """Return the inputs (D, I) that the hidden units read, computed from gradients (D, T), and a
    mask (D,) of the draws in which they are known.

    T counts the network's parameters. D counts draws (problems of a stack) and I inputs of all
    groups.
    """
    weights = _first_weights(network.layout.blocks)
    bias = next((b for b in network.layout.blocks if (b.role, b.layer) == ("bias", 1)), None)
    if bias is None or not network.to_hidden.all():
        return np.zeros((len(slope), sum(network.inputs))), np.zeros(len(slope), dtype=bool)
    of_bias = bias.of(slope)
    unit = np.argmax(abs(of_bias), axis=1)
    draws = np.arange(len(slope))
    largest = of_bias[draws, unit]
    known = np.isfinite(largest) & (largest != 0)
    of_weights = np.concatenate([block.of(slope)[draws, unit] for block in weights], axis=1)
    known &= np.isfinite(of_weights).all(axis=1)
    return of_weights / np.where(known, largest, 1.0)[:, None], known


def _match(read: Array, given: Array) -> list[int] | None:
    """Return, for each column of the inputs as they are read (draws, I), the number of the column
    of the given inputs (draws, I) that equals it; None unless there is exactly one.

    I counts inputs of all groups.
    """
    found = []
    for column in read.T:
        if len(column) < FEW:
            return None
        size = abs(given).max(axis=1)
        if (abs(column) <= ALIKE * size).all():
            found.append(NOTHING)
            continue
        same = (abs(column[:, None] - given) <= ALIKE * size[:, None]).all(axis=0)
        if same.sum() != 1:
            return None
        found.append(int(np.argmax(same)))
    return found


def _first_weights(blocks: Sequence[Block]) -> list[Block]:
    return [block for block in blocks if block.role == "weight" and block.layer == 1]


def _take_outputs(order: Sequence[int], p: Blocks) -> Blocks:
    """Return a copy of the blocks (parameter tensors by block) in which the rows of the heads, one
    for each output, have another order.
    """
    changed = dict(p)
    for blocks in _group(p, lambda b: b.head is not None, lambda b: (b.role, b.layer, b.group)):
        rows = np.concatenate([p[block] for block in blocks])[list(order)]
        start = 0
        for block in blocks:
            changed[block] = rows[start : start + len(p[block])]
            start += len(p[block])
    return changed


def _take_inputs(order: Sequence[int], p: Blocks) -> Blocks:
    """Return a copy of the blocks (parameter tensors by block) in which the columns of the first
    layer, one for each input, have another order.
    """
    changed = dict(p)
    for blocks in _group(p, lambda b: b.group is not None, lambda b: (b.layer, b.head)):
        columns = np.concatenate([p[block] for block in blocks], axis=1)
        moved = np.zeros_like(columns)
        for column, place in enumerate(order):
            if place != NOTHING:
                moved[:, place] += columns[:, column]
        start = 0
        for block in blocks:
            width = p[block].shape[1]
            changed[block] = moved[:, start : start + width]
            start += width
    return changed


def _group(
    p: Blocks, chosen: Callable[[Block], bool], key: Callable[[Block], object]
) -> list[list[Block]]:
    """Return the blocks (parameter tensors) for which `chosen` is true, grouped by `key`."""
    groups: dict[object, list[Block]] = {}
    for block in p:
        if chosen(block):
            groups.setdefault(key(block), []).append(block)
    return list(groups.values())
