"""Searches for a mistake in an optimiser's steps.

In shapes, D counts states (starts and steps) of training runs, P the model's own parameters, K
steps and S starts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from harness.core.contract import Array, Contract
from harness.core.problem import STEP, Problem
from harness.core.recipe import OPTIMISERS, Optimiser, Recipe
from reference.explaining.carried import NEVER_ZEROED, ROUNDINGS, add_up, describe_kept
from reference.explaining.fitted_steps import SAME, list_fitted, list_schedules
from reference.explaining.scaling import describe_left
from reference.mistakes.updates import (
    Change,
    Moments,
    add_squares,
    repeat_steps,
    step_by_velocity,
    take_steps,
    with_gradients,
    with_recipe,
    with_settings,
)

UNEXPLAINED = 1e-3  # most of an observed difference that an explanation may leave
EPS = 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-9, 1e-10, 1e-12, 1e-15, 1e-16
ADAMW_DECAY = OPTIMISERS["adamw"]["weight_decay"]
SINGLE = ROUNDINGS * 2.0**-24  # of a step, that rounding to float32 may leave
ROUNDED = (
    "the steps are right but for roundings of float32: as if a gradient, a velocity, moments or a"
    " learning rate were kept in float32"
)
VARIANTS = {
    "Adam's bias correction is left out": Moments(corrected=False),
    "Adam's bias correction counts from 2, expected from 1: its step number is raised before it is"
    " used once too often": Moments(ahead=1),
    "Adam begins anew at each step: an optimiser is made inside the loop, expected before it": (
        Moments(forgets=True)
    ),
    "amsgrad=True: the largest second moment so far is used": Moments(greatest=True),
    "Adam's eps stands inside the root: sqrt(v + eps), expected sqrt(v) + eps": Moments(
        eps_is="inside"
    ),
    "Adam's eps is added before the root is corrected: expected sqrt(v / (1 - beta2^t)) + eps": (
        Moments(eps_is="before")
    ),
}


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
                left = _norm(seen - after) / _norm(seen - take_steps(problem))
                return f"{change.words} ({describe_left(left)})"
        if _norm(seen - take_steps(problem)) <= SINGLE * _norm(seen - problem.own):
            return ROUNDED if contract.dtype == "float64" else ""
        return describe_kept(problem, seen, contract)


def _explains(problem: Problem, seen: Array, after: Array, contract: Contract) -> bool:
    """Do the parameters `after` wrong steps agree with the observed ones (`seen`), up to a small
    share of the difference from the right ones or up to rounding?
    """
    least = min(_norm(seen - take_steps(problem)), _norm(seen - problem.own))
    rounding = ROUNDINGS * contract.roundoff * _norm(np.maximum(abs(problem.own), abs(after)))
    return _norm(seen - after) <= UNEXPLAINED * least + min(rounding, least / 10)


def _norm(a: Array) -> float:
    return float(np.linalg.norm(a))


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
    yield from list_fitted(problem, seen)
    yield Change(NEVER_ZEROED, with_gradients(lambda g: add_up(g, problem.runs)))
    yield from _of_other_optimisers(problem)
    yield from list_schedules(problem, seen)  # last: its rates fit other mistakes, too


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
        lambda asked: np.where(places, asked.own, take_steps(asked)),
    )


def _list_factors(problem: Problem, seen: Array) -> Iterator[Change]:
    """Yield the mistake of multiplying all steps by one factor, if there is such a factor: another
    learning rate or another sign.
    """
    right, change = take_steps(problem) - problem.own, seen - problem.own
    factor = float((right * change).sum() / (right * right).sum())
    factor = float(f"{factor:.4g}")
    if not np.isfinite(factor) or abs(factor - 1) < SAME or factor == 0:
        return
    assert problem.recipe is not None
    rate, settings = problem.recipe.setting("lr"), OPTIMISERS[problem.recipe.optimiser]
    momentum = problem.recipe.setting("momentum") if "momentum" in settings else 0.0
    if momentum and abs(factor - (1 - momentum)) < SAME * factor:
        words = (
            f"the momentum is v = {momentum:g} v + {factor:g} g, expected {momentum:g} v + g, or"
            f" the learning rate is {factor * rate:g}: each step is {factor:g} times as long"
        )
    elif factor == -1:
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
    yield Change(words, lambda asked: asked.own + factor * (take_steps(asked) - asked.own))


def _list_settings(problem: Problem) -> Iterator[Change]:
    """Yield mistakes in which settings of the optimiser were omitted or added."""
    recipe = problem.recipe
    assert recipe is not None
    for name in ("momentum", "weight_decay"):
        if name not in OPTIMISERS[recipe.optimiser]:
            continue
        if given := recipe.setting(name):
            words = f"{name}={given:g} of the recipe is left out"
            more = {"nesterov": False} if name == "momentum" else {}
            if more and not recipe.setting("nesterov"):
                words += ", or the optimiser is made anew at each step"
            yield Change(words, with_settings({name: 0.0, **more}))
            continue
        for value in (0.9, 0.5, 0.99) if name == "momentum" else (0.1, 0.01, 1e-3, 1e-4):
            words = f"{name}={value:g} is added, which the recipe does not have"
            yield Change(words, with_settings({name: value}))


def _of_other_optimisers(problem: Problem) -> Iterator[Change]:
    recipe = problem.recipe
    assert recipe is not None
    yield Change("the optimiser's step() is called twice for each gradient", repeat_steps)
    yield from _list_kinds(recipe)
    if recipe.optimiser == "sgd":
        if momentum := recipe.setting("momentum"):
            words = "Nesterov's momentum in place of the ordinary one (nesterov=True)"
            if recipe.setting("nesterov"):
                words = "the ordinary momentum in place of Nesterov's (nesterov=True)"
            nesterov = not recipe.setting("nesterov")
            yield Change(words, lambda asked: step_by_velocity(asked, momentum, 0.0, nesterov))
        return
    if recipe.optimiser == "rmsprop":
        for alpha in (0.9, 0.95, 0.99, 0.999):
            words = f"alpha is {alpha:g}, the recipe's is {recipe.setting('alpha'):g}"
            yield Change(words, with_settings({"alpha": alpha}))
    else:
        yield from _list_decoupled(recipe)
        yield from _list_variants(recipe)
    for eps in EPS:
        words = f"eps is {eps:g}, the recipe's is {recipe.setting('eps'):g}"
        yield Change(words, with_settings({"eps": eps}))


def _list_kinds(recipe: Recipe) -> Iterator[Change]:
    """Yield other optimisers, with the learning rate and the weight_decay of the recipe."""
    kept = {"lr": recipe.setting("lr"), "weight_decay": recipe.setting("weight_decay")}
    kinds: dict[Optimiser, str] = {"sgd": "SGD", "adam": "Adam", "rmsprop": "RMSprop"}
    for kind, name in kinds.items():
        if kind == recipe.optimiser or recipe.optimiser == "adamw":
            continue
        words = f"{name} in place of {kinds[recipe.optimiser]}"
        yield Change(words, with_recipe(Recipe(kind, recipe.steps, kept)))
        if kept["weight_decay"]:
            without = Recipe(kind, recipe.steps, {"lr": recipe.setting("lr")})
            yield Change(f"{words}, without its weight_decay", with_recipe(without))


def _list_decoupled(recipe: Recipe) -> Iterator[Change]:
    """Yield the decay of AdamW in place of Adam's, and Adam's in place of AdamW's."""
    rate, decay = recipe.setting("lr"), recipe.setting("weight_decay")
    words = "AdamW in place of Adam: its weight_decay is decoupled from the gradient"
    if recipe.optimiser == "adamw":
        words = "Adam in place of AdamW: its weight_decay is added to the gradient"
        yield Change(words, Moments().steps)
    elif decay:
        yield Change(words, Moments(shrinks=rate * decay).steps)
    else:
        words += f", and {ADAMW_DECAY:g} if none is given; the recipe has none"
        yield Change(words, Moments(shrinks=rate * ADAMW_DECAY).steps)
    if not decay:
        return
    words = "the parameters shrink by weight_decay at each step, as AdamW's but without the factor"
    yield Change(f"{words} lr", Moments(shrinks=decay).steps)
    for factor in (2.0, 0.5):
        words = f"weight_decay is {factor * decay:g}, the recipe's is {decay:g}"
        yield Change(words, with_settings({"weight_decay": factor * decay}))


def _list_variants(recipe: Recipe) -> Iterator[Change]:
    """Yield variants of Adam, or of AdamW."""
    shrinks = None
    if recipe.optimiser == "adamw":
        shrinks = recipe.setting("lr") * recipe.setting("weight_decay")
    for words, variant in VARIANTS.items():
        yield Change(words, replace(variant, shrinks=shrinks).steps)
    yield Change("Adagrad in place of Adam", add_squares)
    for beta1, beta2 in ((0.9, 0.99), (0.9, 0.95), (0.5, 0.999), (0.95, 0.999), (0.9, 0.9)):
        words = f"the betas of Adam are {beta1:g} and {beta2:g}, expected"
        words += f" {recipe.setting('beta1'):g} and {recipe.setting('beta2'):g}"
        yield Change(words, with_settings({"beta1": beta1, "beta2": beta2}))
