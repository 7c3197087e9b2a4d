"""Planted faults: the equations with one mistake that real ports make, to test the judge and to name what it finds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import numpy as np

from harness.contract import Array, Contract
from harness.formulation import Formulation
from harness.layout import Layout
from harness.problem import QUANTITIES, Problem
from reference.arithmetic.plain import Plain, logistic
from reference.equations import evaluate
from reference.network import Network
from reference.numpy_net import at_theta

Answers = dict[str, Array]
Blocks = Mapping[str, Array]
SLOPES = ("gradient", "input_gradient")


def solve(problem: Problem, contract: Contract, arithmetic: Callable[[Contract], Plain] = Plain) -> Answers:
    """The equations in ordinary arithmetic at theta, with an arithmetic of one's own."""
    with np.errstate(all="ignore"):
        answers = evaluate(arithmetic(contract), at_theta(problem))
    return {name: np.asarray(answers[name], dtype=np.float64) for name in QUANTITIES}


# What a mistake changes: one kind of fault each.


@dataclass(frozen=True)
class Fault(ABC):
    """One mistake: its name, what a person calls it, what it does to what its kind changes, the first that it spoils.

    Every one shows in float64; `inert_in_float32` are those that float32 rounds away.
    """

    name: str
    words: str
    change: Callable[..., Any]
    spoils: str = "forward"

    @abstractmethod
    def run(self, problem: Problem, contract: Contract) -> Answers:
        """Every quantity by the equations with the mistake, the gradient by theta (D, T)."""

    def fits(self, network: Any) -> bool:
        """Can it be made there?"""
        return True

    @property
    def inert_in_float32(self) -> bool:
        return self.name.endswith(("1e-12", "1ulp", "float32"))


class OnBlocks(Fault):
    """Blocks, as a dict, become others; where they stay as they are, or lack what it takes, no mistake can be made."""

    def changed(self, layout: Layout, vectors: Array) -> Array:
        """Vectors (D, T) with the mistake."""
        return np.stack([layout.join(self.change(layout.split(vector))) for vector in vectors])

    def fits(self, network: Any) -> bool:
        numbers = 1.0 + np.arange(network.layout.size)[None]
        try:
            return bool((self.changed(network.layout, numbers) != numbers).any())
        except (KeyError, IndexError, ValueError):  # no such block, no such column, another shape
            return False


class Misread(OnBlocks):
    """Parameters whose meaning is mistaken: something else is computed, and differentiated rightly."""

    def run(self, problem: Problem, contract: Contract) -> Answers:
        network: Any = problem.formulation.network
        read = replace(at_theta(problem), formulation=_misread(network, self.change))
        answers = solve(read, contract)
        return {**answers, "gradient": read.formulation.pull_back(answers["gradient"])}


@cache
def _misread(network: Any, change: Callable[[Blocks], Blocks]) -> Formulation:
    return Formulation.from_meaning(network.layout, network, change, idle=True)


class Off(OnBlocks):
    """Parameters that are other numbers."""

    def run(self, problem: Problem, contract: Contract) -> Answers:
        asked = at_theta(problem)
        return solve(replace(asked, own=self.changed(asked.formulation.network.layout, asked.own)), contract)


@dataclass(frozen=True)
class Slope(OnBlocks):
    """Blocks of the gradient that are put together wrongly."""

    spoils: str = "gradient"

    def run(self, problem: Problem, contract: Contract) -> Answers:
        answers = solve(problem, contract)
        return {**answers, "gradient": self.changed(problem.formulation.network.layout, answers["gradient"])}


class Answer(Fault):
    """Answers, as a dict, of a problem that are put together wrongly."""

    def run(self, problem: Problem, contract: Contract) -> Answers:
        answers: Answers = self.change(solve(problem, contract), problem)
        return answers


@dataclass(frozen=True)
class Data(Fault):
    """Inputs or targets (D, R, ...) that are read wrongly."""

    part: str = "inputs"

    def fits(self, network: Any) -> bool:
        widths = network.inputs if self.part == "inputs" else network.outputs
        numbers = 1.0 + np.arange(2 * sum(widths)).reshape(1, 2, -1)
        return bool((self.change(numbers) != numbers).any())

    def run(self, problem: Problem, contract: Contract) -> Answers:
        return solve(replace(problem, **{self.part: self.change(getattr(problem, self.part))}), contract)


@dataclass(frozen=True)
class Hidden(Fault):
    """Another hidden activation in place of one `of` these: from z, h and its slope (None is 1) to h and its slope."""

    of: str = "tanh logistic relu"

    def fits(self, network: Any) -> bool:
        return bool(network.activations) and network.activations[0] in self.of.split()

    def run(self, problem: Problem, contract: Contract) -> Answers:
        return solve(problem, contract, partial(_Replaced, self.change))


class _Replaced(Plain):
    """Ordinary arithmetic with the first activation that is asked for, the hidden layer's, replaced."""

    def __init__(self, replacement: Callable[..., Any], contract: Contract) -> None:
        super().__init__(contract)
        self.left = [replacement]

    def act(self, name: str, z: Array) -> tuple[Array, Any]:
        h, d = super().act(name, z)
        return self.left.pop()(z, h, d) if self.left else (h, d)


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


def _rows_reversed(x: Array) -> Array:
    return x[:, ::-1]


def _by(factor: float) -> Callable[[Array], Array]:
    return lambda w: w * factor


def _times(factor: float, *quantities: str) -> Callable[[Answers, Problem], Answers]:
    return lambda a, problem: {name: value * factor if name in quantities else value for name, value in a.items()}


def _mean(a: Answers, problem: Problem) -> Answers:
    return _times(1 / (problem.rows * sum(problem.formulation.network.outputs)), "loss", *SLOPES)(a, problem)


def _last_row_dropped(a: Answers, problem: Problem) -> Answers:
    if problem.rows == 1:
        return a
    rest = solve(replace(problem, inputs=problem.inputs[:, :-1], targets=problem.targets[:, :-1]), Contract())
    rest["input_gradient"] = np.pad(rest["input_gradient"], ((0, 0), (0, 1), (0, 0)))
    return {**rest, "forward": a["forward"]}


def _in_float32(a: Answers, problem: Problem) -> Answers:
    return {name: np.float32(value).astype(float) for name, value in a.items()}


def _tanh(z: Array) -> tuple[Array, Array]:
    return np.tanh(z), 1 - np.tanh(z) ** 2


def _leaky_relu(z: Array) -> tuple[Array, Array]:
    return np.where(z > 0, z, 0.01 * z), np.where(z > 0, 1, 0.01)


def _sigmoid(z: Array) -> tuple[Array, Array]:
    return logistic(z), logistic(z) * (1 - logistic(z))


SIZES = ("1e-3", "1e-6", "1e-12")  # of what one number is off by, relative to it

# The catalogue: a row for each mistake.
FAULTS: tuple[Fault, ...] = (
    Misread("bias_dropped", "hidden bias left out", _on("b", np.zeros_like)),
    Misread("head_bias_dropped", "bias of the first head left out", _on("b_w", np.zeros_like)),
    Misread("bias_negated", "hidden bias subtracted", _on("b", np.negative)),
    Misread("bias_doubled", "hidden bias added twice", _on("b", _by(2))),
    Misread("bias_rolled", "hidden biases rolled by one unit", _on("b", _rolled)),
    Misread("W1_transposed", "square W1 transposed", _on("W1", np.transpose)),
    Misread("W2_transposed", "square W2 transposed", _on("W2", np.transpose)),
    Misread("W1_column_order", "W1 read in R's column order", _on("W1", _column_order)),
    Misread("W2_column_order", "W2 read in R's column order", _on("W2", _column_order)),
    Misread("units_exchanged", "two hidden units exchanged in W2 only", _on("W2", _exchanged)),
    Misread("inputs_swapped", "W1 and V1 exchanged", _swap(("W1", "V1"))),
    Misread("heads_swapped", "the heads exchanged", _swap(("W2", "V2"), ("b_w", "b_v"))),
    Misread("head_weights_swapped", "W2 and V2 exchanged", _swap(("W2", "V2"))),
    Misread("head_bias_swapped", "b_w and b_v exchanged", _swap(("b_w", "b_v"))),
    *(
        Off(f"{block}_off_{size}", f"one entry of {block} off by {size}", _first(block, _by(1 + float(size))))
        for size in SIZES for block in ("W1", "b", "W2", "b_w")
    ),
    *(
        Off(f"{block}_off_1ulp", f"one entry of {block} off by 1ulp", _first(block, lambda w: np.nextafter(w, np.inf)))
        for block in ("W1", "W2")
    ),
    Off("bias_through_float32", "0.1 added to the bias as a float32 constant and taken off in double",
        _on("b", lambda b: b + (float(np.float32(0.1)) - 0.1))),
    Data("rows_reversed", "rows of the inputs reversed", _rows_reversed),
    Data("inputs_negated", "inputs negated", np.negative),
    Data("inputs_scaled", "inputs scaled by 1 + 1e-3", _by(1 + 1e-3)),
    Data("columns_rolled", "columns of the inputs rolled", _rolled),
    Data("targets_reversed", "rows of the targets reversed", _rows_reversed, "loss", "targets"),
    Data("targets_rolled", "columns of the targets rolled", _rolled, "loss", "targets"),
    Hidden("tanh_for_logistic", "tanh in place of the logistic", lambda z, h, d: _tanh(z), of="logistic"),
    Hidden("logistic_for_tanh", "the logistic in place of tanh", lambda z, h, d: _sigmoid(z), of="tanh"),
    Hidden("no_activation", "hidden activation left out", lambda z, h, d: (z, None)),
    Hidden("leaky_relu", "leaky ReLU (0.01) in place of ReLU", lambda z, h, d: _leaky_relu(z), of="relu"),
    Hidden("hard_clip", "tanh exactly 1 beyond 3", lambda z, h, d: (np.where(abs(z) > 3, np.sign(h), h), d), of="tanh"),
    Hidden("activation_in_float32", "activation computed in float32",
           lambda z, h, d: (h.astype(np.float32).astype(h.dtype), d), of="tanh logistic"),
    Hidden("no_derivative", "derivative of the activation left out", lambda z, h, d: (h, None), "gradient"),
    Hidden("tanh_slope_1-h", "1 - h in place of 1 - h^2", lambda z, h, d: (h, 1 - h), "gradient", "tanh"),
    Hidden("logistic_slope_h", "h in place of h (1 - h)", lambda z, h, d: (h, h), "gradient", "logistic"),
    Hidden("slope_at_h", "derivative taken at h in place of z", lambda z, h, d: (h, _tanh(h)[1]), "gradient", "tanh"),
    Hidden("slope_off_1e-3", "derivative off by 1e-3", lambda z, h, d: (h, d * 1.001), "gradient"),
    Answer("mean_for_sum", "mean in place of the sum", _mean, "loss"),
    Answer("half_square", "one half of the squared error", _times(0.5, "loss", *SLOPES), "loss"),
    Answer("last_row_dropped", "last row left out of the loss", _last_row_dropped, "loss"),
    Answer("gradient_halved", "factor 2 of the square left out", _times(0.5, *SLOPES), "gradient"),
    Answer("gradient_negated", "gradient negated", _times(-1.0, *SLOPES), "gradient"),
    Slope("bias_grad_twice", "gradient of the bias counted twice", _on("b", _by(2))),
    Slope("bias_grad_dropped", "gradient of the bias left out", _on("b", np.zeros_like)),
    Slope("head_bias_grad_twice", "gradient of the first head's bias counted twice", _on("b_w", _by(2))),
    Slope("detached", "gradient stopped at the hidden layer", _on("W1", np.zeros_like)),
    Slope("gradient_off_1e-6", "gradient of W1 off by 1e-6", _on("W1", _by(1 + 1e-6))),
    Answer("input_gradient_twice", "gradient by the inputs counted twice", _times(2.0, SLOPES[1]), SLOPES[1]),
    Answer("answers_in_float32", "answers stored in float32", _in_float32),
)  # fmt: skip

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
        faults = [fault for fault in FAULTS if not isinstance(fault, OnBlocks)] + [
            kind(f"{block.name}_{name}", words.format(block.name), _on(block.name, change))
            for block in network.layout.blocks
            for kind, name, words, change in IN_A_BLOCK
        ]
    return [fault for fault in faults if fault.fits(network)]
