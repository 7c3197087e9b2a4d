"""Planted faults: the equations with one mistake that real ports make, to test the judge and to name what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import numpy as np

from harness.contract import Array, Contract
from harness.formulation import Formulation
from harness.problem import QUANTITIES, Problem
from reference.arithmetic.plain import Plain, logistic
from reference.equations import evaluate
from reference.numpy_net import at_theta

Answers = dict[str, Array]
Blocks = dict[str, Array]
Change = Callable[[Blocks], Blocks]
UNEXPLAINED = 1e-3  # of an observed difference: what a fault that is offered as likely may leave


@dataclass(frozen=True)
class Fault:
    """One mistake: what a person calls it, its stage, the first quantity it spoils, and the equations with it.

    `run(problem, contract)` gives every quantity, the gradient by theta (D, T); `fits(network)` says where it can be
    made. Every one shows in float64; `inert_in_float32` are those that float32 rounds away.
    """

    name: str
    words: str
    stage: str
    spoils: str
    run: Callable[[Problem, Contract], Answers]
    fits: Callable[[Any], bool]

    @property
    def inert_in_float32(self) -> bool:
        return self.stage == "precision" or self.name.endswith(("1e-12", "1ulp"))


def solve(problem: Problem, contract: Contract, arithmetic: type[Plain] = Plain) -> Answers:
    """The equations in ordinary arithmetic at theta, with an arithmetic of one's own."""
    with np.errstate(all="ignore"):
        answers = evaluate(arithmetic(contract), at_theta(problem))
    return {name: np.asarray(answers[name], dtype=np.float64) for name in QUANTITIES}


# Where a fault can be made.


def anywhere(network: Any) -> bool:
    """In every network."""
    return True


def _units(network: Any) -> bool:
    return bool(network.hidden > 1)


def _inputs(network: Any) -> bool:
    return len(network.inputs) == 2 and network.inputs[0] == network.inputs[1]


def _heads(network: Any) -> bool:
    return len(network.outputs) == 2 and network.outputs[0] == network.outputs[1]


def _uses(*activations: str) -> Callable[[Any], bool]:
    return lambda network: network.activation in activations


def _shaped(block: str, square: bool) -> Callable[[Any], bool]:
    """The block is a matrix, square if asked, of more than one row and column."""

    def fits(network: Any) -> bool:
        shape = next((b.places.shape for b in network.layout.blocks if b.name == block), (1, 1))
        return min(shape) > 1 and (not square or shape[0] == shape[1])

    return fits


# Parameters whose meaning is mistaken: the network computes something else, and differentiates that rightly.


@cache
def _misread(network: Any, change: Change) -> Formulation:
    return Formulation.from_meaning(network.layout, network, change, idle=True)


def _run_misread(change: Change, problem: Problem, contract: Contract) -> Answers:
    network: Any = problem.formulation.network
    read = replace(at_theta(problem), formulation=_misread(network, change))
    answers = solve(read, contract)
    return {**answers, "gradient": read.formulation.pull_back(answers["gradient"])}


def _on(block: str, change: Callable[[Array], Array]) -> Change:
    """One block changed, the others as they are."""
    return lambda p: {**p, block: change(p[block])}


def _swap(*pairs: tuple[str, str]) -> Change:
    exchange = dict(pairs) | {b: a for a, b in pairs}
    return lambda p: {name: p[exchange.get(name, name)] for name in p}


def _column_order(w: Array) -> Array:
    return w.ravel().reshape(w.shape[::-1]).T


def _exchanged(w: Array) -> Array:
    return w[:, [1, 0, *range(2, w.shape[1])]]


MISREAD: list[tuple[str, str, str, Change, Callable[[Any], bool]]] = [
    ("bias_dropped", "hidden bias left out", "bias", _on("b", np.zeros_like), anywhere),
    ("head_bias_dropped", "bias of the first head left out", "bias", _on("b_w", np.zeros_like), anywhere),
    ("bias_negated", "hidden bias subtracted", "bias", _on("b", np.negative), anywhere),
    ("bias_doubled", "hidden bias added twice", "bias", _on("b", lambda b: 2 * b), anywhere),
    ("bias_rolled", "hidden biases rolled by one unit", "bias", _on("b", lambda b: np.roll(b, 1)), _units),
    ("W1_transposed", "square W1 transposed", "layout", _on("W1", np.transpose), _shaped("W1", square=True)),
    ("W2_transposed", "square W2 transposed", "layout", _on("W2", np.transpose), _shaped("W2", square=True)),
    ("W1_column_order", "W1 read in R's column order", "layout", _on("W1", _column_order), _shaped("W1", square=False)),
    ("W2_column_order", "W2 read in R's column order", "layout", _on("W2", _column_order), _shaped("W2", square=False)),
    ("units_exchanged", "two hidden units exchanged in W2 only", "layout", _on("W2", _exchanged), _units),
    ("inputs_swapped", "W1 and V1 exchanged", "layout", _swap(("W1", "V1")), _inputs),
    ("heads_swapped", "the heads exchanged", "layout", _swap(("W2", "V2"), ("b_w", "b_v")), _heads),
    ("head_weights_swapped", "W2 and V2 exchanged", "layout", _swap(("W2", "V2")), _heads),
    ("head_bias_swapped", "b_w and b_v exchanged", "bias", _swap(("b_w", "b_v")), _heads),
]

# One number a little off.


def _run_off(change: Change, problem: Problem, contract: Contract) -> Answers:
    asked = at_theta(problem)
    layout = asked.formulation.network.layout
    return solve(replace(asked, own=np.stack([layout.join(change(layout.split(own))) for own in asked.own])), contract)


def _first(change: Callable[[Any], Any], w: Array) -> Array:
    """The first entry that is not 0 changed."""
    w = w.copy()
    place = np.argmax(w.ravel() != 0)
    w.flat[place] = change(w.flat[place])
    return w


def _one_ulp(value: Any) -> Any:
    return np.nextafter(value, np.inf)


OFF: list[tuple[str, str, str, Change]] = [
    (f"{block}_off_{size}", f"one entry of {block} off by {size}", "value", _on(block, partial(_first, change)))
    for size, change, blocks in (
        ("1e-3", lambda v: v * (1 + 1e-3), ("W1", "b", "W2", "b_w")),
        ("1e-6", lambda v: v * (1 + 1e-6), ("W1", "b", "W2", "b_w")),
        ("1e-12", lambda v: v * (1 + 1e-12), ("W1", "b", "W2", "b_w")),
        ("1ulp", _one_ulp, ("W1", "W2")),
    )
    for block in blocks
]
OFF.append(
    (
        "bias_through_float32",
        "0.1 added to the bias as a float32 constant and taken off in double",
        "precision",
        _on("b", lambda b: b + (float(np.float32(0.1)) - 0.1)),
    )
)

# Rows and columns that are read wrongly.


def _x(change: Callable[[Array], Array]) -> Callable[[Problem], Problem]:
    return lambda problem: replace(problem, inputs=change(problem.inputs))


def _t(change: Callable[[Array], Array]) -> Callable[[Problem], Problem]:
    return lambda problem: replace(problem, targets=change(problem.targets))


def _several(group: str) -> Callable[[Any], bool]:
    return lambda network: sum(getattr(network, group)) > 1


DATA: list[tuple[str, str, str, Callable[[Problem], Problem], Callable[[Any], bool]]] = [
    ("rows_reversed", "rows of the inputs reversed", "forward", _x(lambda x: x[:, ::-1]), anywhere),
    ("inputs_negated", "inputs negated", "forward", _x(np.negative), anywhere),
    ("inputs_scaled", "inputs scaled by 1 + 1e-3", "forward", _x(lambda x: x * (1 + 1e-3)), anywhere),
    ("columns_rolled", "columns of the inputs rolled", "forward", _x(lambda x: np.roll(x, 1, -1)), _several("inputs")),
    ("targets_reversed", "rows of the targets reversed", "loss", _t(lambda t: t[:, ::-1]), anywhere),
    ("targets_rolled", "columns of the targets rolled", "loss", _t(lambda t: np.roll(t, 1, -1)), _several("outputs")),
]

# Activations and derivatives of the hidden layer replaced.


class _Wrong(Plain):
    """Ordinary arithmetic with the first activation that is asked for, the hidden layer's, replaced."""

    replacement: Callable[[Array, Array, Any], tuple[Array, Any]]
    asked = False

    def act(self, name: str, z: Array) -> tuple[Array, Any]:
        h, d = super().act(name, z)
        if self.asked:
            return h, d
        self.asked = True
        return type(self).replacement(z, h, d)


def _run_replaced(replacement: Callable[..., Any], problem: Problem, contract: Contract) -> Answers:
    return solve(problem, contract, type("Replaced", (_Wrong,), {"replacement": staticmethod(replacement)}))


def _leaky(z: Array, h: Array, d: Any) -> tuple[Array, Any]:
    return np.where(z > 0, z, 0.01 * z), np.where(z > 0, 1, 0.01)


SMOOTH, ALL = ("tanh", "logistic"), ("tanh", "logistic", "relu")
SLOPE: list[tuple[str, str, str, str, Callable[..., Any], tuple[str, ...]]] = [
    ("tanh_for_logistic", "tanh in place of the logistic", "activation", "forward",
     lambda z, h, d: (np.tanh(z), 1 - np.tanh(z) ** 2), ("logistic",)),
    ("logistic_for_tanh", "the logistic in place of tanh", "activation", "forward",
     lambda z, h, d: (logistic(z), logistic(z) * (1 - logistic(z))), ("tanh",)),
    ("no_activation", "hidden activation left out", "activation", "forward", lambda z, h, d: (z, None), ALL),
    ("leaky_relu", "leaky ReLU (0.01) in place of ReLU", "activation", "forward", _leaky, ("relu",)),
    ("hard_clip", "tanh exactly 1 beyond 3", "activation", "forward",
     lambda z, h, d: (np.where(abs(z) > 3, np.sign(h), h), d), ("tanh",)),
    ("single_activation", "activation computed in float32", "precision", "forward",
     lambda z, h, d: (h.astype(np.float32).astype(h.dtype), d), SMOOTH),
    ("no_derivative", "derivative of the activation left out", "derivative", "gradient",
     lambda z, h, d: (h, None), ALL),
    ("tanh_slope_1-h", "1 - h in place of 1 - h^2", "derivative", "gradient", lambda z, h, d: (h, 1 - h), ("tanh",)),
    ("logistic_slope_h", "h in place of h (1 - h)", "derivative", "gradient", lambda z, h, d: (h, h), ("logistic",)),
    ("slope_at_h", "derivative taken at h in place of z", "derivative", "gradient",
     lambda z, h, d: (h, 1 - np.tanh(h) ** 2), ("tanh",)),
    ("slope_off_1e-3", "derivative off by 1e-3", "derivative", "gradient", lambda z, h, d: (h, d * 1.001), ALL),
]  # fmt: skip

# Losses and gradients that are put together wrongly.


def _times(factor: float, *quantities: str) -> Callable[[Answers, Problem], Answers]:
    return lambda a, problem: {name: value * factor if name in quantities else value for name, value in a.items()}


def _mean(a: Answers, problem: Problem) -> Answers:
    return _times(1 / (problem.rows * sum(problem.formulation.network.outputs)), *DERIVED)(a, problem)


def _slope(name: str, change: Callable[[Array], Array]) -> Callable[[Answers, Problem], Answers]:
    """One block of the gradient changed."""

    def spoil(a: Answers, problem: Problem) -> Answers:
        layout = problem.formulation.network.layout
        return {**a, "gradient": np.stack([layout.join(_on(name, change)(layout.split(g))) for g in a["gradient"]])}

    return spoil


def _last_row_dropped(a: Answers, problem: Problem) -> Answers:
    if problem.rows == 1:
        return a
    rest = solve(replace(problem, inputs=problem.inputs[:, :-1], targets=problem.targets[:, :-1]), Contract())
    rest["input_gradient"] = np.pad(rest["input_gradient"], ((0, 0), (0, 1), (0, 0)))
    return {**rest, "forward": a["forward"]}


def _in_float32(a: Answers, problem: Problem) -> Answers:
    return {name: np.float32(value).astype(float) for name, value in a.items()}


SLOPES = ("gradient", "input_gradient")
DERIVED = ("loss", *SLOPES)
ANSWER: list[tuple[str, str, str, str, Callable[[Answers, Problem], Answers]]] = [
    ("mean_for_sum", "mean in place of the sum", "loss", "loss", _mean),
    ("half_square", "one half of the squared error", "loss", "loss", _times(0.5, *DERIVED)),
    ("last_row_dropped", "last row left out of the loss", "rows", "loss", _last_row_dropped),
    ("gradient_halved", "factor 2 of the square left out", "gradient", "gradient", _times(0.5, *SLOPES)),
    ("gradient_negated", "gradient negated", "gradient", "gradient", _times(-1.0, *SLOPES)),
    ("bias_grad_twice", "gradient of the bias counted twice", "gradient", "gradient", _slope("b", lambda g: 2 * g)),
    ("bias_grad_dropped", "gradient of the bias left out", "gradient", "gradient", _slope("b", np.zeros_like)),
    ("head_bias_grad_twice", "gradient of the first head's bias counted twice", "gradient", "gradient",
     _slope("b_w", lambda g: 2 * g)),
    ("detached", "gradient stopped at the hidden layer", "gradient", "gradient", _slope("W1", np.zeros_like)),
    ("gradient_off_1e-6", "gradient of W1 off by 1e-6", "gradient", "gradient", _slope("W1", lambda g: g * (1 + 1e-6))),
    ("input_gradient_twice", "gradient by the inputs counted twice", "gradient", "input_gradient",
     _times(2.0, "input_gradient")),
    ("answers_in_float32", "answers stored in float32", "precision", "forward", _in_float32),
]  # fmt: skip


def _run_on_data(change: Callable[[Problem], Problem], problem: Problem, contract: Contract) -> Answers:
    return solve(change(problem), contract)


def _run_answered(change: Callable[[Answers, Problem], Answers], problem: Problem, contract: Contract) -> Answers:
    return change(solve(problem, contract), problem)


FAULTS: tuple[Fault, ...] = (
    *(Fault(n, words, stage, "forward", partial(_run_misread, f), fits) for n, words, stage, f, fits in MISREAD),
    *(Fault(n, words, stage, "forward", partial(_run_off, f), anywhere) for n, words, stage, f in OFF),
    *(Fault(n, words, "rows", spoils, partial(_run_on_data, f), fits) for n, words, spoils, f, fits in DATA),
    *(Fault(n, words, stage, spoil, partial(_run_replaced, f), _uses(*g)) for n, words, stage, spoil, f, g in SLOPE),
    *(Fault(n, words, stage, spoils, partial(_run_answered, f), anywhere) for n, words, stage, spoils, f in ANSWER),
)


def likely(problems: Sequence[Problem], observed: Sequence[Mapping[str, Array]], outside: str) -> str:
    """The planted fault that explains what was observed from the quantity `outside` on, in words; "" when none does.

    A fault explains a difference when the equations with it leave less than a thousandth of it.
    """
    with np.errstate(all="ignore"):
        return _likely(problems, observed, outside)


def _likely(problems: Sequence[Problem], observed: Sequence[Mapping[str, Array]], outside: str) -> str:
    network = problems[0].formulation.network
    asked = [name for name in QUANTITIES[QUANTITIES.index(outside) :] if all(name in seen for seen in observed)]
    right = [_own(solve(problem, Contract()), problem) for problem in problems]
    found = []
    for fault in (fault for fault in FAULTS if fault.fits(network)):
        wrong = [_own(fault.run(problem, Contract()), problem) for problem in problems]
        changed = [name for name in asked if name == outside or _apart(name, wrong, right) > 0]
        left = max(_apart(name, observed, wrong) / max(_apart(name, observed, right), 1e-300) for name in changed)
        if left < UNEXPLAINED:
            found.append((left, fault))
    if not found:
        return ""
    left, fault = min(found, key=lambda pair: pair[0])
    return f'{fault.words} (fault "{fault.name}", leaves {left:.1g} of the difference)'


def _own(answers: Answers, problem: Problem) -> Answers:
    """The gradient by the subject's own parameters."""
    return {**answers, "gradient": problem.formulation.pull_back(answers["gradient"])}


def _apart(name: str, a: Iterable[Mapping[str, Array]], b: Iterable[Mapping[str, Array]]) -> float:
    """The size of the difference of a quantity over all stacks."""
    return float(np.sqrt(sum(float(np.sum(np.square(x[name] - y[name]))) for x, y in zip(a, b, strict=True))))
