"""Mistakes in how a model is trained: iterations as authors write them by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from harness import Population, Recipe, Trained
from reference import starts
from tests.selfcheck.mistaken.mistake import Fits, Mistake, always, two_heads
from tests.selfcheck.mistaken.nets import Net, Spec, subject_of

STEPS, LR = 6, 0.01
SGD = Recipe("sgd", STEPS, {"lr": LR})
MOMENTUM = Recipe("sgd", STEPS, {"lr": LR, "momentum": 0.9})
DECAYED = Recipe("sgd", STEPS, {"lr": LR, "weight_decay": 0.1})
ADAM = Recipe("adam", STEPS, {"lr": LR})
ADAM_DECAYED = Recipe("adam", STEPS, {"lr": LR, "weight_decay": 0.1})
CHECKS = ("loss", "gradient", "step")
Iterate = Callable[[Any, list[Any]], None]


def population_of(spec: Spec) -> Population:
    """Points on which a network is trained."""
    inputs, outputs = sum(spec.network.inputs), sum(spec.network.outputs)

    def data(count: int) -> tuple[Any, Any]:
        rng = np.random.default_rng(5)
        x = np.tile(rng.uniform(-2, 2, (20, inputs)), (count, 1, 1))
        return x, np.sin(x @ rng.normal(size=(inputs, outputs)))

    return Population(data, 0.01, np.zeros((2, inputs)), loss=spec.loss)


def by_hand(change: Callable[[Any, Any], None], zero: bool = True) -> Iterate:
    """An iteration that changes each parameter by its gradient, and sets the gradient to zero."""

    def iterate(loss: Any, parameters: list[Any]) -> None:
        loss.backward()
        with torch.no_grad():
            for parameter in parameters:
                change(parameter, parameter.grad)
                if zero:
                    parameter.grad.zero_()

    return iterate


def by_optimiser(
    make: Callable[[list[Any]], Any],
    before: Callable[[list[Any]], Any] = lambda parameters: None,
    times: int = 1,
) -> Iterate:
    """An iteration with an optimiser of torch, one for each model."""
    made: dict[int, tuple[Any, Any]] = {}

    def iterate(loss: Any, parameters: list[Any]) -> None:
        key = id(parameters[0])
        if key not in made or made[key][0] is not parameters[0]:
            made[key] = parameters[0], make(parameters)
        optimiser = made[key][1]
        for parameter in parameters:
            parameter.grad = None
        loss.backward()
        before(parameters)
        for _ in range(times):
            optimiser.step()

    return iterate


def in_training(
    name: str, says: str, recipe: Recipe, iterate: Iterate, fits: Fits = always
) -> Mistake:
    """A mistake of an iteration whose recipe is another one."""

    def make(spec: Spec) -> Trained:
        model = subject_of(spec, Net)
        return Trained(model, recipe, "Port", iterate=iterate, start=starts.uniform(), most=2)

    return Mistake(name, says, make, lambda spec: spec.is_squares and fits(spec), checks=CHECKS)


def _ascend(p: Any, g: Any) -> None:
    p += LR * g


def _descend(p: Any, g: Any) -> None:
    p -= LR * g


def _descend_slowly(p: Any, g: Any) -> None:
    p -= LR / 2 * g


def _descend_by_rows(p: Any, g: Any) -> None:
    p -= LR / 20 * g


def _clip(parameters: list[Any]) -> None:
    torch.nn.utils.clip_grad_norm_(parameters, 1.0)


def _zero_first(loss: Any, parameters: list[Any]) -> None:
    loss.backward()
    with torch.no_grad():
        for parameter in parameters:
            parameter.grad.zero_()
            parameter -= LR * parameter.grad


def _of_some(choose: Callable[[list[Any]], list[Any]]) -> Iterate:
    return by_optimiser(lambda parameters: torch.optim.SGD(choose(parameters), lr=LR))


class _UncorrectedAdam:
    """Adam without bias correction."""

    def __init__(self, parameters: list[Any]) -> None:
        self.parameters = parameters
        self.first = [torch.zeros_like(p) for p in parameters]
        self.second = [torch.zeros_like(p) for p in parameters]

    @torch.no_grad()
    def step(self) -> None:
        for p, m, v in zip(self.parameters, self.first, self.second, strict=True):
            m.mul_(0.9).add_(p.grad, alpha=0.1)
            v.mul_(0.999).addcmul_(p.grad, p.grad, value=0.001)
            p -= LR * m / (v.sqrt() + 1e-8)


def _optim(name: str, **settings: Any) -> Iterate:
    kind = getattr(torch.optim, name)
    return by_optimiser(lambda parameters: kind(parameters, lr=LR, **settings))


UPDATES: tuple[Mistake, ...] = (
    in_training("sign of the update", r"sign|added", SGD, by_hand(_ascend)),
    in_training(
        "half the learning rate", r"(half|0\.5|0\.005).*|rate", SGD, by_hand(_descend_slowly)
    ),
    in_training("learning rate by rows", r"0\.05\b|rate", SGD, by_hand(_descend_by_rows)),
    in_training("gradients never zeroed", r"zero", SGD, by_hand(_descend, zero=False)),
    in_training(
        "gradients zeroed before the step", r"zeroed|no step|not (change|move)", SGD, _zero_first
    ),
    in_training(
        "step taken twice",
        r"twice|2 times|doubled",
        SGD,
        by_optimiser(lambda p: torch.optim.SGD(p, lr=LR), times=2),
    ),
    in_training(
        "gradient clipped",
        r"clip|norm",
        SGD,
        by_optimiser(lambda p: torch.optim.SGD(p, lr=LR), _clip),
    ),
    in_training(
        "last layer not handed to the optimiser",
        r"out\.weight.*(no step|not (handed|change|move))",
        SGD,
        _of_some(lambda parameters: parameters[:2]),
        lambda spec: spec.heads == 1,
    ),
    in_training(
        "second head not trained",
        r"out2.*(no step|not (handed|change|move))",
        SGD,
        _of_some(lambda parameters: parameters[:-2]),
        two_heads,
    ),
    in_training("momentum forgotten", r"momentum", MOMENTUM, by_hand(_descend)),
    in_training("momentum added", r"momentum", SGD, _optim("SGD", momentum=0.9)),
    in_training(
        "Nesterov's momentum", r"[Nn]esterov", MOMENTUM, _optim("SGD", momentum=0.9, nesterov=True)
    ),
    in_training(
        "momentum with dampening",
        r"dampening",
        MOMENTUM,
        _optim("SGD", momentum=0.9, dampening=0.9),
    ),
    in_training("weight decay forgotten", r"weight_decay|decay", DECAYED, by_hand(_descend)),
    in_training("weight decay added", r"weight_decay|decay", SGD, _optim("SGD", weight_decay=0.1)),
    in_training(
        "AdamW for Adam", r"AdamW|decoupled", ADAM_DECAYED, _optim("AdamW", weight_decay=0.1)
    ),
    in_training(
        "Adam without bias correction", r"bias correction", ADAM, by_optimiser(_UncorrectedAdam)
    ),
    in_training("SGD for Adam", r"SGD|gradient descent", ADAM, by_hand(_descend)),
    in_training("Adam for SGD", r"Adam", SGD, _optim("Adam")),
    in_training("other betas of Adam", r"beta", ADAM, _optim("Adam", betas=(0.9, 0.99))),
)
