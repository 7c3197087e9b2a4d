"""Planted faults: the equations with one mistake that real ports make, to test the judge and to name what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.contract import Array, Contract
from harness.formulation import Formulation
from harness.problem import QUANTITIES, Problem
from reference.arithmetic.plain import Plain
from reference.equations import evaluate
from reference.numpy_net import at_theta

Answers = dict[str, Array]
Blocks = dict[str, Array]


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


def anywhere(network: Any) -> bool:
    return True


def _two_inputs(network: Any) -> bool:
    return len(network.inputs) == 2 and network.inputs[0] == network.inputs[1]


def _two_heads(network: Any) -> bool:
    return len(network.outputs) == 2 and network.outputs[0] == network.outputs[1]


def _several_units(network: Any) -> bool:
    return bool(network.hidden > 1)


def _uses(*activations: str) -> Callable[[Any], bool]:
    return lambda network: network.activation in activations


Change = Callable[[Blocks], Blocks]


@cache
def _misread(network: Any, change: Change) -> Formulation:
    """A wrong meaning of the parameters: the network computes something else, and differentiates that rightly."""
    return Formulation.from_meaning(network.layout, network, change, idle=True)


def _layout_faults() -> Iterator[Fault]:
    """Parameters whose meaning is mistaken."""

    def fault(name: str, words: str, stage: str, change: Change, fits: Callable[[Any], bool] = anywhere) -> Fault:
        def run(problem: Problem, contract: Contract) -> Answers:
            network: Any = problem.formulation.network
            read = replace(at_theta(problem), formulation=_misread(network, change))
            answers = solve(read, contract)
            return {**answers, "gradient": read.formulation.pull_back(answers["gradient"])}

        return Fault(name, words, stage, "forward", run, fits)

    def swapped(*pairs: tuple[str, str]) -> Change:
        exchange = dict(pairs) | {b: a for a, b in pairs}
        return lambda p: {name: p[exchange.get(name, name)] for name in p}

    def square(block: str) -> Callable[[Any], bool]:
        return lambda network: any(
            b.name == block and b.places.ndim == 2 and b.places.shape[0] == b.places.shape[1] > 1
            for b in network.layout.blocks
        )

    def matrix(block: str) -> Callable[[Any], bool]:
        return lambda network: any(b.name == block and min(b.places.shape) > 1 for b in network.layout.blocks)

    yield fault("bias_dropped", "hidden bias left out", "bias", changed("b", np.zeros_like))
    yield fault("head_bias_dropped", "bias of the first head left out", "bias", changed("b_w", np.zeros_like))
    yield fault("bias_negated", "hidden bias subtracted", "bias", changed("b", np.negative))
    yield fault("bias_doubled", "hidden bias added twice", "bias", changed("b", lambda b: 2 * b))
    yield fault("bias_rolled", "hidden biases rolled by one unit", "bias", changed("b", _rolled), _several_units)
    yield fault("W1_transposed", "square W1 transposed", "layout", changed("W1", np.transpose), square("W1"))
    yield fault("W2_transposed", "square W2 transposed", "layout", changed("W2", np.transpose), square("W2"))
    for block in ("W1", "W2"):
        yield fault(
            f"{block}_column_order",
            f"{block} read in R's column order",
            "layout",
            changed(block, lambda w: w.ravel().reshape(w.shape[::-1]).T),
            matrix(block),
        )
    yield fault(
        "units_permuted",
        "two hidden units exchanged in W2 only",
        "layout",
        changed("W2", lambda w: w[:, _exchanged(w)]),
        _several_units,
    )
    yield fault("inputs_swapped", "W1 and V1 exchanged", "layout", swapped(("W1", "V1")), _two_inputs)
    yield fault("heads_swapped", "the heads exchanged", "layout", swapped(("W2", "V2"), ("b_w", "b_v")), _two_heads)
    yield fault("head_weights_swapped", "W2 and V2 exchanged", "layout", swapped(("W2", "V2")), _two_heads)
    yield fault("head_bias_swapped", "b_w and b_v exchanged", "bias", swapped(("b_w", "b_v")), _two_heads)


def _value_faults() -> Iterator[Fault]:
    """One number a little off."""

    def fault(name: str, words: str, stage: str, change: Change) -> Fault:
        def run(problem: Problem, contract: Contract) -> Answers:
            asked = at_theta(problem)
            layout = asked.formulation.network.layout
            own = np.stack([layout.join(change(layout.split(theta))) for theta in asked.own])
            return solve(replace(asked, own=own), contract)

        return Fault(name, words, stage, "forward", run, anywhere)

    def times(factor: float) -> Callable[[Array], Array]:
        return lambda w: _first(w, lambda v: v * factor)

    for size in (1e-3, 1e-6, 1e-12):
        for block in ("W1", "b", "W2", "b_w"):
            words = f"one entry of {block} off by {size:.0e}"
            yield fault(f"{block}_off_{size:.0e}", words, "value", changed(block, times(1 + size)))
    for block in ("W1", "W2"):
        words = f"one entry of {block} off by one unit in the last place"
        change = changed(block, lambda w: _first(w, lambda v: np.nextafter(v, np.inf)))
        yield fault(f"{block}_off_1ulp", words, "value", change)
    drift = float(np.float32(0.1)) - 0.1
    words = "0.1 added to the bias as a float32 constant and taken off in double"
    yield fault("bias_through_float32", words, "precision", changed("b", lambda b: b + drift))


def changed(block: str, change: Callable[[Array], Array]) -> Change:
    """One block changed, the others as they are."""
    return lambda p: {**p, block: change(p[block])}


def _rolled(b: Array) -> Array:
    return np.roll(b, 1)


def _exchanged(w: Array) -> NDArray[np.intp]:
    order = np.arange(w.shape[1])
    order[:2] = order[1::-1]
    return order


def _first(w: Array, change: Callable[[Any], Any]) -> Array:
    """The first entry changed where it is not 0, else the next that is not."""
    w = w.copy()
    place = np.argmax(w.ravel() != 0)
    w.flat[place] = change(w.flat[place])
    return w


def _data_faults() -> Iterator[Fault]:
    """Rows and columns that are read wrongly."""

    def fault(
        name: str, words: str, spoils: str, change: Callable[[Problem], Problem], fits: Callable[[Any], bool] = anywhere
    ) -> Fault:
        return Fault(name, words, "rows", spoils, lambda problem, contract: solve(change(problem), contract), fits)

    def inputs(change: Callable[[Array, Problem], Array]) -> Callable[[Problem], Problem]:
        return lambda problem: replace(problem, inputs=change(problem.inputs, problem))

    def targets(change: Callable[[Array], Array]) -> Callable[[Problem], Problem]:
        return lambda problem: replace(problem, targets=change(problem.targets))

    yield fault("rows_reversed", "rows of the inputs reversed", "forward", inputs(lambda x, p: x[:, ::-1]))
    yield fault("inputs_negated", "inputs negated", "forward", inputs(lambda x, p: -x))
    yield fault(
        "input_columns_rolled",
        "columns of the inputs rolled",
        "forward",
        inputs(lambda x, p: np.roll(x, 1, -1)),
        lambda network: sum(network.inputs) > 1,
    )
    yield fault("targets_reversed", "rows of the targets reversed", "loss", targets(lambda t: t[:, ::-1]))
    yield fault(
        "target_columns_rolled",
        "columns of the targets rolled",
        "loss",
        targets(lambda t: np.roll(t, 1, -1)),
        lambda network: sum(network.outputs) > 1,
    )
    yield fault("inputs_scaled", "inputs scaled by 1 + 1e-3", "forward", inputs(lambda x, p: x * (1 + 1e-3)))


class _Wrong(Plain):
    """Ordinary arithmetic with an activation or a derivative replaced in the hidden layer, the first to be asked."""

    replacement: Callable[[Array, Array, Any], tuple[Array, Any]]

    def __init__(self, contract: Contract, dtype: str | None = None) -> None:
        super().__init__(contract, dtype)
        self.asked = 0

    def act(self, name: str, z: Array) -> tuple[Array, Any]:
        h, d = super().act(name, z)
        self.asked += 1
        return type(self).replacement(z, h, d) if self.asked == 1 else (h, d)


def _activation_faults() -> Iterator[Fault]:
    """Activations and derivatives replaced."""

    def fault(
        name: str,
        words: str,
        spoils: str,
        replacement: Callable[[Array, Array, Any], tuple[Array, Any]],
        *activations: str,
    ) -> Fault:
        wrong = type(name, (_Wrong,), {"replacement": staticmethod(replacement)})
        stage = "precision" if name == "single_exp" else "activation" if spoils == "forward" else "derivative"
        return Fault(name, words, stage, spoils, lambda p, contract: solve(p, contract, wrong), _uses(*activations))

    def logistic(z: Array) -> Array:
        result: Array = 1 / (1 + np.exp(-z))
        return result

    smooth = ("tanh", "logistic")
    yield fault(
        "tanh_for_logistic",
        "tanh in place of the logistic",
        "forward",
        lambda z, h, d: (np.tanh(z), 1 - np.tanh(z) ** 2),
        "logistic",
    )
    yield fault(
        "logistic_for_tanh",
        "the logistic in place of tanh",
        "forward",
        lambda z, h, d: (logistic(z), logistic(z) * (1 - logistic(z))),
        "tanh",
    )
    yield fault("no_activation", "hidden activation left out", "forward", lambda z, h, d: (z, None), *smooth, "relu")
    yield fault(
        "leaky_relu",
        "leaky ReLU (0.01) in place of ReLU",
        "forward",
        lambda z, h, d: (np.where(z > 0, z, 0.01 * z), np.where(z > 0, 1, 0.01)),
        "relu",
    )
    yield fault(
        "hard_clip",
        "hidden sums clipped at 3",
        "forward",
        lambda z, h, d: (np.where(abs(z) > 3, np.sign(h), h), d),
        "tanh",
    )
    yield fault(
        "single_exp",
        "activation computed in float32",
        "forward",
        lambda z, h, d: (h.astype(np.float32).astype(h.dtype), d),
        *smooth,
    )
    yield fault(
        "derivative_left_out",
        "derivative of the activation left out",
        "gradient",
        lambda z, h, d: (h, None),
        *smooth,
        "relu",
    )
    yield fault("derivative_of_tanh", "1 - h in place of 1 - h^2", "gradient", lambda z, h, d: (h, 1 - h), "tanh")
    yield fault("derivative_of_logistic", "h in place of h (1 - h)", "gradient", lambda z, h, d: (h, h), "logistic")
    yield fault(
        "derivative_at_h",
        "derivative taken at h in place of z",
        "gradient",
        lambda z, h, d: (h, 1 - np.tanh(h) ** 2),
        "tanh",
    )
    yield fault(
        "derivative_off_1e-3",
        "derivative off by a factor of 1.001",
        "gradient",
        lambda z, h, d: (h, d * 1.001),
        *smooth,
        "relu",
    )


def _answer_faults() -> Iterator[Fault]:
    """Losses and gradients that are put together wrongly."""

    def fault(
        name: str,
        words: str,
        stage: str,
        spoils: str,
        change: Callable[[Answers, Problem], Answers],
        fits: Callable[[Any], bool] = anywhere,
    ) -> Fault:
        def run(problem: Problem, contract: Contract) -> Answers:
            return change(solve(problem, contract), problem)

        return Fault(name, words, stage, spoils, run, fits)

    def scaled(factor: Callable[[Problem], float], *quantities: str) -> Callable[[Answers, Problem], Answers]:
        return lambda answers, problem: {
            name: value * factor(problem) if name in quantities else value for name, value in answers.items()
        }

    def block(name: str, change: Callable[[Array], Array]) -> Callable[[Answers, Problem], Answers]:
        def spoil(answers: Answers, problem: Problem) -> Answers:
            layout = problem.formulation.network.layout
            parts = [layout.split(gradient) for gradient in answers["gradient"]]
            spoiled = np.stack([layout.join({**part, name: change(part[name])}) for part in parts])
            return {**answers, "gradient": spoiled}

        return spoil

    def last_row_dropped(answers: Answers, problem: Problem) -> Answers:
        if problem.rows == 1:
            return answers
        fewer = replace(problem, inputs=problem.inputs[:, :-1], targets=problem.targets[:, :-1])
        rest = solve(fewer, Contract())
        padded = np.concatenate(
            [rest["input_gradient"], np.zeros((problem.draws, 1, problem.inputs.shape[-1]))], axis=1
        )
        return {**answers, "loss": rest["loss"], "gradient": rest["gradient"], "input_gradient": padded}

    derived = ("loss", "gradient", "input_gradient")

    def cells(problem: Problem) -> float:
        return 1 / (problem.rows * sum(problem.formulation.network.outputs))

    yield fault("mean_for_sum", "mean in place of the sum", "loss", "loss", scaled(cells, *derived))
    yield fault("half_square", "one half of the squared error", "loss", "loss", scaled(lambda p: 0.5, *derived))
    yield fault("last_row_dropped", "last row left out of the loss", "rows", "loss", last_row_dropped)
    yield fault(
        "gradient_halved",
        "factor 2 of the square left out of the gradient",
        "gradient",
        "gradient",
        scaled(lambda p: 0.5, "gradient", "input_gradient"),
    )
    yield fault(
        "gradient_negated",
        "gradient negated",
        "gradient",
        "gradient",
        scaled(lambda p: -1.0, "gradient", "input_gradient"),
    )
    yield fault(
        "bias_grad_twice", "gradient of the bias counted twice", "gradient", "gradient", block("b", lambda g: 2 * g)
    )
    yield fault("bias_grad_dropped", "gradient of the bias left out", "gradient", "gradient", block("b", np.zeros_like))
    yield fault(
        "head_bias_grad_twice",
        "gradient of the first head's bias counted twice",
        "gradient",
        "gradient",
        block("b_w", lambda g: 2 * g),
    )
    yield fault(
        "gradient_detached", "gradient stopped at the hidden layer", "gradient", "gradient", block("W1", np.zeros_like)
    )
    yield fault(
        "gradient_off_1e-6", "gradient of W1 off by 1e-6", "gradient", "gradient", block("W1", lambda g: g * (1 + 1e-6))
    )
    yield fault(
        "input_gradient_twice",
        "gradient by the inputs counted twice",
        "gradient",
        "input_gradient",
        scaled(lambda p: 2.0, "input_gradient"),
    )
    yield fault(
        "answers_in_float32",
        "answers stored in float32",
        "precision",
        "forward",
        lambda answers, p: {name: np.float32(value).astype(float) for name, value in answers.items()},
    )


FAULTS: tuple[Fault, ...] = (
    *_layout_faults(),
    *_value_faults(),
    *_data_faults(),
    *_activation_faults(),
    *_answer_faults(),
)

UNEXPLAINED = 1e-3  # of an observed difference: what a fault that is offered as likely may leave


def likely(problems: Sequence[Problem], observed: Sequence[Mapping[str, Array]], outside: str) -> str:
    """The planted fault that explains what was observed from the quantity `outside` on, in words; "" when none does.

    A fault explains a difference when the equations with it leave less than a thousandth of it.
    """
    network = problems[0].formulation.network
    quantities = [name for name in QUANTITIES[QUANTITIES.index(outside) :] if all(name in seen for seen in observed)]
    right = [_own(solve(problem, Contract()), problem) for problem in problems]
    found = []
    for fault in FAULTS:
        if not fault.fits(network):
            continue
        wrong = [_own(fault.run(problem, Contract()), problem) for problem in problems]
        left = max(
            _size(seen[name] - bad[name] for seen, bad in zip(observed, wrong, strict=True))
            / max(_size(seen[name] - good[name] for seen, good in zip(observed, right, strict=True)), 1e-300)
            for name in quantities
            if any((bad[name] != good[name]).any() for bad, good in zip(wrong, right, strict=True)) or name == outside
        )
        if left < UNEXPLAINED:
            found.append((left, fault))
    if not found:
        return ""
    left, fault = min(found, key=lambda pair: pair[0])
    return f'{fault.words} (fault "{fault.name}", leaves {left:.1g} of the difference)'


def _own(answers: Answers, problem: Problem) -> Answers:
    """The gradient by the subject's own parameters."""
    return {**answers, "gradient": problem.formulation.pull_back(answers["gradient"])}


def _size(differences: Iterable[Array]) -> float:
    return float(np.sqrt(sum(float(np.sum(np.square(d))) for d in differences)))
