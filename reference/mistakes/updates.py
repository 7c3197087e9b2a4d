"""Steps by other updates than the recipe's: a change of settings, of gradients, or of the formula.

In shapes, D counts states (starts and steps) of training runs, P the model's own parameters, K
steps and S starts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np

from harness.arithmetic.plain import Plain
from harness.core.contract import Array, Contract
from harness.core.problem import Problem
from harness.core.recipe import ADAM, Recipe
from reference.mathematics.optimisers import steps

After = Callable[[Problem], Array]


class Change(NamedTuple):
    """A change of the steps: its description, and a function that returns the resulting own
    parameters (D, P).

    D counts states (starts and steps) of training runs and P own parameters (a model's tensors,
    flattened).
    """

    words: str
    after: After


def take_steps(problem: Problem) -> Array:
    """Return the own parameters (D, P) after the steps of the problem's recipe.

    D counts states (starts and steps) of training runs and P own parameters (a model's tensors,
    flattened).
    """
    return np.asarray(steps(Plain(Contract()), problem))


def with_settings(settings: dict[str, float]) -> After:
    """Return a function that takes the steps with other settings of the recipe."""

    def after(asked: Problem) -> Array:
        recipe = asked.recipe
        assert recipe is not None
        changed = replace(recipe, settings={**recipe.settings, **settings})
        return take_steps(replace(asked, recipe=changed))

    return after


def with_recipe(recipe: Recipe) -> After:
    """Return a function that takes the steps of another recipe."""
    return lambda asked: take_steps(replace(asked, recipe=recipe))


def with_gradients(change: Callable[[Array], Array]) -> After:
    """Return a function that takes the steps with changed gradients (D, P)."""

    def after(asked: Problem) -> Array:
        assert asked.optimiser_gradients is not None
        return take_steps(replace(asked, optimiser_gradients=change(asked.optimiser_gradients)))

    return after


def split_by_step(asked: Problem) -> tuple[Array, Array]:
    """Return the gradients and the own parameters of all steps, each (K, S, P).

    K counts steps, S starts and P own parameters (a model's tensors, flattened).
    """
    assert asked.optimiser_gradients is not None
    shape = -1, asked.runs, asked.own.shape[1]
    return asked.optimiser_gradients.reshape(shape), asked.own.reshape(shape)


def step_by_velocity(asked: Problem, momentum: float, dampening: float, nesterov: bool) -> Array:
    """Return the own parameters (D, P) after steps with another momentum.

    D counts states (starts and steps) of training runs and P own parameters (a model's tensors,
    flattened).
    """
    gradients, own = split_by_step(asked)
    recipe, after = asked.recipe, []
    assert recipe is not None
    velocity, share = np.zeros_like(own[0]), 1.0  # the first gradient is not damped
    for gradient, weights in zip(gradients, own, strict=True):
        slope = gradient + recipe.setting("weight_decay") * weights
        velocity, share = momentum * velocity + share * slope, 1 - dampening
        change = slope + momentum * velocity if nesterov else velocity
        after.append(weights - recipe.setting("lr") * change)
    return np.concatenate(after)


@dataclass(frozen=True)
class Moments:
    """A variant of Adam: step t is lr (first moment) / (root of the second moment).

    `corrected` divides both moments by 1 - beta^(t + ahead). `eps` is added to the root, before its
    correction or inside the root. `greatest` keeps the largest second moment (AMSGrad). `forgets`
    sets both moments to 0 before each step. `shrinks` is the factor of the parameters by which they
    are reduced besides, with no weight_decay in the gradient; None for a coupled weight_decay.
    """

    corrected: bool = True
    ahead: int = 0
    eps_is: Literal["after", "before", "inside"] = "after"
    greatest: bool = False
    forgets: bool = False
    shrinks: float | None = None

    def steps(self, asked: Problem) -> Array:
        """Return the own parameters (D, P) after the steps of this variant.

        D counts states (starts and steps) of training runs and P own parameters (a model's tensors,
        flattened).
        """
        gradients, own = split_by_step(asked)
        setting: Any = asked.recipe.setting if asked.recipe else ADAM.get
        beta1, beta2 = setting("beta1"), setting("beta2")
        decay = setting("weight_decay") if self.shrinks is None else 0.0
        first, second, peak = np.zeros((3, *own[0].shape))
        after = []
        for number, (gradient, weights) in enumerate(zip(gradients, own, strict=True), 1):
            if self.forgets:
                first, second, number = 0 * first, 0 * second, 1
            slope = gradient + decay * weights
            first = beta1 * first + (1 - beta1) * slope
            second = beta2 * second + (1 - beta2) * slope**2
            peak = np.maximum(peak, second)
            power = number + self.ahead
            scales = (1 - beta1**power, 1 - beta2**power) if self.corrected else (1.0, 1.0)
            size = self._find_size(peak if self.greatest else second, scales[1], setting("eps"))
            change = setting("lr") * first / scales[0] / size
            after.append(weights - change - (self.shrinks or 0.0) * weights)
        return np.concatenate(after)

    def _find_size(self, second: Array, scale: float, eps: float) -> Array:
        """Return the denominator of a step (S, P)."""
        if self.eps_is == "inside":
            return np.asarray(np.sqrt(second / scale + eps))
        if self.eps_is == "before":
            return np.asarray((np.sqrt(second) + eps) / np.sqrt(scale))
        return np.asarray(np.sqrt(second / scale) + eps)


def add_squares(asked: Problem) -> Array:
    """Return the own parameters (D, P) after steps of Adagrad, with torch's eps.

    D counts states (starts and steps) of training runs and P own parameters (a model's tensors,
    flattened).
    """
    gradients, own = split_by_step(asked)
    rate = asked.recipe.setting("lr") if asked.recipe else 0.0
    size = np.sqrt(np.cumsum(gradients**2, axis=0)) + 1e-10
    return np.asarray((own - rate * gradients / size).reshape(asked.own.shape))


def repeat_steps(asked: Problem) -> Array:
    """Return the own parameters (D, P) after two steps in place of each, with one gradient.

    D counts states (starts and steps) of training runs and P own parameters (a model's tensors,
    flattened). A weight_decay takes the parameters before both steps.
    """
    assert asked.optimiser_gradients is not None
    gradients, own = split_by_step(asked)
    doubled = replace(
        asked,
        own=np.repeat(own, 2, axis=0).reshape(-1, own.shape[2]),
        optimiser_gradients=np.repeat(gradients, 2, axis=0).reshape(-1, own.shape[2]),
        inputs=np.repeat(asked.inputs, 2, axis=0),
        targets=np.repeat(asked.targets, 2, axis=0),
    )
    moves = (take_steps(doubled) - doubled.own).reshape(-1, 2, *own.shape[1:])
    return np.asarray((own + moves.sum(axis=1)).reshape(asked.own.shape))
