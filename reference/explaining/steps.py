"""Searches for a mistake in an optimiser's steps.

In shapes, D counts states (starts and steps) of training runs, P the model's own parameters, K
steps and S starts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from harness.arithmetic.plain import Plain
from harness.core.contract import Array, Contract
from harness.core.problem import STEP, Problem
from harness.core.recipe import ADAM, OPTIMISERS, Recipe
from reference.explaining.scaling import describe_left
from reference.faults.kinds import Answer, Answers, Fault
from reference.mathematics.optimisers import steps

UNEXPLAINED = 1e-3  # most of an observed difference that an explanation may leave
ROUNDINGS = 64  # of a parameter, that it may leave besides
NEVER_ZEROED = "the gradients are never set to zero: those of all steps add up"
SAME = 1e-3  # ratios of changes that are nearer are one number


class Change(NamedTuple):
    """A change of the steps: its description, and a function that returns the resulting own
    parameters (D, P).

    D counts states (starts and steps) of training runs and P own parameters (a model's tensors,
    flattened).
    """

    words: str
    after: Callable[[Problem], Array]


def likely_step(
    problems: Sequence[Problem], observed: Sequence[Mapping[str, Array]], contract: Contract
) -> str:
    """Return the mistake that explains the observed steps, in words; "" if there is none."""
    if len(problems) != 1 or problems[0].recipe is None or STEP not in observed[0]:
        return ""
    problem, seen = problems[0], observed[0][STEP]
    with np.errstate(all="ignore"):
        for change in _list_changes(problem, seen):
            after = change.after(problem)
            if _explains(problem, seen, after, contract):
                left = _norm(seen - after) / _norm(seen - _take_steps(problem))
                return f"{change.words} ({describe_left(left)})"
    return ""


def find_accumulated(runs: int) -> Fault:
    """Return the fault (mistake) of adding up the gradients of all steps; `runs` is the number of
    training runs in the problem.
    """

    def change(answers: Answers, problem: Problem) -> Answers:
        return {**answers, "gradient": _add_up(answers["gradient"], runs)}

    return Answer("gradients_never_zeroed", NEVER_ZEROED, change, "gradient")


def _add_up(gradients: Array, runs: int) -> Array:
    """Return the sums of the gradients (D, P) of all steps so far, where D is steps times `runs`.

    P counts own parameters (a model's tensors, flattened).
    """
    by_step = gradients.reshape(-1, runs, gradients.shape[1])
    return np.cumsum(by_step, axis=0).reshape(gradients.shape)


def _explains(problem: Problem, seen: Array, after: Array, contract: Contract) -> bool:
    """Do the parameters `after` wrong steps agree with the observed ones (`seen`), up to a small
    share of the difference from the right ones or up to rounding?
    """
    least = min(_norm(seen - _take_steps(problem)), _norm(seen - problem.own))
    rounding = ROUNDINGS * contract.roundoff * _norm(np.maximum(abs(problem.own), abs(after)))
    return _norm(seen - after) <= UNEXPLAINED * least + min(rounding, least / 10)


def _norm(a: Array) -> float:
    return float(np.linalg.norm(a))


def _take_steps(problem: Problem) -> Array:
    """Return the own parameters (D, P) after the steps of the problem's recipe.

    D counts states (starts and steps) of training runs and P own parameters (a model's tensors,
    flattened).
    """
    return np.asarray(steps(Plain(Contract()), problem))


def _list_changes(problem: Problem, seen: Array) -> Iterator[Change]:
    """Yield mistakes, the simplest first."""
    yield Change(
        "the parameters do not move: the gradients are set to zero before the step, or the step is"
        " left out",
        lambda asked: asked.own,
    )
    yield from _list_untrained(problem, seen)
    yield from _list_factors(problem, seen)
    yield from _list_settings(problem)
    yield from _list_accumulated(problem)
    yield Change(
        "the gradient is clipped to a norm of 1 before the step (clip_grad_norm_)",
        lambda asked: _take_steps(_with_gradients(asked, _clip_norm)),
    )
    yield Change(
        "each number of the gradient is clipped to 1 before the step (clip_grad_value_)",
        lambda asked: _take_steps(_with_gradients(asked, lambda g: np.clip(g, -1, 1))),
    )
    yield from _of_other_optimisers(problem)


def _list_untrained(problem: Problem, seen: Array) -> Iterator[Change]:
    """Yield the mistake that some tensors are not trained, if some but not all tensors stay where
    they started.
    """
    moved = (seen != problem.own).any(axis=0)
    still = []
    places = np.zeros(moved.shape, dtype=bool)
    for block in problem.formulation.own.blocks:
        of_block = block.places[block.places >= 0]
        if of_block.size and not moved[of_block].any():
            still.append(block.name)
            places[of_block] = True
    if not still or len(still) == len(problem.formulation.own.blocks):
        return
    verb = "takes no step: it is" if len(still) == 1 else "take no step: they are"
    yield Change(
        f"{' and '.join(still)} {verb} not handed to the optimiser, or frozen",
        lambda asked: np.where(places, asked.own, _take_steps(asked)),
    )


def _list_factors(problem: Problem, seen: Array) -> Iterator[Change]:
    """Yield the mistake of multiplying all steps by one factor, if there is such a factor: another
    learning rate or another sign.
    """
    right, change = _take_steps(problem) - problem.own, seen - problem.own
    factor = float((right * change).sum() / (right * right).sum())
    factor = float(f"{factor:.4g}")
    if not np.isfinite(factor) or abs(factor - 1) < SAME or factor == 0:
        return
    rate = problem.recipe.setting("lr") if problem.recipe else 0.0
    if factor == -1:
        words = (
            "the sign of the update is wrong: the step is added, expected subtracted (gradient"
            " ascent)"
        )
    elif factor == 2:
        words = f"each step is taken twice, or the learning rate is {2 * rate:g}, expected {rate:g}"
    else:
        words = (
            f"the learning rate is {factor * rate:.4g}, the recipe's is {rate:g}: each step is"
            f" {factor:g} times as long"
        )
    yield Change(words, lambda asked: asked.own + factor * (_take_steps(asked) - asked.own))


def _list_settings(problem: Problem) -> Iterator[Change]:
    """Yield mistakes in which settings of the optimiser were omitted or added."""
    recipe = problem.recipe
    assert recipe is not None
    for name, called in (("momentum", "momentum"), ("weight_decay", "weight_decay")):
        if name not in OPTIMISERS[recipe.optimiser]:
            continue
        if given := recipe.setting(name):
            words = f"{called}={given:g} of the recipe is left out"
            yield Change(words, _with_settings({name: 0.0}))
            continue
        for value in (0.9, 0.5, 0.99) if name == "momentum" else (0.1, 0.01, 1e-3, 1e-4):
            words = f"{called}={value:g} is added, which the recipe does not have"
            yield Change(words, _with_settings({name: value}))


def _list_accumulated(problem: Problem) -> Iterator[Change]:
    """Yield the mistake that gradients add up over the steps."""

    yield Change(
        NEVER_ZEROED,
        lambda asked: _take_steps(_with_gradients(asked, lambda g: _add_up(g, asked.runs))),
    )


def _of_other_optimisers(problem: Problem) -> Iterator[Change]:
    recipe = problem.recipe
    assert recipe is not None
    rate = recipe.setting("lr")
    if recipe.optimiser == "sgd":
        adam = Recipe("adam", recipe.steps, {"lr": rate})
        yield Change("Adam in place of SGD", lambda asked: _take_steps(replace(asked, recipe=adam)))
        if momentum := recipe.setting("momentum"):
            words = "Nesterov's momentum in place of the ordinary one (nesterov=True)"
            yield Change(words, lambda asked: _step_by_velocity(asked, momentum, 0.0, True))
            words = "the momentum has a dampening of its own size (dampening=momentum)"
            yield Change(words, lambda asked: _step_by_velocity(asked, momentum, momentum, False))
        return
    sgd = Recipe("sgd", recipe.steps, {"lr": rate})
    yield Change(
        "plain SGD in place of Adam", lambda asked: _take_steps(replace(asked, recipe=sgd))
    )
    if decay := recipe.setting("weight_decay"):
        yield Change(
            "AdamW in place of Adam: its weight_decay is decoupled from the gradient",
            lambda asked: _step_decoupled(asked, rate * decay),
        )
    yield Change("Adam's bias correction is left out", lambda asked: _step_uncorrected(asked))
    for beta1, beta2 in ((0.9, 0.99), (0.9, 0.95), (0.5, 0.999), (0.95, 0.999), (0.9, 0.9)):
        words = f"the betas of Adam are {beta1:g} and {beta2:g}, expected"
        words += f" {recipe.setting('beta1'):g} and {recipe.setting('beta2'):g}"
        yield Change(words, _with_settings({"beta1": beta1, "beta2": beta2}))


def _with_settings(settings: dict[str, float]) -> Callable[[Problem], Array]:
    def after(asked: Problem) -> Array:
        recipe = asked.recipe
        assert recipe is not None
        changed = replace(recipe, settings={**recipe.settings, **settings})
        return _take_steps(replace(asked, recipe=changed))

    return after


def _with_gradients(asked: Problem, change: Callable[[Array], Array]) -> Problem:
    assert asked.optimiser_gradients is not None
    return replace(asked, optimiser_gradients=change(asked.optimiser_gradients))


def _clip_norm(gradients: Array) -> Array:
    norm = np.linalg.norm(gradients, axis=1, keepdims=True)
    return np.asarray(gradients / np.maximum(norm, 1))


def _split_by_step(asked: Problem) -> tuple[Array, Array]:
    """Return the gradients and the own parameters of all steps, each (K, S, P).

    K counts steps, S starts and P own parameters (a model's tensors, flattened).
    """
    assert asked.optimiser_gradients is not None
    shape = -1, asked.runs, asked.own.shape[1]
    return asked.optimiser_gradients.reshape(shape), asked.own.reshape(shape)


def _step_by_velocity(asked: Problem, momentum: float, dampening: float, nesterov: bool) -> Array:
    """Return the own parameters (D, P) after steps with another momentum.

    D counts states (starts and steps) of training runs and P own parameters (a model's tensors,
    flattened).
    """
    gradients, own = _split_by_step(asked)
    recipe, after = asked.recipe, []
    assert recipe is not None
    velocity, share = np.zeros_like(own[0]), 1.0  # the first gradient is not damped
    for gradient, weights in zip(gradients, own, strict=True):
        slope = gradient + recipe.setting("weight_decay") * weights
        velocity, share = momentum * velocity + share * slope, 1 - dampening
        change = slope + momentum * velocity if nesterov else velocity
        after.append(weights - recipe.setting("lr") * change)
    return np.concatenate(after)


def _step_decoupled(asked: Problem, shrink: float) -> Array:
    """Return the own parameters (D, P) after steps of AdamW.

    D counts states (starts and steps) of training runs and P own parameters (a model's tensors,
    flattened).
    """
    without = _with_settings({"weight_decay": 0.0})(asked)
    return np.asarray(without - shrink * asked.own)


def _step_uncorrected(asked: Problem) -> Array:
    """Return the own parameters (D, P) after steps of Adam without its bias corrections.

    D counts states (starts and steps) of training runs and P own parameters (a model's tensors,
    flattened).
    """
    gradients, own = _split_by_step(asked)
    setting: Any = asked.recipe.setting if asked.recipe else ADAM.get
    first, second, after = np.zeros_like(own[0]), np.zeros_like(own[0]), []
    for gradient, weights in zip(gradients, own, strict=True):
        slope = gradient + setting("weight_decay") * weights
        first = setting("beta1") * first + (1 - setting("beta1")) * slope
        second = setting("beta2") * second + (1 - setting("beta2")) * slope**2
        size = np.sqrt(second) + setting("eps")
        after.append(weights - setting("lr") * first / size)
    return np.concatenate(after)
