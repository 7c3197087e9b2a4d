"""Finds a second mistake: a failure that does not follow from an earlier one of the same subject.

In shapes, D counts draws (problems of a stack), P own parameters: the model's own tensors,
flattened.
"""

from dataclasses import replace

import numpy as np

from harness.core.contract import Array
from harness.core.implementation import Missing
from harness.core.problem import Problem
from harness.judging.case import Trial
from harness.judging.comparison import Comparison
from harness.training.trained import Trained
from harness.words.naming import list_names, tensors

GRADIENTS = ("gradient", "input_gradient")
DRAWS = 3
STEPS = 1e-3, 2e-3  # of the largest number that is moved, to both sides
SLOPE_OFF = 0.02  # of a slope: differences to both sides are nearer, where they agree
STEPS_APART = 1e-3  # of a slope: differences of two steps that are further apart tell nothing
SIMILAR = 0.1  # of a difference, that may change from one dtype or device to another
MOST_APART = 0.5  # of the elements outside their bounds


def describe_second_mistake(comparison: Comparison, first: Trial) -> str:
    """Return the reason why a failure cannot follow from an earlier one, in words; "" if it may
    follow.

    `first` is the trial that failed earlier.
    """
    trial = comparison.trial
    if isinstance(trial.subject, Trained):
        return ""
    if trial.check != first.check:
        if trial.check not in GRADIENTS or (trial.dtype, first.dtype) != ("float64", "float64"):
            return ""
        wrong = _list_wrong_slopes(comparison)
        if not wrong:
            return ""
        return (
            f"a second mistake: {list_names(wrong)} is not even the derivative of the loss that"
            f" {trial.subject.name} computes"
        )
    if (trial.dtype, trial.device) == (first.dtype, first.device):
        return ""
    if not _is_off_otherwise(comparison, first):
        return ""
    return f"a second mistake: {first.dtype} on {first.device} is off by other numbers"


def _list_wrong_slopes(comparison: Comparison) -> list[str]:
    """Return the tensors whose gradient is not the derivative of the subject's own loss, in words.

    The derivative is measured by central differences along a random direction, in a few draws. A
    gradient is wrong if it is wrong in all of them. Return an empty list for a subject with other
    numbers in each call, or without a loss.
    """
    random = [problem for problem in comparison.problems if problem.kind == "random"]
    if not random:
        return []
    problem = random[0].part(slice(DRAWS))
    loss, again = (_ask(comparison, problem, "loss") for _ in range(2))
    gradient = _ask(comparison, problem, comparison.quantity)
    if loss is None or again is None or gradient is None:
        return []
    if not np.array_equal(loss, again, equal_nan=True):
        return []
    names, owners = tensors(problem, comparison.quantity)
    field = "own" if comparison.quantity == "gradient" else "inputs"
    wrong = []
    for number, name in enumerate(names):
        chosen = owners == number
        if not _has_slope(comparison, problem, field, chosen, gradient):
            wrong.append(f"gradient of {name}" if field == "own" else f"gradient by {name}")
    return wrong


def _has_slope(
    comparison: Comparison,
    problem: Problem,
    field: str,
    chosen: Array,
    gradient: Array,
) -> bool:
    """Is a gradient (D, ...) the derivative of the subject's loss (D,) with respect to one tensor?

    `field` is the problem's field with the numbers (D, ...), and the mask `chosen` marks those of
    the tensor in one draw. It is enough if the gradient is right in one draw.
    """
    numbers: Array = getattr(problem, field)
    signs = np.random.default_rng(0).choice([-1.0, 1.0], size=chosen.shape)
    direction = np.where(chosen, signs, 0.0)
    if field == "own":
        direction = np.where(problem.formulation.held, 0.0, direction)
    unit = max(1.0, float(abs(numbers[:, chosen]).max(initial=0.0)))
    slopes = []
    for step in STEPS:
        above = _ask(comparison, _move(problem, field, step * unit * direction), "loss")
        below = _ask(comparison, _move(problem, field, -step * unit * direction), "loss")
        if above is None or below is None:
            return True
        slopes.append((above - below) / (2 * step * unit))
    slope = slopes[0]
    with np.errstate(all="ignore"):
        axes = tuple(range(1, gradient.ndim))
        said = (gradient * direction).sum(axis=axes)
        size = np.maximum(abs(gradient * direction).sum(axis=axes), abs(slope))
        is_clear = abs(slope - slopes[1]) <= STEPS_APART * size
        off = is_clear & (abs(slope - said) > SLOPE_OFF * size)
    return not bool(off.all())


def _move(problem: Problem, field: str, by: Array) -> Problem:
    """Return a copy of a problem in which `by` is added to its own parameters (`field` "own") or
    inputs.
    """
    if field == "own":
        return replace(problem, own=problem.own + by)
    return replace(problem, inputs=problem.inputs + by)


def _ask(comparison: Comparison, problem: Problem, quantity: str) -> Array | None:
    """Return the subject's answer for a quantity of another problem than the case's; None if it has
    none.
    """
    answer = comparison.cache.ask_anew(comparison.trial, problem).answer(quantity)
    return None if isinstance(answer, Missing) else answer


def _is_off_otherwise(comparison: Comparison, first: Trial) -> bool:
    """Is a subject wrong by other numbers than in an earlier trial, in another dtype or on another
    device?

    Returns False if the problems of both trials differ. `first` is the earlier trial.
    """
    other = comparison._replace(trial=first, problems=comparison.cache.stacks(first))
    apart, outside = 0, 0
    for problem in comparison.problems:
        if not any(problem is each for each in other.problems):
            continue
        mine, theirs = (
            each.subject(problem).answer(comparison.quantity) for each in (comparison, other)
        )
        if isinstance(mine, Missing) or isinstance(theirs, Missing):
            return False
        bound, other_bound = (
            each.bounds(problem)[0][comparison.quantity] for each in (comparison, other)
        )
        with np.errstate(all="ignore"):
            off, before = mine - bound.value, theirs - other_bound.value
            is_outside = ~(abs(off) <= bound.error)
            near = bound.error + other_bound.error + SIMILAR * np.maximum(abs(off), abs(before))
            alike = (abs(off - before) <= near) | ~np.isfinite(off) & ~np.isfinite(before)
        apart += int((is_outside & ~alike).sum())
        outside += int(is_outside.sum())
    return apart > MOST_APART * outside
