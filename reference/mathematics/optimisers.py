"""The steps of optimisers, written once for every arithmetic, as torch.optim defines them.

SGD with momentum (Sutskever et al. 2013, in torch.optim.SGD's form), dampening, or Nesterov's
momentum. Adam (Kingma and Ba 2015, algorithm 1, with bias corrections applied to the step size and
to the denominator). AdamW (Loshchilov and Hutter 2019), and RMSprop (Hinton 2012). Each step uses
the gradients that the model's own optimiser got, so that the step is judged by itself; the rounding
of gradients is judged elsewhere.
"""

from typing import Generic, TypeVar

import numpy as np

from harness.arithmetic.interface import StepArithmetic
from harness.core.problem import Problem
from harness.core.recipe import Recipe

V = TypeVar("V")
POWER_ROUNDINGS = 2  # of beta^t and of 1 - beta^t in double: what cancels there reaches the step


class Update(Generic[V]):
    """An optimiser that follows training runs step by step, in the arithmetic m.

    Its `change(gradient, number)` returns the amount that one step subtracts from the parameters;
    `number` counts the steps from 1.
    """

    def __init__(self, m: StepArithmetic[V], recipe: Recipe) -> None:
        self.m, self.setting = m, recipe.setting

    def average(self, before: V | None, now: V, beta: float) -> V:
        """Return the moving average after `now`, given the one `before`; None stands for 0."""
        zero = self.m.scale(now, 0.0)
        return self.m.mix(zero if before is None else before, now, 1 - beta)


def steps(m: StepArithmetic[V], problem: Problem) -> V:
    """Return the own parameters (D, P) after one step from each of a problem's D states, in the
    arithmetic m. A state is the parameters before a step.

    Own parameters are a model's own tensors, flattened; held parameters stay 0. P counts these
    parameters.
    """
    recipe, gradients, held = problem.recipe, problem.optimiser_gradients, problem.formulation.held
    assert recipe is not None
    assert gradients is not None
    update: _Sgd[V] | _Adam[V] | _RmsProp[V] = _Adam(m, recipe)
    if recipe.optimiser == "sgd":
        update = _Sgd(m, recipe)
    elif recipe.optimiser == "rmsprop":
        update = _RmsProp(m, recipe)
    decay, after = recipe.setting("weight_decay"), []
    for number, start in enumerate(range(0, problem.draws, problem.runs), 1):
        now = slice(start, start + problem.runs)
        weights, gradient = m.lift(problem.own[now]), m.lift(gradients[now])
        if problem.own_error is not None:
            weights = m.widen(weights, problem.own_error[now])
        if recipe.optimiser == "adamw":
            weights = m.stored(m.scale(weights, 1 - recipe.setting("lr") * decay))
        elif decay:
            gradient = m.stored(m.add(gradient, m.stored(m.scale(weights, decay))))
        weights = m.sub(weights, update.change(gradient, number))
        after.append(m.each(lambda part: np.where(held, 0.0, part), weights))
    return m.stack(after)


class _Sgd(Update[V]):
    """SGD; its initial velocity is 0."""

    velocity: V | None = None

    def change(self, gradient: V, number: int) -> V:
        m, setting = self.m, self.setting
        velocity, momentum = gradient, setting("momentum")
        if momentum and self.velocity is not None:
            velocity = m.scale(velocity, 1 - setting("dampening"))
            velocity = m.stored(m.add(m.scale(self.velocity, momentum), velocity))
        self.velocity = velocity
        if setting("nesterov"):
            velocity = m.stored(m.add(gradient, m.scale(velocity, momentum)))
        return m.scale(velocity, setting("lr"))


class _Adam(Update[V]):
    """Adam; its initial moments are 0."""

    first: V | None = None
    second: V | None = None

    def change(self, gradient: V, number: int) -> V:
        m, setting = self.m, self.setting
        beta1, beta2 = setting("beta1"), setting("beta2")
        square = m.stored(m.mul(gradient, gradient))
        first = self.first = self.average(self.first, gradient, beta1)
        second = self.second = self.average(self.second, square, beta2)
        root = m.scale(
            m.root(second), 1 / np.sqrt(1 - beta2**number), _correction_slack(beta2, number)
        )
        size = m.add(root, m.constant(second, setting("eps")))
        rate = setting("lr") / (1 - beta1**number)
        return m.divide(m.stored(m.scale(first, rate, _correction_slack(beta1, number))), size)


class _RmsProp(Update[V]):
    """RMSprop without momentum; its initial mean of squares is 0."""

    squares: V | None = None

    def change(self, gradient: V, number: int) -> V:
        m, setting = self.m, self.setting
        square = m.stored(m.mul(gradient, gradient))
        self.squares = squares = self.average(self.squares, square, setting("alpha"))
        size = m.add(m.root(squares), m.constant(square, setting("eps")))
        return m.divide(m.stored(m.scale(gradient, setting("lr"))), size)


def _correction_slack(beta: float, number: int) -> float:
    """Return the relative error of 1 - beta^number in double precision.

    The absolute error is two roundings of the power beta^number; it is divided by the difference.
    """
    return POWER_ROUNDINGS * 2.0**-53 * beta**number / (1 - beta**number)
