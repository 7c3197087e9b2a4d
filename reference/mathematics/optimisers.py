"""The steps of optimisers, written once for every arithmetic, as torch.optim defines them.

SGD with momentum (Sutskever et al. 2013, in torch.optim.SGD's form) and Adam (Kingma and Ba 2015,
algorithm 1, with bias corrections applied to the step size and to the denominator). Each step uses
the gradients that the model's own optimiser got, so that the step is judged by itself; the rounding
of gradients is judged elsewhere.
"""

from typing import Generic, Protocol, TypeVar

import numpy as np

from harness.arithmetic.interface import StepArithmetic
from harness.core.contract import Array
from harness.core.problem import Problem
from harness.core.recipe import Recipe

V = TypeVar("V")
POWER_ROUNDINGS = 2  # of beta^t and of 1 - beta^t in double: what cancels there reaches the step


class Update(Protocol[V]):
    """The interface of an optimiser that follows training runs step by step."""

    def change(self, gradient: V, number: int) -> V:
        """Return the amount that one step subtracts from the parameters; `number` counts the steps
        from 1.
        """


def steps(m: StepArithmetic[V], problem: Problem) -> V:
    """Return the own parameters (D, P) after one step from each of a problem's D states, in the
    arithmetic m. A state is the parameters before a step.

    Own parameters are a model's own tensors, flattened; held parameters stay 0. P counts these
    parameters.
    """
    recipe, gradients, held = problem.recipe, problem.optimiser_gradients, problem.formulation.held
    assert recipe is not None
    assert gradients is not None

    def release(part: Array) -> Array:
        return np.where(held, 0.0, part)

    update: Update[V] = _Adam(m, recipe) if recipe.optimiser == "adam" else _Sgd(m, recipe)
    after = []
    for number, start in enumerate(range(0, problem.draws, problem.runs), 1):
        now = slice(start, start + problem.runs)
        weights, gradient = m.lift(problem.own[now]), m.lift(gradients[now])
        if problem.own_error is not None:
            weights = m.widen(weights, problem.own_error[now])
        if decay := recipe.setting("weight_decay"):
            gradient = m.stored(m.add(gradient, m.stored(m.scale(weights, decay))))
        after.append(m.each(release, m.sub(weights, update.change(gradient, number))))
    return m.stack(after)


class _Sgd(Generic[V]):
    """SGD; its initial velocity is 0."""

    def __init__(self, m: StepArithmetic[V], recipe: Recipe) -> None:
        self.m, self.recipe = m, recipe
        self.velocity: V | None = None

    def change(self, gradient: V, number: int) -> V:
        m, momentum = self.m, self.recipe.setting("momentum")
        if momentum and self.velocity is not None:
            gradient = m.stored(m.add(m.scale(self.velocity, momentum), gradient))
        self.velocity = gradient
        return m.scale(gradient, self.recipe.setting("lr"))


class _Adam(Generic[V]):
    """Adam; its initial moments are 0."""

    def __init__(self, m: StepArithmetic[V], recipe: Recipe) -> None:
        self.m, self.recipe = m, recipe
        self.moments: tuple[V, V] | None = None

    def change(self, gradient: V, number: int) -> V:
        m, setting = self.m, self.recipe.setting
        beta1, beta2 = setting("beta1"), setting("beta2")
        square = m.stored(m.mul(gradient, gradient))
        if self.moments is None:
            self.moments = m.scale(gradient, 0.0), m.scale(square, 0.0)
        first = m.mix(self.moments[0], gradient, 1 - beta1)
        second = m.mix(self.moments[1], square, 1 - beta2)
        self.moments = first, second
        root = m.scale(
            m.root(second), 1 / np.sqrt(1 - beta2**number), _correction_slack(beta2, number)
        )
        size = m.add(root, m.constant(second, setting("eps")))
        rate = setting("lr") / (1 - beta1**number)
        return m.divide(m.stored(m.scale(first, rate, _correction_slack(beta1, number))), size)


def _correction_slack(beta: float, number: int) -> float:
    """Return the relative error of 1 - beta^number in double precision.

    The absolute error is two roundings of the power beta^number; it is divided by the difference.
    """
    return POWER_ROUNDINGS * 2.0**-53 * beta**number / (1 - beta**number)
