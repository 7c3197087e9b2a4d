"""Who was to learn the sine, from where, on what points, and by which recipe."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cases import sine, stacks
from cases.test_sine import BY_HAND, network, with_extra
from harness import Bounded, Contract, Population, Recipe, Subject, Trained
from harness.contract import Array
from reference import runif, starts
from reference.arithmetic.bounded import BoundedArithmetic

GRID = np.arange(0, 10.05, 0.1)[:, None]  # S2's seq(0, 10, 0.1)
MARKS = {"pi": np.pi, "pi/2": np.pi / 2}
GOOD = 0.01  # a sum of squares over 50 points: the curve is off by 0.014 on average, which no eye sees
S1_START = starts.given(np.arange(13) / 12)  # Wts = seq(0, 1, by = 1/12)


def from_r(seed: int) -> Array:
    """R's set.seed(seed); sort(10 * runif(50)), as a column."""
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
    """S4's: 1,000 of 10 * random(), drawn anew for each start."""
    x = np.stack([10 * np.random.default_rng([2016, draw]).random((1000, 1)) for draw in range(count)])
    return x, np.sin(x)


def grid_points(count: int) -> tuple[Array, Array]:
    """S6's: 1,000 on a grid."""
    x = np.tile(np.linspace(0, 10, 1000)[:, None], (count, 1, 1))
    return x, np.sin(x)


def line_through_origin(x: Array, y: Array) -> Bounded:
    """What the best c x leaves of a sum of squares (D,): yy - xy^2 / xx, with the rounding of computing it."""
    m = BoundedArithmetic(Contract())
    xs, ys = (m.lift(part.swapaxes(1, 2)) for part in (x, y))
    yy, xy, xx = (m.each(np.ravel, m.dot(a, m.lift(b))) for a, b in ((ys, y), (xs, y), (xs, x)))
    return m.sub(yy, m.divide(m.mul(xy, xy), xx))


def sine_population(data: Callable[[int], tuple[Array, Array]], **more: Any) -> Population:
    """A sum of squares is told per 50 points, however many there are."""
    return Population(data, GOOD, GRID, MARKS, per=50, **more)


def update_by_hand(loss: Tensor, parameters: list[Tensor], lr: float = 1e-5) -> None:
    """S4's iteration as its author wrote it; its remark has it that something is called too late here."""
    loss.backward()
    with torch.no_grad():
        for parameter in parameters:
            parameter -= lr * parameter.grad
            parameter.grad.zero_()


SLOW = Recipe("sgd", 1000, {"lr": 1e-5})
ADAM = Recipe("adam", 1000, {"lr": 0.01})
RELU, RELU_BIASED = BY_HAND[:2]
TANH, TANH_BIASED = (
    Subject(build, parameters=like.parameters, means=like.means)
    for build, like in ((sine.by_hand_tanh, RELU), (sine.by_hand_tanh_with_biases, RELU_BIASED))
)
RELU_STACK, TANH_STACK = stacks.by_hand(stacks.clamped), stacks.by_hand(torch.tanh)


def variant(says: str, model: Subject, recipe: Recipe, start: Any = None) -> Trained:
    """A row of the table: a model by hand, trained as a stack."""
    tanh = model in (TANH, TANH_BIASED)
    name = "".join(c if c.isalnum() else "_" for c in says)
    stacked = TANH_STACK if tanh else RELU_STACK
    mapped = Subject(model.build, model.name, model.means, model.parameters, network("tanh" if tanh else "relu"), 1.0)
    return Trained(mapped, recipe, name, says, start or starts.normal(), stacked=stacked)


def longer(recipe: Recipe) -> Recipe:
    """Five times the steps."""
    return Recipe(recipe.optimiser, 5 * recipe.steps, recipe.settings)


LINEAR = starts.linear()
FORWARDS = [
    variant("S4: ReLU, no bias, plain gradient descent, randn", RELU, SLOW),
    variant("only biases added", RELU_BIASED, SLOW),
    variant("only tanh for ReLU", TANH, SLOW),
    variant("only Adam for gradient descent", RELU, ADAM),
    variant("only nn.Linear's start for randn", RELU, SLOW, LINEAR),
    variant("only five times the steps", RELU, longer(SLOW)),
    variant("biases and tanh", TANH_BIASED, SLOW),
    variant("biases, tanh and Adam", TANH_BIASED, ADAM),
    variant("biases, tanh, Adam and nn.Linear's start: S6", TANH_BIASED, ADAM, LINEAR),
    variant("the same and five times the steps", TANH_BIASED, longer(ADAM), LINEAR),
]
TANH_SINE = partial(Trained, Subject(sine.TanhSine, network=network("tanh")))
TANH_SINE_STACK = stacks.module(torch.tanh, "hidden", "output")
LOGISTIC = partial(Trained, Subject(sine.LogisticSine, network=network("logistic")))
LOGISTIC_STACK = stacks.module(torch.sigmoid, "0", "2")
EXTRA = [
    Trained(Subject(one.build, one.name, one.means, network=network("tanh")), ADAM)
    for one in (with_extra(bias, extra) for bias in (True, False) for extra in (True, False))
]
