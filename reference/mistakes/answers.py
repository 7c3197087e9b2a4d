"""Mistakes in answers: wrongly assembled gradients and outputs."""

from functools import partial

import numpy as np

from harness.core.contract import Array
from harness.core.problem import QUANTITIES
from reference.faults.changes import (
    B_V,
    B_W,
    V1,
    V2,
    W1,
    W2,
    B,
    change_answers,
    change_block,
    column_order,
    multiply_by,
    swap_blocks,
)
from reference.faults.kinds import SLOPES, Answer, Blocks, Fault, Slope
from reference.mistakes.losses import change_error


def _take_draw_before(answers: Array) -> Array:
    return np.roll(answers, 1, axis=0)


def _clip_norm(slope: Array) -> Array:
    """Return a copy of the gradient (D, T), scaled down in each draw to a norm of at most 1.

    D counts draws (problems of a stack), T the parameters of the network.
    """
    return np.asarray(slope / np.maximum(np.linalg.norm(slope, axis=1, keepdims=True), 1))


def _freeze_hidden(p: Blocks) -> Blocks:
    """Return a copy of the gradients, by block, that is 0 for all parameters of the hidden
    layer.
    """
    return {block: np.zeros_like(g) if block.layer == 1 else g for block, g in p.items()}


FAULTS: tuple[Fault, ...] = (
    Answer(
        "gradient_halved",
        "the gradient is one half of the right one: the factor 2 of the square's derivative is left"
        " out",
        change_error(change_answers(SLOPES, multiply_by(0.5))),
        "gradient",
        errors=("squares",),
    ),
    Answer("gradient_negated", "gradient negated", change_answers(SLOPES, np.negative), "gradient"),
    Answer(
        "gradient_stale",
        "gradient of the draw before",
        change_answers(SLOPES[:1], _take_draw_before),
        "gradient",
    ),
    Answer(
        "answers_stale", "answers of the draw before", change_answers(QUANTITIES, _take_draw_before)
    ),
    Answer(
        "gradient_accumulated",
        "gradients not set to zero between draws",
        change_answers(SLOPES[:1], partial(np.cumsum, axis=0)),
        "gradient",
        roundings=lambda problem: problem.draws,
    ),
    Answer(
        "gradient_clipped",
        "gradient clipped to a norm of 1",
        change_answers(SLOPES[:1], _clip_norm),
        "gradient",
        roundings=lambda problem: problem.formulation.own.size + 3,
    ),
    Slope(
        "gradient_column_order",
        "gradient of W1 in R's column order",
        change_block(W1, column_order),
    ),
    Slope(
        "gradient_transposed", "gradient of a square W2 transposed", change_block(W2, np.transpose)
    ),
    Slope(
        "gradients_swapped", "gradients of the heads exchanged", swap_blocks((W2, V2), (B_W, B_V))
    ),
    Slope("bias_grad_twice", "gradient of the bias counted twice", change_block(B, multiply_by(2))),
    Slope("bias_grad_dropped", "gradient of the bias left out", change_block(B, np.zeros_like)),
    Slope(
        "head_bias_grad_twice",
        "gradient of the first head's bias counted twice",
        change_block(B_W, multiply_by(2)),
    ),
    Slope("W1_detached", "gradient of W1 left out", change_block(W1, np.zeros_like)),
    Slope("V1_detached", "gradient of V1 left out", change_block(V1, np.zeros_like)),
    Slope("W2_detached", "gradient of W2 left out", change_block(W2, np.zeros_like)),
    Slope("V2_detached", "gradient of V2 left out", change_block(V2, np.zeros_like)),
    Slope("hidden_frozen", "gradients of the hidden layer's parameters left out", _freeze_hidden),
    Answer(
        "input_gradient_twice",
        "gradient by the inputs counted twice",
        change_answers(SLOPES[1:], multiply_by(2)),
        SLOPES[1],
    ),
)
