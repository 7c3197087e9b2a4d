"""The catalogue: mistakes that real ports make, a row each, to test the judge and to name what it
finds.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from harness.arithmetic.plain import logistic
from harness.core.contract import Array, Contract
from harness.core.problem import QUANTITIES, Problem
from reference.faults.kinds import (
    SLOPES,
    Answer,
    Answers,
    Blocks,
    Data,
    Fault,
    Hidden,
    Misread,
    Off,
    OnBlocks,
    Posed,
    Slope,
    solve,
    undecayed,
)
from reference.mathematics.network import Network

LOSS = ("loss", *SLOPES)  # what scales with it
_float32, _bfloat16 = (Contract(dtype).rounded for dtype in ("float32", "bfloat16"))

# What can be done to arrays, blocks and answers.


def _on(name: str, change: Callable[[Array], Array]) -> Callable[[Blocks], Blocks]:
    """One block changed, the others as they are."""
    return lambda p: {**p, name: change(p[name])}


def _swap(*pairs: tuple[str, str]) -> Callable[[Blocks], Blocks]:
    exchange = dict(pairs) | {b: a for a, b in pairs}
    return lambda p: {name: p[exchange.get(name, name)] for name in p}


def _first(name: str, change: Callable[[Array], Array]) -> Callable[[Blocks], Blocks]:
    """The first entry of a block that is not 0 changed, or the very first."""

    def changed(w: Array) -> Array:
        first = np.arange(w.size).reshape(w.shape) == np.argmax(w.ravel() != 0)
        return np.where(first, change(w), w)

    return _on(name, changed)


def _column_order(w: Array) -> Array:
    return w.ravel().reshape(w.shape[::-1]).T


def _exchanged(w: Array) -> Array:
    return w[:, [1, 0, *range(2, w.shape[1])]]


def _rolled(w: Array) -> Array:
    return np.roll(w, 1, -1)


def _stale(answers: Array) -> Array:
    """Each draw's is that of the draw before."""
    return np.roll(answers, 1, axis=0)


def _rows_reversed(x: Array) -> Array:
    return x[:, ::-1]


def _bias_last(p: Blocks) -> Blocks:
    """Each unit's numbers, of which nnet puts the bias first, read as if it stood last."""
    out = dict(p)
    for bias in (name for name in p if p[name].ndim == 1):
        head = bias[2:].upper()
        weights = [f"{head}2"] if head else [name for name in p if name.endswith("1")]
        unit = np.concatenate([p[bias][:, None], *(p[name] for name in weights)], axis=1)
        cuts = np.cumsum([p[name].shape[1] for name in weights])
        out |= dict(zip((*weights, bias), np.split(unit, cuts, axis=1), strict=True))
        out[bias] = out[bias][:, 0]
    return out


def _by(factor: float) -> Callable[[Array], Array]:
    return lambda w: w * factor


def _of(
    quantities: Sequence[str], change: Callable[[Array], Array]
) -> Callable[[Answers, Problem], Answers]:
    """Some answers changed, the others as they are."""
    return lambda a, problem: {
        name: change(value) if name in quantities else value for name, value in a.items()
    }


def _off(where: Callable[[Callable[[Array], Array]], Callable[..., Any]]) -> Callable[..., Any]:
    """What stands there off by a size."""
    return lambda size, *given: where(_by(1 + size))(*given)


def _instead(
    act: Callable[[Array], Array], slope: Callable[[Array], Array]
) -> Callable[..., tuple[Array, Array]]:
    """Another activation, and its slope."""
    return lambda z, h, d: (act(z), slope(z))


def _of_error(
    change: Callable[[Answers, Problem], Answers],
) -> Callable[[Answers, Problem], Answers]:
    """The error changed, and decay as it is."""

    def changed(a: Answers, problem: Problem) -> Answers:
        alone = solve(undecayed(problem), Contract()) if problem.loss.decay else a
        other = change(alone, problem)
        return (
            {name: a[name] + (other[name] - alone[name]) for name in a}
            if problem.loss.decay
            else other
        )

    return changed


def _mean(a: Answers, problem: Problem) -> Answers:
    return _of(LOSS, _by(1 / (problem.rows * sum(problem.formulation.network.outputs))))(a, problem)


def _last_row_dropped(a: Answers, problem: Problem) -> Answers:
    if problem.rows == 1:
        return a
    part = replace(
        undecayed(problem), inputs=problem.inputs[:, :-1], targets=problem.targets[:, :-1]
    )
    rest = solve(part, Contract())
    rest["input_gradient"] = np.pad(rest["input_gradient"], ((0, 0), (0, 1), (0, 0)))
    return {**rest, "forward": a["forward"]}


def _decayed(factor: float) -> Callable[[Problem], Problem]:
    """Decay times a factor."""
    return lambda problem: replace(
        problem, loss=replace(problem.loss, decay=factor * problem.loss.decay)
    )


def _biases_undecayed(a: Answers, problem: Problem) -> Answers:
    """As with weight_decay for parameters of more than one axis only."""
    network, decay = problem.formulation.network, problem.loss.decay
    biases = np.zeros(network.layout.size)
    for block in network.layout.blocks:
        biases[block.places.ravel()] = block.places.ndim == 1
    own = problem.theta * biases
    return {
        **a,
        "loss": a["loss"] - decay * (own**2).sum(axis=1),
        "gradient": a["gradient"] - 2 * decay * own,
    }


def _root(a: Answers, problem: Problem) -> Answers:
    """The root of the mean square."""
    mean = _mean(a, problem)
    root = np.sqrt(mean["loss"])
    scaled = {
        name: mean[name] / (2 * root.reshape(-1, *[1] * (mean[name].ndim - 1))) for name in SLOPES
    }
    return {**a, "loss": root, **scaled}


def _clipped(slope: Array) -> Array:
    """Its norm at most 1."""
    return np.asarray(slope / np.maximum(np.linalg.norm(slope, axis=1, keepdims=True), 1))


def _one_row_for_all(x: Array) -> Array:
    return np.broadcast_to(x[:, :1], x.shape)


def _tanh_slope(z: Array) -> Array:
    return np.asarray(1 - np.tanh(z) ** 2)


def _logistic_slope(z: Array) -> Array:
    return np.asarray(logistic(z) * (1 - logistic(z)))


def _nnet_clip(z: Array, h: Array, d: Array) -> tuple[Array, Array]:
    return np.where(abs(z) > 15, z > 0, h), np.where(abs(z) > 15, 0, d)


SIZES = (1e-3, 1e-6, 1e-12)  # of what is off, relative to it

# A row for each mistake; those without a size stand first.
OPERATORS: tuple[Fault, ...] = (
    Misread("bias_dropped", "hidden bias left out", _on("b", np.zeros_like)),
    Misread("head_bias_dropped", "bias of the first head left out", _on("b_w", np.zeros_like)),
    Misread("second_bias_dropped", "bias of the second head left out", _on("b_v", np.zeros_like)),
    Misread("head_bias_doubled", "bias of the first head added twice", _on("b_w", _by(2))),
    Misread(
        "bias_shared",
        "one bias, the first unit's, for all hidden units",
        _on("b", lambda b: b[:1] + 0 * b),
    ),
    Misread("bias_negated", "hidden bias subtracted", _on("b", np.negative)),
    Misread("bias_doubled", "hidden bias added twice", _on("b", _by(2))),
    Misread("bias_rolled", "hidden biases rolled by one unit", _on("b", _rolled)),
    Misread("W1_transposed", "square W1 transposed", _on("W1", np.transpose)),
    Misread("W2_transposed", "square W2 transposed", _on("W2", np.transpose)),
    Misread("W1_column_order", "W1 read in R's column order", _on("W1", _column_order)),
    Misread("W2_column_order", "W2 read in R's column order", _on("W2", _column_order)),
    Misread(
        "units_reversed",
        "hidden units in reverse order in W1 and V1 only",
        lambda p: {n: w[::-1] if n.endswith("1") else w for n, w in p.items()},
    ),
    Misread("units_exchanged", "two hidden units exchanged in W2 only", _on("W2", _exchanged)),
    Misread("bias_last", "nnet's order, each unit's bias first, read as bias last", _bias_last),
    Misread("inputs_swapped", "W1 and V1 exchanged", _swap(("W1", "V1"))),
    Misread("heads_swapped", "the heads exchanged", _swap(("W2", "V2"), ("b_w", "b_v"))),
    Misread("head_weights_swapped", "W2 and V2 exchanged", _swap(("W2", "V2"))),
    Misread("head_bias_swapped", "b_w and b_v exchanged", _swap(("b_w", "b_v"))),
    *(
        Off(
            f"{block}_off_1ulp",
            f"one entry of {block} off by 1ulp",
            _first(block, lambda w: np.nextafter(w, np.inf)),
        )
        for block in ("W1", "W2")
    ),
    Off(
        "bias_through_float32",
        "0.1 added to the bias as a float32 constant and taken off in double",
        _on("b", lambda b: b + (float(np.float32(0.1)) - 0.1)),
    ),
    Data("rows_reversed", "rows of the inputs reversed", _rows_reversed),
    Data("inputs_negated", "inputs negated", np.negative),
    Data("columns_reversed", "columns of the inputs in reverse order", lambda x: x[..., ::-1]),
    Data("one_row_for_all", "first row of the inputs taken for all", _one_row_for_all),
    Data("columns_rolled", "columns of the inputs rolled", _rolled),
    Data(
        "targets_reversed", "rows of the targets reversed", _rows_reversed, "loss", part="targets"
    ),
    Data("targets_negated", "targets negated", np.negative, "loss", part="targets"),
    Data("targets_rolled", "columns of the targets rolled", _rolled, "loss", part="targets"),
    Hidden(
        "tanh_for_logistic",
        "tanh in place of the logistic",
        _instead(np.tanh, _tanh_slope),
        of="logistic",
    ),
    Hidden(
        "logistic_for_tanh",
        "the logistic in place of tanh",
        _instead(logistic, _logistic_slope),
        of="tanh",
    ),
    Hidden("no_activation", "hidden activation left out", lambda z, h, d: (z, None)),
    Hidden(
        "atan_for_tanh",
        "atan in place of tanh",
        _instead(np.arctan, lambda z: 1 / (1 + z * z)),
        of="tanh",
    ),
    Hidden(
        "half_argument",
        "2 logistic(z) - 1 in place of 2 logistic(2z) - 1",
        _instead(lambda z: np.tanh(z / 2), lambda z: _tanh_slope(z / 2) / 2),
        of="tanh",
    ),
    Hidden(
        "hard_tanh",
        "hard tanh in place of tanh",
        _instead(lambda z: np.clip(z, -1, 1), lambda z: np.where(abs(z) < 1, 1.0, 0.0)),
        of="tanh",
    ),
    Hidden(
        "hard_sigmoid",
        "hard sigmoid in place of the logistic",  # as Keras had it
        _instead(
            lambda z: np.clip(0.2 * z + 0.5, 0, 1), lambda z: np.where(abs(z) < 2.5, 0.2, 0.0)
        ),
        of="logistic",
    ),
    Hidden("nnet_clip", "logistic exactly 0 or 1 beyond 15, as nnet's", _nnet_clip, of="logistic"),
    Hidden(
        "softplus",
        "softplus in place of ReLU",
        _instead(partial(np.logaddexp, 0), logistic),
        of="relu",
    ),
    Hidden(
        "elu",
        "ELU in place of ReLU",
        _instead(
            lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0))),
            lambda z: np.exp(np.minimum(z, 0)),
        ),
        of="relu",
    ),
    Hidden(
        "relu6",
        "ReLU6 in place of ReLU",
        _instead(lambda z: np.clip(z, 0, 6), lambda z: np.where((z > 0) & (z < 6), 1.0, 0.0)),
        of="relu",
    ),
    Hidden(
        "no_output_activation", "output activation left out", lambda z, h, d: (z, None), layer=1
    ),
    Hidden(
        "output_activation_twice",
        "output activation applied twice",
        lambda z, h, d: (logistic(h), d * _logistic_slope(h)),
        of="logistic",
        layer=1,
    ),
    Hidden(
        "output_slope",
        "derivative of the output activation left out",
        lambda z, h, d: (h, None),
        "gradient",
        layer=1,
    ),
    Hidden(
        "leaky_relu",
        "leaky ReLU (0.01) in place of ReLU",
        _instead(lambda z: np.where(z > 0, z, 0.01 * z), lambda z: np.where(z > 0, 1, 0.01)),
        of="relu",
    ),
    Hidden(
        "hard_clip",
        "tanh exactly 1 beyond 3",
        lambda z, h, d: (np.where(abs(z) > 3, np.sign(h), h), d),
        of="tanh",
    ),
    Hidden(
        "activation_in_float32",
        "activation computed in float32",
        lambda z, h, d: (h.astype(np.float32).astype(h.dtype), d),
        of="tanh logistic",
    ),
    Hidden(
        "no_derivative",
        "derivative of the activation left out",
        lambda z, h, d: (h, None),
        "gradient",
    ),
    Hidden(
        "tanh_slope_1-h",
        "1 - h in place of 1 - h^2",
        lambda z, h, d: (h, 1 - h),
        "gradient",
        of="tanh",
    ),
    Hidden(
        "logistic_slope_h",
        "h in place of h (1 - h)",
        lambda z, h, d: (h, h),
        "gradient",
        of="logistic",
    ),
    Hidden(
        "slope_at_h",
        "derivative taken at h in place of z",
        lambda z, h, d: (h, _tanh_slope(h)),
        "gradient",
        of="tanh",
    ),
    Answer("mean_for_sum", "mean in place of the sum", _of_error(_mean), "loss"),
    Answer("half_square", "one half of the squared error", _of_error(_of(LOSS, _by(0.5))), "loss"),
    Posed("decay_doubled", "decay counted twice", _decayed(2.0), "loss"),
    Posed("decay_halved", "one half of the decay", _decayed(0.5), "loss"),
    Posed("decay_dropped", "decay left out", _decayed(0.0), "loss"),
    Answer("biases_undecayed", "decay left out for biases", _biases_undecayed, "loss"),
    Answer(
        "root_mean_square", "root of the mean square in place of the sum", _of_error(_root), "loss"
    ),
    Answer(
        "last_row_dropped", "last row left out of the loss", _of_error(_last_row_dropped), "loss"
    ),
    Answer(
        "gradient_halved",
        "factor 2 of the square left out",
        _of_error(_of(SLOPES, _by(0.5))),
        "gradient",
    ),
    Answer("gradient_negated", "gradient negated", _of(SLOPES, np.negative), "gradient"),
    Answer("gradient_stale", "gradient of the draw before", _of(SLOPES[:1], _stale), "gradient"),
    Answer("answers_stale", "answers of the draw before", _of(QUANTITIES, _stale)),
    Answer(
        "gradient_accumulated",
        "gradients not set to zero between draws",
        _of(SLOPES[:1], partial(np.cumsum, axis=0)),
        "gradient",
        roundings=lambda problem: problem.draws,
    ),
    Answer(
        "gradient_clipped",
        "gradient clipped to a norm of 1",
        _of(SLOPES[:1], _clipped),
        "gradient",
        roundings=lambda problem: problem.formulation.own.size + 3,
    ),
    Slope("gradient_column_order", "gradient of W1 in R's column order", _on("W1", _column_order)),
    Slope("gradient_transposed", "gradient of a square W2 transposed", _on("W2", np.transpose)),
    Slope(
        "gradients_swapped", "gradients of the heads exchanged", _swap(("W2", "V2"), ("b_w", "b_v"))
    ),
    Slope("bias_grad_twice", "gradient of the bias counted twice", _on("b", _by(2))),
    Slope("bias_grad_dropped", "gradient of the bias left out", _on("b", np.zeros_like)),
    Slope(
        "head_bias_grad_twice",
        "gradient of the first head's bias counted twice",
        _on("b_w", _by(2)),
    ),
    Slope("detached", "gradient stopped at the hidden layer", _on("W1", np.zeros_like)),
    Answer(
        "input_gradient_twice",
        "gradient by the inputs counted twice",
        _of(SLOPES[1:], _by(2)),
        SLOPES[1],
    ),
    Answer(
        "answers_in_float32",
        "answers stored in float32",
        _of(QUANTITIES, _float32),
        kept_in="float32",
    ),
    Off(
        "weights_in_bfloat16",
        "weights rounded to bfloat16",
        lambda p: {n: _bfloat16(w) for n, w in p.items()},
    ),
    Hidden(
        "hidden_in_bfloat16",
        "hidden layer stored in bfloat16",
        lambda z, h, d: (_bfloat16(h).astype(h.dtype), d),
    ),
    *(
        Off(f"{block}_off", f"one entry of {block}", _off(partial(_first, block)), sized=True)
        for block in ("W1", "V1", "b", "W2", "b_w")
    ),
    Off("W2_all_off", "W2", _off(partial(_on, "W2")), sized=True),
    Data("inputs_scaled", "inputs", lambda size, x: x * (1 + size), sized=True),
    Hidden(
        "slope_off",
        "derivative of the hidden activation",
        lambda s, z, h, d: (h, d * (1 + s)),
        "gradient",
        sized=True,
    ),
    Hidden("activation_off", "hidden activation", lambda s, z, h, d: (h * (1 + s), d), sized=True),
    Answer("loss_off", "loss", _off(partial(_of, ["loss"])), "loss", sized=True),
    *(
        Slope(f"{b}_grad_off", f"gradient of {b}", _off(partial(_on, b)), sized=True)
        for b in ("W1", "b", "W2")
    ),
    Answer(
        "input_gradient_off",
        "gradient by the inputs",
        _off(partial(_of, SLOPES[1:])),
        SLOPES[1],
        sized=True,
    ),
)

FAULTS = (
    *(fault for fault in OPERATORS if not fault.sized),
    *(fault.at(size) for fault in OPERATORS if fault.sized for size in SIZES),
)

IN_A_BLOCK = (  # of a network of one's own, and for each of its blocks
    (Misread, "dropped", "{} left out", np.zeros_like),
    (Misread, "negated", "{} negated", np.negative),
    (Misread, "transposed", "square {} transposed", np.transpose),
    (Slope, "grad_twice", "gradient of {} counted twice", _by(2)),
    (Slope, "grad_halved", "gradient of {} halved", _by(0.5)),
    (Slope, "grad_dropped", "gradient of {} left out", np.zeros_like),
)


def made_in(network: Any) -> list[Fault]:
    """The faults that can be made in a network."""
    faults = list(FAULTS)
    if not isinstance(network, Network):
        faults = [fault for fault in FAULTS if not isinstance(fault, OnBlocks | Hidden)] + [
            kind(f"{block.name}_{name}", words.format(block.name), _on(block.name, change))
            for block in network.layout.blocks
            for kind, name, words, change in IN_A_BLOCK
        ]
    return [fault for fault in faults if fault.fits(network)]
