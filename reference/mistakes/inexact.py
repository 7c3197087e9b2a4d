"""Slightly wrong numbers: stored in a narrower dtype, or off by a relative size."""

from functools import partial

from harness.core.contract import Array, Contract
from harness.core.problem import QUANTITIES
from reference.faults.changes import (
    B_W,
    S1_W,
    V1,
    W1,
    W2,
    B,
    change_answers,
    change_block,
    change_first_entry,
    multiply_by_size,
)
from reference.faults.kinds import SLOPES, Answer, Blocks, Data, Fault, Hidden, Off, Slope

_float32, _bfloat16 = (Contract(dtype).rounded for dtype in ("float32", "bfloat16"))


def _round_to_bfloat16(p: Blocks) -> Blocks:
    return {block: _bfloat16(w) for block, w in p.items()}


def _store_hidden_in_bfloat16(z: Array, h: Array, d: Array) -> tuple[Array, Array]:
    return _bfloat16(h).astype(h.dtype), d


def _scale_inputs(size: float, x: Array) -> Array:
    return x * (1 + size)


def _scale_slope(size: float, z: Array, h: Array, d: Array) -> tuple[Array, Array]:
    return h, d * (1 + size)


def _scale_activation(size: float, z: Array, h: Array, d: Array) -> tuple[Array, Array]:
    return h * (1 + size), d


NARROW: tuple[Fault, ...] = (
    Answer(
        "answers_in_float32",
        "answers stored in float32",
        change_answers(QUANTITIES, _float32),
        kept_in="float32",
    ),
    Off("weights_in_bfloat16", "weights rounded to bfloat16", _round_to_bfloat16),
    Hidden("hidden_in_bfloat16", "hidden layer stored in bfloat16", _store_hidden_in_bfloat16),
)

SIZED: tuple[Fault, ...] = (
    *(
        Off(
            f"{which.name}_off",
            f"one entry of {which.name}",
            multiply_by_size(partial(change_first_entry, which)),
            sized=True,
        )
        for which in (W1, V1, B, W2, B_W, S1_W)
    ),
    Off("W2_all_off", "W2", multiply_by_size(partial(change_block, W2)), sized=True),
    Data("inputs_scaled", "inputs", _scale_inputs, sized=True),
    Hidden(
        "slope_off", "derivative of the hidden activation", _scale_slope, "gradient", sized=True
    ),
    Hidden("activation_off", "hidden activation", _scale_activation, sized=True),
    Answer(
        "loss_off", "loss", multiply_by_size(partial(change_answers, ["loss"])), "loss", sized=True
    ),
    *(
        Slope(
            f"{which.name}_grad_off",
            f"gradient of {which.name}",
            multiply_by_size(partial(change_block, which)),
            sized=True,
        )
        for which in (W1, B, W2, S1_W)
    ),
    Answer(
        "input_gradient_off",
        "gradient by the inputs",
        multiply_by_size(partial(change_answers, SLOPES[1:])),
        SLOPES[1],
        sized=True,
    ),
)
