"""Who was to learn the sine, from where, on what points, and by which recipe."""

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
    x = np.stack(
        [10 * np.random.default_rng([2016, draw]).random((1000, 1)) for draw in range(count)]
    )
    return x, np.sin(x)


def grid_points(count: int) -> tuple[Array, Array]:
    """S6's: 1,000 on a grid."""
    x = np.tile(np.linspace(0, 10, 1000)[:, None], (count, 1, 1))
    return x, np.sin(x)


def line_through_origin(x: Array, y: Array) -> Bounded:
    """What the best c x leaves of a sum of squares (D,): yy - xy^2 / xx, with the rounding of
    computing it.
    """
    m = BoundedArithmetic(Contract())
    xs, ys = (m.lift(part.swapaxes(1, 2)) for part in (x, y))
    yy, xy, xx = (m.each(np.ravel, m.dot(a, m.lift(b))) for a, b in ((ys, y), (xs, y), (xs, x)))
    return m.sub(yy, m.divide(m.mul(xy, xy), xx))


def sine_population(
    data: Callable[[int], tuple[Array, Array]], quality: float = GOOD, **more: Any
) -> Population:
    """A sum of squares is given per 50 points, however many there are."""
    return Population(data, quality, GRID, MARKS, per=50, **more)


def update_by_hand(loss: Tensor, parameters: list[Tensor], lr: float = 1e-5) -> None:
    """S4's iteration as its author wrote it; its remark has it that something is called too late
    here.
    """
    loss.backward()
    with torch.no_grad():
        for parameter in parameters:
            parameter -= lr * parameter.grad
            parameter.grad.zero_()


SLOW = Recipe("sgd", 1000, {"lr": 1e-5})
ADAM = Recipe("adam", 1000, {"lr": 0.01})
RELU, RELU_BIASED = BY_HAND[:2]
TANH, TANH_BIASED = (
    Subject(build, shapes=like.shapes, parameters=like.parameters, network=network("tanh"))
    for build, like in ((sine.by_hand_tanh, RELU), (sine.by_hand_tanh_with_biases, RELU_BIASED))
)
RELU_STACK, TANH_STACK = stacks.by_hand(stacks.clamped), stacks.by_hand(torch.tanh)


def variant(name: str, says: str, model: Subject, recipe: Recipe, start: Any = None) -> Trained:
    """A row of the table: a model by hand, trained as a stack; without biases it has a floor."""
    tanh, biased = model in (TANH, TANH_BIASED), model in (RELU_BIASED, TANH_BIASED)
    mapped = replace(model, network=network("tanh" if tanh else "relu"), relu_at_zero=1.0)
    floor = None if tanh or biased else line_through_origin
    stacked = TANH_STACK if tanh else RELU_STACK
    return Trained(
        mapped, recipe, name, says, start or starts.normal(), stacked=stacked, floor=floor
    )


def longer(recipe: Recipe) -> Recipe:
    """Twice the steps."""
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
    """What the table of changes says: what a bias is, and what it bought."""
    left = {row.change.partition(":")[0]: row.median for row in rows}
    S4, S6, nnet = (
        next(left[name] for name in left if name.startswith(start))
        for start in ("S4", "biases, tanh, Adam", "R")
    )
    alone = ", ".join(
        f"{name.removeprefix('only ')} {left[name]:.3g}" for name in left if name.startswith("only")
    )
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
EXTRA = [
    Trained(
        replace(with_extra(bias, extra), network=network("tanh")),
        ADAM,
        most=3 if bias and extra else 1,
    )
    for bias in (True, False)
    for extra in (True, False)
]
