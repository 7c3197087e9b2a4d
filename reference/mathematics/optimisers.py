"""The steps of optimisers, once, for every arithmetic, as torch.optim defines them.

SGD with momentum (Sutskever et al. 2013, in torch.optim.SGD's form) and Adam (Kingma and Ba 2015,
algorithm 1, bias corrections applied to the step size and to the denominator). Each takes the
gradients that an optimiser was handed along its runs, so that a step is judged by itself: what
rounds in a gradient is judged elsewhere.
"""

from typing import Any

import numpy as np

from harness.core.problem import Problem
from harness.core.recipe import Recipe

POWER_ROUNDINGS = 2  # of beta^t and of 1 - beta^t in double: what cancels there reaches the step


def steps(m: Any, problem: Problem) -> Any:
    """The own parameters after each state's step (D, P), in arithmetic m; those that are held stay
    0.
    """
    recipe, handed = problem.recipe, problem.optimiser_gradients
    assert recipe is not None
    assert handed is not None
    update = {"sgd": _sgd, "adam": _adam}[recipe.optimiser]
    after, state = [], None
    for number, start in enumerate(range(0, problem.draws, problem.runs)):
        now = slice(start, start + problem.runs)
        weights, gradient = m.lift(problem.own[now]), m.lift(handed[now])
        if decay := recipe.setting("weight_decay"):
            gradient = m.stored(m.add(gradient, m.stored(m.scale(weights, decay))))
        change, state = update(m, recipe, gradient, state, number + 1)
        held = problem.formulation.held
        after.append(
            m.each(lambda part, held=held: np.where(held, 0.0, part), m.sub(weights, change))
        )
    return m.stack(after)


def _sgd(m: Any, recipe: Recipe, gradient: Any, velocity: Any, number: int) -> tuple[Any, Any]:
    momentum = recipe.setting("momentum")
    if momentum and velocity is not None:
        gradient = m.stored(m.add(m.scale(velocity, momentum), gradient))
    return m.scale(gradient, recipe.setting("lr")), gradient


def _adam(m: Any, recipe: Recipe, gradient: Any, moments: Any, number: int) -> tuple[Any, Any]:
    lr, eps = recipe.setting("lr"), recipe.setting("eps")
    betas = recipe.setting("beta1"), recipe.setting("beta2")
    powers = gradient, m.stored(m.mul(gradient, gradient))
    if moments is None:
        moments = [m.scale(power, 0.0) for power in powers]
    first, second = moments = [
        m.mix(moment, power, 1 - beta)
        for moment, beta, power in zip(moments, betas, powers, strict=True)
    ]
    corrections = [1 - beta**number for beta in betas]
    # of a double: 1 - beta^t is small beside the powers that cancel in it
    slack = [
        POWER_ROUNDINGS * 2.0**-53 * beta**number / rest
        for beta, rest in zip(betas, corrections, strict=True)
    ]
    size = m.add(
        m.scale(m.root(second), 1 / np.sqrt(corrections[1]), slack[1]), m.constant(second, eps)
    )
    return m.divide(m.stored(m.scale(first, lr / corrections[0], slack[0])), size), moments
