"""Mistakes in the meaning and in the numbers of parameters."""

from collections.abc import Callable

import numpy as np

from harness.core.contract import Array
from harness.core.layout import Block
from reference.faults.changes import (
    B_V,
    B_W,
    S1_W,
    V1,
    V2,
    W1,
    W2,
    B,
    change_block,
    change_first_entry,
    column_order,
    multiply_by,
    roll,
    swap_blocks,
)
from reference.faults.kinds import Blocks, Fault, Misread, Off


def _share_first_bias(b: Array) -> Array:
    return b[:1] + 0 * b


def _reverse_units(p: Blocks) -> Blocks:
    """Return a copy of the blocks (parameter tensors) in which the hidden units are reversed in the
    weights of the inputs, but not in the bias.
    """
    changed = dict(p)
    for block, w in p.items():
        if block.role == "weight" and block.layer == 1:
            changed[block] = w[::-1]
    return changed


def _exchange_units(w: Array) -> Array:
    return w[:, [1, 0, *range(2, w.shape[1])]]


def _read_bias_last(p: Blocks) -> Blocks:
    """Return the blocks (parameter tensors) as they are read if each unit's bias is taken to come
    last; in nnet it comes first.
    """
    changed = dict(p)
    for bias, b in p.items():
        if bias.role != "bias":
            continue
        weights = [
            block
            for block in p
            if block.role == "weight" and (block.layer, block.head) == (bias.layer, bias.head)
        ]
        unit = np.concatenate([b[:, None], *(p[block] for block in weights)], axis=1)
        start = 0
        for block in weights:
            width = p[block].shape[1]
            changed[block] = unit[:, start : start + width]
            start += width
        changed[bias] = unit[:, start]
    return changed


def _is_skip(block: Block) -> bool:
    return block.role == "weight" and block.layer == 2 and block.group is not None


def _drop_skip(p: Blocks) -> Blocks:
    """Return a copy of the blocks (parameter tensors) in which the weights from the inputs to the
    outputs are 0.
    """
    return {block: np.zeros_like(w) if _is_skip(block) else w for block, w in p.items()}


def _read_skip_first(p: Blocks) -> Blocks:
    """Return the blocks (parameter tensors) as they are read if an output's weights for inputs are
    taken to come before those for hidden units; in nnet they come last.
    """
    changed = dict(p)
    for head in {block.head for block in p if _is_skip(block)}:
        last = [block for block in p if _is_skip(block) and block.head == head]
        of_head = [block for block in p if (block.role, block.head) == ("weight", head)]
        hidden_units = [block for block in of_head if not _is_skip(block)]
        unit = np.concatenate([p[block] for block in [*hidden_units, *last]], axis=1)
        start = 0
        for block in [*last, *hidden_units]:
            width = p[block].shape[1]
            changed[block] = unit[:, start : start + width]
            start += width
    return changed


def _add_one_ulp(w: Array) -> Array:
    return np.nextafter(w, np.inf)


def _add_a_lost_tenth(b: Array) -> Array:
    return b + (float(np.float32(0.1)) - 0.1)


FAULTS: tuple[Fault, ...] = (
    Misread("bias_dropped", "hidden bias left out", change_block(B, np.zeros_like)),
    Misread(
        "head_bias_dropped", "bias of the first head left out", change_block(B_W, np.zeros_like)
    ),
    Misread(
        "second_bias_dropped", "bias of the second head left out", change_block(B_V, np.zeros_like)
    ),
    Misread(
        "head_bias_doubled", "bias of the first head added twice", change_block(B_W, multiply_by(2))
    ),
    Misread(
        "bias_shared",
        "one bias, the first unit's, for all hidden units",
        change_block(B, _share_first_bias),
    ),
    Misread("bias_negated", "hidden bias subtracted", change_block(B, np.negative)),
    Misread("bias_doubled", "hidden bias added twice", change_block(B, multiply_by(2))),
    Misread("bias_rolled", "hidden biases rolled by one unit", change_block(B, roll)),
    Misread("W1_transposed", "square W1 transposed", change_block(W1, np.transpose)),
    Misread("W2_transposed", "square W2 transposed", change_block(W2, np.transpose)),
    Misread("W1_column_order", "W1 read in R's column order", change_block(W1, column_order)),
    Misread("W2_column_order", "W2 read in R's column order", change_block(W2, column_order)),
    Misread("units_reversed", "hidden units in reverse order in W1 and V1 only", _reverse_units),
    Misread(
        "units_exchanged",
        "two hidden units exchanged in W2 only",
        change_block(W2, _exchange_units),
    ),
    Misread(
        "bias_last", "each unit's bias is read last, nnet's order has it first", _read_bias_last
    ),
    Misread("skip_dropped", "connections from inputs to outputs left out", _drop_skip),
    Misread(
        "skip_first",
        "an output's inputs are read before its hidden units, nnet's order has them after these",
        _read_skip_first,
    ),
    Misread("S1_w_transposed", "square S1_w transposed", change_block(S1_W, np.transpose)),
    Misread("S1_w_column_order", "S1_w read in R's column order", change_block(S1_W, column_order)),
    Misread("inputs_swapped", "the two inputs are exchanged, or W1 and V1", swap_blocks((W1, V1))),
    Misread("heads_swapped", "the two heads are exchanged", swap_blocks((W2, V2), (B_W, B_V))),
    Misread("head_weights_swapped", "W2 and V2 exchanged", swap_blocks((W2, V2))),
    Misread("head_bias_swapped", "b_w and b_v exchanged", swap_blocks((B_W, B_V))),
    Off("W1_off_1ulp", "one entry of W1 off by 1ulp", change_first_entry(W1, _add_one_ulp)),
    Off("W2_off_1ulp", "one entry of W2 off by 1ulp", change_first_entry(W2, _add_one_ulp)),
    Off(
        "bias_through_float32",
        "0.1 added to the bias as a float32 constant and taken off in double",
        change_block(B, _add_a_lost_tenth),
    ),
)


def _drop_biases(of_hidden: bool) -> Callable[[Blocks], Blocks]:
    """Return a function that leaves out the biases of all heads (output tensors), and those of the
    hidden units if `of_hidden`.
    """

    def changed(p: Blocks) -> Blocks:
        found = dict(p)
        for block, b in p.items():
            if block.role == "bias" and (of_hidden or block.head is not None):
                found[block] = np.zeros_like(b)
        return found

    return changed


# tried to explain a failure
OTHERS: tuple[Fault, ...] = (
    Misread("output_biases_dropped", "biases of all heads left out", _drop_biases(False)),
    Misread("all_biases_dropped", "all biases left out", _drop_biases(True)),
)
