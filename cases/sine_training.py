"""The models that were to learn the sine, their starts, points and recipes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cases import sine, stacks
from cases.test_sine import BY_HAND, network, with_extra
from harness.arithmetic.bounded import BoundedArithmetic
from harness.core.contract import Array
from harness.core.report import Row
from nnet_parity import Bounded, Contract, Population, Recipe, Subject, Trained, runif, starts

GRID = np.arange(0, 10.05, 0.1)[:, None]  # S2's seq(0, 10, 0.1)
MARKS = {"pi": np.pi, "pi/2": np.pi / 2}
# a sum of squares over 50 points: the curve is off by 0.014 on average, which no eye sees
GOOD = 0.01
S1_START = starts.given(np.arange(13) * (1 / 12))  # Wts = seq(0, 1, by = 1/12), to the last bit


def from_r(seed: int) -> Array:
    """The numbers of set.seed(seed); sort(10 * runif(50)) in R, as a column."""
    return np.sort(10 * runif(seed, 50))[:, None]


def one_draw(count: int) -> tuple[Array, Array]:
    """S1's points, of R seed 1, for every start."""
    x = np.tile(from_r(1), (count, 1, 1))
    return x, np.sin(x)


def many_draws(count: int) -> tuple[Array, Array]:
    """Points of R seeds 0, 1, 2, ..., one draw a start."""
    x = np.stack([from_r(seed) for seed in range(count)])
    return x, np.sin(x)


def random_points(count: int) -> tuple[Array, Array]:
    """S4's points: 1,000 of 10 * random(), others for each start."""
    generators = [np.random.default_rng([2016, draw]) for draw in range(count)]
    x = np.stack([10 * generator.random((1000, 1)) for generator in generators])
    return x, np.sin(x)


def grid_points(count: int) -> tuple[Array, Array]:
    """S6's points: 1,000 on a grid."""
    x = np.tile(np.linspace(0, 10, 1000)[:, None], (count, 1, 1))
    return x, np.sin(x)


def line_through_origin(x: Array, y: Array) -> Bounded:
    """The sum of squares (D,) of the best line c x: yy - xy^2 / xx, with the rounding of computing
    it.
    """
    m = BoundedArithmetic(Contract())

    def product(a: Array, b: Array) -> Bounded:
        return m.each(np.ravel, m.dot(m.lift(a.swapaxes(1, 2)), m.lift(b)))

    yy, xy, xx = product(y, y), product(x, y), product(x, x)
    return m.sub(yy, m.divide(m.mul(xy, xy), xx))


def sine_population(
    data: Callable[[int], tuple[Array, Array]], quality: float = GOOD, **more: Any
) -> Population:
    """A population of points of the sine; sums of squares are per 50 points."""
    return Population(data, quality, GRID, MARKS, per=50, **more)


def update_by_hand(loss: Tensor, parameters: list[Tensor], lr: float = 1e-5) -> None:
    """S4's iteration as its author wrote it. The question remarks that a call in it comes too
    late.
    """
    loss.backward()
    with torch.no_grad():
        for parameter in parameters:
            parameter -= lr * parameter.grad
            parameter.grad.zero_()


SLOW = Recipe("sgd", 1000, {"lr": 1e-5})
ADAM = Recipe("adam", 1000, {"lr": 0.01})
RELU, RELU_BIASED = BY_HAND[:2]


def with_tanh(build: Callable[..., Tensor], like: Subject) -> Subject:
    """A function of the same parameters as another subject, with tanh."""
    return Subject(build, shapes=like.shapes, parameters=like.parameters, network=network("tanh"))


TANH = with_tanh(sine.by_hand_tanh, RELU)
TANH_BIASED = with_tanh(sine.by_hand_tanh_with_biases, RELU_BIASED)
RELU_STACK, TANH_STACK = stacks.by_hand(stacks.clamped), stacks.by_hand(torch.tanh)


def variant(name: str, says: str, model: Subject, recipe: Recipe, start: Any = None) -> Trained:
    """A row of the table: a model by hand, trained as a stack. A line through the origin is the
    floor of a ReLU network without biases.
    """
    tanh = model in (TANH, TANH_BIASED)
    biased = model in (RELU_BIASED, TANH_BIASED)
    mapped = replace(model, network=network("tanh" if tanh else "relu"), relu_at_zero=1.0)
    floor = None if tanh or biased else line_through_origin
    stacked = TANH_STACK if tanh else RELU_STACK
    return Trained(
        mapped, recipe, name, says, start or starts.normal(), stacked=stacked, floor=floor
    )


def longer(recipe: Recipe) -> Recipe:
    """The recipe with twice the steps."""
    return replace(recipe, steps=2 * recipe.steps)


LINEAR = starts.linear()
FORWARDS = [
    variant("S4", "S4: ReLU, no bias, plain gradient descent, randn", RELU, SLOW),
    variant("biases", "only biases added: S5", RELU_BIASED, SLOW),
    variant("tanh", "only tanh for ReLU", TANH, SLOW),
    variant("Adam", "only Adam for gradient descent", RELU, ADAM),
    variant("start", "only nn.Linear's start for randn", RELU, SLOW, LINEAR),
    variant("longer", "only twice the steps", RELU, longer(SLOW)),
    variant("biases_tanh", "biases and tanh", TANH_BIASED, SLOW),
    variant("biases_tanh_Adam", "biases, tanh and Adam", TANH_BIASED, ADAM),
    variant("S6", "biases, tanh, Adam and nn.Linear's start: S6", TANH_BIASED, ADAM, LINEAR),
    variant("S6_longer", "S6 and twice the steps", TANH_BIASED, longer(ADAM), LINEAR),
]


def why_not(rows: Sequence[Row]) -> str:
    """The answer, from the table of changes: what a bias is, and what each change gains."""
    left = {row.change.partition(":")[0]: row.median for row in rows}

    def find(start: str) -> float:
        return next(left[name] for name in left if name.startswith(start))

    S4, S6, nnet = find("S4"), find("biases, tanh, Adam"), find("R")
    single = []
    for name, loss in left.items():
        if name.startswith("only"):
            single.append(f"{name.removeprefix('only ')} {loss:.3g}")
    alone = ", ".join(single)
    return (
        "A bias is an intercept: without it a ReLU network on x >= 0 is a line through the origin,"
        " and S4 ends as the best such line or dead at 0 (median sum of squares per 50 points"
        f" {S4:.3g}). No single change mends it ({alone}); biases, tanh, Adam and another start"
        f" together leave {S6:.3g} after 1,000 steps, nnet's BFGS {nnet:.1g}"
    )


TANH_SINE = partial(Trained, Subject(sine.TanhSine, network=network("tanh")))
TANH_SINE_STACK = stacks.module(torch.tanh, "hidden", "output")
LOGISTIC = partial(Trained, Subject(sine.LogisticSine, network=network("logistic")))
LOGISTIC_STACK = stacks.module(torch.sigmoid, "0", "2")


def trained_with_extra(bias: bool, extra: bool, most: int) -> Trained:
    """S7 in training, with each of its two biases on or off."""
    return Trained(replace(with_extra(bias, extra), network=network("tanh")), ADAM, most=most)


EXTRA = [
    trained_with_extra(True, True, most=3),
    trained_with_extra(True, False, most=1),
    trained_with_extra(False, True, most=1),
    trained_with_extra(False, False, most=1),
]
