"""Mistakes in steps whose numbers are read from the observed steps: rates, decay, momentum, clips.

In shapes, D counts states (starts and steps) of training runs, P the model's own parameters, K
steps and S starts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from harness.core.contract import Array
from harness.core.problem import Problem
from harness.core.recipe import Recipe
from reference.mistakes.updates import (
    After,
    Change,
    split_by_step,
    step_by_velocity,
    take_steps,
    with_gradients,
    with_settings,
)

Places = NDArray[np.int_]
SAME = 1e-3  # ratios of changes that are nearer are one number
FEWEST = 4  # numbers of a step from which its rate is read
LISTED = 3  # rates that are listed, of a schedule
CLIPS = 1.0, 0.1, 0.25, 0.5, 2.0, 5.0, 10.0
SMALL_NORM = 1e-6  # that clip_grad_norm_ adds to a norm


def list_fitted(problem: Problem, seen: Array) -> Iterator[Change]:
    """Yield mistakes with the numbers that fit the observed parameters `seen` (D, P)."""
    recipe = problem.recipe
    assert recipe is not None
    yield from _list_groups(problem, seen)
    if recipe.optimiser == "sgd":
        yield from _list_decays(problem, seen, recipe)
        yield from _list_momenta(problem, seen, recipe)
    yield from _list_clips(problem, seen)


def _ratio(right: Array, seen: Array, axis: int | tuple[int, ...] | None = None) -> Array:
    """Return the factors by which `right` is nearest to `seen`, over the axes."""
    return np.asarray((right * seen).sum(axis=axis) / (right * right).sum(axis=axis))


def _clean(number: float) -> float:
    return float(f"{number:.4g}")


def _find_rooms(problem: Problem) -> list[tuple[str, Places]]:
    """Return the model's tensors that are trained, each with its places among own parameters."""
    blocks = problem.formulation.own.blocks
    rooms = [(block.name, block.places[block.places >= 0]) for block in blocks]
    return [(name, places) for name, places in rooms if places.size]


def _list_groups(problem: Problem, seen: Array) -> Iterator[Change]:
    """Yield another learning rate, and a weight_decay left out, for some tensors alone."""
    recipe, rooms = problem.recipe, _find_rooms(problem)
    assert recipe is not None
    right, change = take_steps(problem) - problem.own, seen - problem.own
    factors = {n: _clean(float(_ratio(right[:, at], change[:, at]))) for n, at in rooms}
    others = [name for name, factor in factors.items() if abs(factor - 1) >= SAME]
    if 0 < len(others) < len(rooms) and len({factors[name] for name in others}) == 1:
        factor = factors[others[0]]
        by_place = np.ones(seen.shape[1])
        for name, places in rooms:
            by_place[places] = factor if name in others else 1.0
        words = f"{' and '.join(others)} take steps that are {factor:g} times as long: parameter"
        words += " groups with another learning rate, or steps that are taken more than once"
        yield Change(words, lambda asked: asked.own + by_place * (take_steps(asked) - asked.own))
    if not recipe.setting("weight_decay") or len(rooms) < 2:
        return
    without = with_settings({"weight_decay": 0.0})(problem)
    apart = np.linalg.norm([seen - without, right - change], axis=1)
    kept = {name: bool(apart[0, at].sum() > apart[1, at].sum()) for name, at in rooms}
    free = [name for name, is_kept in kept.items() if not is_kept]
    if 0 < len(free) < len(rooms):
        places = np.concatenate([at for name, at in rooms if not kept[name]])
        words = f"weight_decay does not act on {' and '.join(free)}, the recipe's acts on all"
        yield Change(words, partial(_exchange, places=places))


def _exchange(asked: Problem, places: Places) -> Array:
    """Return the steps (D, P), without weight_decay at these places."""
    after = take_steps(asked)
    after[:, places] = with_settings({"weight_decay": 0.0})(asked)[:, places]
    return after


def _list_decays(problem: Problem, seen: Array, recipe: Recipe) -> Iterator[Change]:
    """Yield the weight_decay that fits best: steps of SGD are linear in it."""
    none, one = (with_settings({"weight_decay": decay})(problem) for decay in (0.0, 1.0))
    decay, given = _clean(float(_ratio(one - none, seen - none))), recipe.setting("weight_decay")
    if given and decay > 0 and abs(decay / given - 1) >= SAME:
        words = f"weight_decay is {decay:g}, the recipe's is {given:g}"
        yield Change(words, with_settings({"weight_decay": decay}))


def _list_momenta(problem: Problem, seen: Array, recipe: Recipe) -> Iterator[Change]:
    """Yield the momentum m and dampening d of the second step, g_0 m + g_1 (1 - d)."""
    gradients, own = split_by_step(problem)
    if len(own) < 2 or own[0].size < FEWEST:
        return
    slopes = gradients + recipe.setting("weight_decay") * own
    moved = (own - seen.reshape(own.shape))[1] / recipe.setting("lr")
    columns = np.stack([slopes[0].ravel(), slopes[1].ravel()], axis=1)
    found = np.linalg.lstsq(columns, moved.ravel(), rcond=None)[0]
    momentum, dampening = _clean(found[0]), _clean(1 - found[1])
    if not 0 < momentum < 1 or not abs(dampening) < 1:
        return
    if abs(dampening) < SAME:
        dampening = 0.0
    given = recipe.setting("momentum"), recipe.setting("dampening")
    if max(abs(momentum - given[0]), abs(dampening - given[1])) < SAME:
        return
    numbers = [f"{momentum:g}", f"{given[0]:g}"]
    if dampening or given[1]:
        numbers[0] += _describe_dampening(dampening)
        numbers[1] += _describe_dampening(given[1])
    if recipe.setting("nesterov"):
        numbers = [f"{momentum:g} without Nesterov's step", f"{given[0]:g} with it"]
    words = f"momentum is {numbers[0]}, the recipe's is {numbers[1]}"
    yield Change(words, lambda asked: step_by_velocity(asked, momentum, dampening, False))


def _describe_dampening(dampening: float) -> str:
    return f" with a dampening of {dampening:g}" if dampening else " without dampening"


def _list_clips(problem: Problem, seen: Array) -> Iterator[Change]:
    """Yield clipped gradients: by their norm, by the norm of each tensor, and by number."""
    rooms: list[Places] = [places for _, places in _find_rooms(problem)]
    everything: list[Places] = [np.arange(problem.own.shape[1])]
    ways = (
        (everything, "the gradient is clipped to a norm of {} before the step (clip_grad_norm_)"),
        (rooms, "each tensor's gradient is clipped to a norm of {} of its own before the step"),
    )
    for parts, words in ways:
        for most in _find_clips(problem, seen, parts):
            clip = partial(_clip_norms, parts=parts, most=most)
            yield Change(words.format(f"{most:g}"), with_gradients(clip))
    for most in CLIPS:
        words = f"each number of the gradient is clipped to {most:g} before the step"
        words += " (clip_grad_value_)"
        yield Change(words, with_gradients(partial(np.clip, a_min=-most, a_max=most)))


def _find_clips(problem: Problem, seen: Array, parts: Sequence[Places]) -> Sequence[float]:
    """Return largest norms to try: usual ones, and the one by which plain SGD's steps shrink."""
    gradients, recipe = problem.optimiser_gradients, problem.recipe
    assert gradients is not None
    assert recipe is not None
    if recipe.optimiser != "sgd" or recipe.setting("momentum"):
        return CLIPS
    right, change = take_steps(problem) - problem.own, seen - problem.own
    for places in parts:
        factors = _ratio(right[:, places], change[:, places], axis=1)
        clipped = factors < 1 - SAME
        if clipped.any():
            norms = factors * np.linalg.norm(gradients[:, places], axis=1)
            return [_clean(float(np.median(norms[clipped])))]
    return ()


def _clip_norms(gradients: Array, parts: Sequence[Places], most: float) -> Array:
    clipped = gradients.copy()
    for places in parts:
        norm = np.linalg.norm(gradients[:, places], axis=1, keepdims=True)
        clipped[:, places] *= np.minimum(most / (norm + SMALL_NORM), 1)
    return clipped


def list_schedules(problem: Problem, seen: Array) -> Iterator[Change]:
    """Yield a learning rate for each step, if it is another one at some and positive at all."""
    recipe, (_, own) = problem.recipe, split_by_step(problem)
    assert recipe is not None
    if len(own) < 2 or own[0].size < FEWEST:
        return
    right = take_steps(problem).reshape(own.shape) - own
    factors = _ratio(right, seen.reshape(own.shape) - own, axis=(1, 2))
    if not (np.isfinite(factors) & (factors > 0)).all():
        return
    rates = [_clean(recipe.setting("lr") * float(factor)) for factor in factors]
    turns = [(0, rates[0])]
    for step, rate in enumerate(rates):
        if abs(rate / turns[-1][1] - 1) >= SAME:
            turns.append((step, rate))
    if len(turns) == 1:
        return
    said = ", ".join(f"{rate:.4g} from step {step}" for step, rate in turns[:LISTED])
    more = ", ..." if len(turns) > LISTED else ""
    words = f"the learning rate changes, as by a scheduler: {said}{more}; the recipe's is"
    words += f" {recipe.setting('lr'):g} at each step"
    yield Change(words, _scale_steps(factors))


def _scale_steps(factors: Array) -> After:
    def after(asked: Problem) -> Array:
        by_state = np.repeat(factors, asked.runs)[:, None]
        return np.asarray(asked.own + by_state * (take_steps(asked) - asked.own))

    return after
