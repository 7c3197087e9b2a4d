"""Judges training in the network's parameters: does a model train as the network itself would?

The own parameters are a model's own tensors, flattened (P,). theta is the vector of the network's T
parameters. A sum of own parameters is an entry of theta to which several own parameters are added.
In shapes, D counts the states of a training run.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from harness.core.contract import Array, Contract
from harness.core.formulation import Formulation
from harness.core.implementation import Missing, Observation
from harness.core.problem import STEP, Problem
from harness.core.recipe import Recipe
from harness.core.verdict import Status


def express_in_network(
    problem: Problem, observation: Observation, factors: Mapping[str, float], dtype: str
) -> tuple[Problem, Observation]:
    """Return the states of a training run, expressed in the network's parameters, with the gradient
    and the step from each state.

    The problem has one draw for each state. Its gradients are converted to gradients by theta (the
    network's parameters), and multiplied by the `factors`, a dict by the names of blocks: these are
    the gradients that the network's own optimiser would use. Raises ValueError if some entry of
    theta has no own parameter that changes only this entry, or if a factor is for an unknown block.
    """
    formulation = problem.formulation
    after = observation.values[STEP]
    gradients = _by_theta(formulation, observation.values["gradient"])
    states = replace(
        problem,
        formulation=Formulation.identity(formulation.network),
        own=problem.theta,
        own_error=_rounding(formulation, problem.own, after, dtype),
        optimiser_gradients=gradients * _by_entry(formulation, factors),
    )
    others = Missing(Status.BROKEN, "is seen as_network, expected checks=['step']")
    return states, Observation({STEP: formulation.theta(after)}, others, by_own=True)


def _by_theta(formulation: Formulation, gradients: Array) -> Array:
    """Return gradients by theta (D, T), given gradients by own parameters (D, P).

    Each entry is the gradient by the own parameter that changes only this entry of theta. D counts
    the states of a training run, T the network's parameters and P own parameters (a model's
    tensors, flattened). Raises ValueError if there is none.
    """
    leads = formulation.leads
    if (leads < 0).any():
        label = formulation.network.layout.label(int(np.argmin(leads)))
        raise ValueError(
            f"as_network: no parameter of the model moves {label} alone, expected one for each"
            " parameter of the network"
        )
    return np.asarray(gradients[:, leads])


def _rounding(formulation: Formulation, before: Array, after: Array, dtype: str) -> Array:
    """Return the largest rounding error (D, T) of the entries of theta that are sums of own
    parameters, for the states `before` and `after` a step.

    Each summand is rounded to the dtype after the step, relative to its own size, which may be far
    larger than the sum. The sums before and after the step are formed in float64. D counts the
    states of a training run and T the network's parameters.
    """
    unit, formed = Contract(dtype).roundoff, 2.0**-53 * (formulation.summands + 1)
    sizes_before = formulation.absolute(abs(before)) + formulation.magnitude
    sizes_after = formulation.absolute(abs(after)) + formulation.magnitude
    error = unit * sizes_after + formed * (sizes_before + sizes_after)
    return np.where(formulation.forward_roundings > 0, error, 0.0)


def _by_entry(formulation: Formulation, factors: Mapping[str, float]) -> Array:
    """Return the factor of each entry of theta (T,), the network's parameters, from factors by the
    names of blocks; 1 for blocks without a factor.
    """
    layout = formulation.network.layout
    names = [block.name for block in layout.blocks]
    for name in factors:
        if name not in names:
            raise ValueError(
                f"as_network: the network has no block {name}, expected one of {', '.join(names)}"
            )
    return np.array([factors.get(name, 1.0) for name in names])[layout.owners]


def describe_sums(name: str, formulation: Formulation, recipe: Recipe | None = None) -> str:
    """Return a sentence on the network's parameters that are sums of a model's own parameters
    (entries of its tensors).

    Only the sum of these parameters is identified: other summands with the same sum give the same
    function. With an `sgd` recipe the sentence also tells how far a step moves the sum. It is "" if
    no entry is such a sum.
    """
    rates = _find_sums(formulation)
    if not rates:
        return ""
    several = len(rates) > 1
    sums = f"the sum{'s' if several else ''} {' and '.join(rates)} {'are' if several else 'is'}"
    sentence = f"In {name} only {sums} identified"
    numbers = {rate for each in rates.values() for rate in each}
    if recipe is None or recipe.optimiser != "sgd" or recipe.setting("weight_decay"):
        return sentence
    if len(numbers) > 1:
        return sentence
    rate = numbers.pop()
    times = "twice" if rate == 2 else f"{rate:g} times"
    return f"{sentence}; SGD moves {'them' if several else 'it'} {times} as far"


def _find_sums(formulation: Formulation) -> dict[str, set[float]]:
    """Return the entries of theta that are sums, in words such as "b = hidden.bias + hidden.extra",
    each with its rates.

    A rate is the SGD step of the sum divided by the step of a single parameter. It equals the sum
    of the squares of the coefficients: the diagonal entry of matrix times its transpose. Entries
    are left out if their parameters also enter other entries, which identify them, or are held at
    0.
    """
    if formulation.summands.max(initial=0) < 2:
        return {}
    matrix = formulation.matrix
    enters_one = (matrix.transpose.entries == 1) & ~formulation.held
    own, network = formulation.own, formulation.network.layout
    rates_by_sum: dict[str, set[float]] = {}
    for entry, owner in enumerate(network.owners):
        row = slice(matrix.starts[entry], matrix.starts[entry + 1])
        columns, coefficients = matrix.columns[row], matrix.data[row]
        free = ~formulation.held[columns]
        if free.sum() < 2 or not enters_one[columns[free]].all():
            continue
        summands = []
        for column, coefficient in zip(columns[free], coefficients[free], strict=True):
            factor = "" if coefficient == 1 else f"{coefficient:g} "
            summands.append(f"{factor}{own.blocks[own.owners[column]].name}")
        sentence = f"{network.blocks[owner].name} = {' + '.join(summands)}"
        rates_by_sum.setdefault(sentence, set()).add(float((coefficients[free] ** 2).sum()))
    return rates_by_sum
