"""The models that were to learn the sine, their starts, points and recipes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cases import levenberg, sine, stacks
from cases.test_sine import BY_HAND, network, with_extra
from harness.arithmetic.bounded import BoundedArithmetic
from harness.core.contract import Array
from harness.core.formulation import Formulation
from harness.core.report import Row
from nnet_parity import (
    Bounded,
    Contract,
    Population,
    Recipe,
    Subject,
    Trained,
    TrainedBy,
    runif,
    starts,
)

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
    data: Callable[[int], tuple[Array, Array]], quality: float | None = GOOD, **more: Any
) -> Population:
    """A population of points of the sine; sums of squares are per 50 points."""
    return Population(data, quality, GRID, MARKS, per=50, **more)


def update_by_hand(loss: Tensor, parameters: list[Tensor], lr: float = 1e-5) -> None:
    """S4's iteration as its author wrote it: gradients are zeroed after the step (S8)."""
    loss.backward()
    with torch.no_grad():
        for parameter in parameters:
            parameter -= lr * parameter.grad
            parameter.grad.zero_()


def update_zeroed_before(loss: Tensor, parameters: list[Tensor], lr: float = 1e-5) -> None:
    """The iteration of S4 with the gradients zeroed between backward() and the step."""
    loss.backward()
    with torch.no_grad():
        for parameter in parameters:
            parameter.grad.zero_()
            parameter -= lr * parameter.grad


def update_never_zeroed(loss: Tensor, parameters: list[Tensor], lr: float = 1e-5) -> None:
    """The iteration of S4 without zeroing: the gradients of all steps so far add up."""
    loss.backward()
    with torch.no_grad():
        for parameter in parameters:
            parameter -= lr * parameter.grad


SLOW = Recipe("sgd", 1000, {"lr": 1e-5})
ADAM = Recipe("adam", 1000, {"lr": 0.01})
SGD = Recipe("sgd", 200, {"lr": 1e-4})
RELU, RELU_BIASED, RELU_ONES = BY_HAND


def with_tanh(build: Callable[..., Tensor], like: Subject) -> Subject:
    """A function of the same parameters as another subject, with tanh."""
    return Subject(build, shapes=like.shapes, parameters=like.parameters, network=network("tanh"))


TANH = with_tanh(sine.by_hand_tanh, RELU)
TANH_BIASED = with_tanh(sine.by_hand_tanh_with_biases, RELU_BIASED)
RELU_STACK, TANH_STACK = stacks.by_hand(stacks.clamped), stacks.by_hand(torch.tanh)
ONES_STACK = stacks.by_hand_with_ones(stacks.clamped)


def by_hand(name: str, iterate: Callable[..., None]) -> Trained:
    """S5, trained for five steps by an iteration written by hand."""
    few = replace(SLOW, steps=5)
    return Trained(RELU_BIASED, few, name, iterate=iterate, start=starts.normal())


def variant(name: str, says: str, model: Subject, recipe: Recipe, start: Any = None) -> Trained:
    """A row of the table: a model by hand, trained as a stack. A line through the origin is the
    floor of a ReLU network without biases.
    """
    tanh = model in (TANH, TANH_BIASED)
    biased = model in (RELU_BIASED, RELU_ONES, TANH_BIASED)
    mapped = replace(model, network=network("tanh" if tanh else "relu"), relu_at_zero=1.0)
    floor = None if tanh or biased else line_through_origin
    stacked = TANH_STACK if tanh else RELU_STACK
    if model is RELU_ONES:
        stacked = ONES_STACK
    return Trained(
        mapped, recipe, name, says, start or starts.normal(), stacked=stacked, floor=floor
    )


def longer(recipe: Recipe) -> Recipe:
    """The recipe with twice the steps."""
    return replace(recipe, steps=2 * recipe.steps)


LINEAR = starts.linear()
FORWARDS = [
    variant("S4", "S4: ReLU, no bias, plain gradient descent, randn", RELU, SLOW),
    variant("biases", "only biases: S5", RELU_BIASED, SLOW),
    variant("ones", "only a column of ones: S5", RELU_ONES, SLOW),
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
            change = name.removeprefix("only ").partition(" for ")[0]
            single.append(f"{change} {loss:.3g}")
    alone = ", ".join(single)
    return (
        "A bias is an intercept. Without it a ReLU network on x >= 0 is a line through the origin:"
        " S4 ends as the best or dead (median sum of squares per 50 points"
        f" {S4:.3g}). No one change mends it ({alone}); biases, tanh, Adam and a new start"
        f" leave {S6:.3g}, nnet {nnet:.1g}"
    )


TANH_SINE = partial(Trained, Subject(sine.TanhSine, network=network("tanh")))
TANH_SINE_STACK = stacks.module(torch.tanh, "hidden", "output")
LOGISTIC = partial(Trained, Subject(sine.LogisticSine, network=network("logistic")))
LOGISTIC_STACK = stacks.module(torch.sigmoid, "0", "2")


def fit_by_levenberg(
    inputs: Sequence[Tensor],
    targets: Sequence[Tensor],
    parameters: Mapping[str, Tensor],
    until: float = 0.0,
) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """Fit LogisticSine from all starts at once. A step evaluates the network twice."""
    names = ["0.weight", "0.bias", "2.weight", "2.bias"]
    start = levenberg.pack(*(parameters[name] for name in names))
    fits = levenberg.fit(start, inputs[0], targets[0], until=until)
    end = levenberg.unpack(fits.theta, inputs=1, outputs=1)
    return dict(zip(names, end, strict=True)), fits.loss, 2 * fits.steps


LEVENBERG = TrainedBy(
    LOGISTIC(ADAM).subject,
    fit_by_levenberg,
    name="levenberg",
    says="Levenberg-Marquardt",
    start=starts.uniform(),
)


def split_biases(formulation: Formulation, count: int) -> Array:
    """Starts of nnet's kind whose biases are split at random between the two of S7."""
    own = starts.uniform()(formulation, count)
    rng = np.random.default_rng(7)
    for layer in ("hidden", "output"):
        bias, extra = [places_of(formulation, f"{layer}.{name}") for name in ("bias", "extra")]
        moved = rng.uniform(-1, 1, (count, len(bias)))
        own[:, bias] -= moved
        own[:, extra] += moved
    return own


def places_of(formulation: Formulation, name: str) -> Any:
    """The positions of a tensor in the vector of own parameters."""
    return next(block.places.ravel() for block in formulation.own.blocks if block.name == name)


def with_both_biases(start: Any, factors: dict[str, float]) -> Trained:
    """S7 under SGD, seen as a network with one bias vector a layer. The factors are on its
    gradients.
    """
    return Trained(with_extra(True, True), SGD, "BothBiases", start=start, as_network=factors)


def trained_with_extra(bias: bool, extra: bool) -> Trained:
    """S7 in training from one start, with each of its two biases on or off."""
    return Trained(replace(with_extra(bias, extra), network=network("tanh")), ADAM, most=1)


EXTRA = [trained_with_extra(bias, extra) for bias in (True, False) for extra in (True, False)]
