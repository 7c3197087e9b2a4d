"""Finds parameters of a subject on which the network's outputs depend, but the subject's do not.

For example, an export that holds its weights as constants, or a compiled function that captured
them when it was traced, computes the same for all given parameters.
"""

import numpy as np

from harness.core.contract import Array
from harness.core.finding import Hint, HintKind
from harness.core.implementation import Missing
from harness.core.problem import Problem
from harness.foreign.computed import Computed
from harness.judging.comparison import Comparison

ROWS = 5


def find_ignored(comparison: Comparison, all_of_them: bool = False) -> Hint | None:
    """Return a hint with the parameters on which the outputs should depend but do not.

    The subject is a function of NumPy arrays; else return None. Also return None if there are no
    such parameters or, with `all_of_them`, if only some of the parameters are ignored.
    """
    if not isinstance(comparison.trial.subject, Computed):
        return None
    problem = _make_problem(comparison)
    answer = comparison.cache.ask_anew(comparison.trial, problem).answer("forward")
    if isinstance(answer, Missing):
        return None
    exact = problem.network.layers(problem)[1]
    names = [block.name for block in problem.formulation.own.blocks]
    used = [name for name, moved in zip(names, _list_moved(exact), strict=True) if moved]
    moved_by = [name for name, moved in zip(names, _list_moved(answer), strict=True) if moved]
    ignored = [name for name in used if name not in moved_by]
    if not ignored or (all_of_them and ignored != used):
        return None
    what = "its parameters" if ignored == used else " and ".join(ignored)
    cause = (
        f"its outputs do not change with {what}, as those of an export that holds them as constants"
    )
    return Hint(HintKind.LIKELY, cause)


def _make_problem(comparison: Comparison) -> Problem:
    """Return a problem with one draw for a start, and a further draw for each of the subject's
    tensors.

    Each further draw has the first draw's parameters, except for its tensor.
    """
    formulation = comparison.formulation
    network, own = formulation.network, formulation.own
    random = np.random.default_rng(0)
    first = random.uniform(-1, 1, own.size).round(3)
    draws = [first]
    for block in own.blocks:
        places = block.places[block.places >= 0]
        other = first.copy()
        other[places] = random.uniform(-1, 1, places.size).round(3)
        draws.append(other)
    parameters = np.stack(draws)
    parameters[:, formulation.held] = 0.0
    rows = random.uniform(-1, 1, (ROWS, sum(network.inputs))).round(3)
    inputs = np.repeat(rows[None], len(draws), axis=0)
    targets = np.zeros((len(draws), ROWS, sum(network.outputs)))
    return Problem("tried", formulation, parameters, inputs, targets)


def _list_moved(outputs: Array) -> list[bool]:
    """Return for each draw but the first whether its outputs differ from those of the first."""
    return [not np.array_equal(each, outputs[0], equal_nan=True) for each in outputs[1:]]
