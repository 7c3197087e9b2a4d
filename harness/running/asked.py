"""Collects the inputs that the subjects of a case were tried with: the numbers of rows, the sizes
of numbers and the ways of calling.

In shapes, D counts draws (problems of a stack).
"""

from collections.abc import Iterator, Sequence

import numpy as np

from harness.core.contract import Array
from harness.core.problem import Problem
from harness.core.report import Asked, Sizes
from harness.judging.cache import Cache, Problems, SubjectAnswers


def collect_asked(cache: Cache) -> Asked | None:
    """Return a summary of the problems on which the subjects of a case were evaluated; None if no
    problem was drawn at random.

    The ranges of sizes hold for every subject and every tensor: the lower end is the largest of the
    smallest sizes, and the upper end the smallest of the largest sizes.
    """
    stacks = cache.get_all(Problems)
    if not stacks:
        return None
    rows = _list_rows(stacks[0])
    known: dict[str, dict[str, list[Sizes]]] = {}
    found: dict[str, list[Sizes]] = {}
    for problems in stacks:
        rows &= _list_rows(problems)
        key = " ".join(problem.key for problem in problems)
        if key not in known:
            known[key] = _measure_sizes(problems)
        for name, sizes in known[key].items():
            found.setdefault(name, []).extend(sizes)
    narrowest = {name: _find_narrowest(sizes) for name, sizes in found.items()}
    draws = min(sum(problem.draws for problem in problems) for problems in stacks)
    return Asked(draws, tuple(sorted(rows)), narrowest, _list_ways(cache))


def _list_rows(problems: Sequence[Problem]) -> set[int]:
    """Return the numbers of input rows that occur in problems.

    Problems whose answers are exact do not count: their numbers are too simple to show every fault
    (a mistake).
    """
    return {problem.rows for problem in problems if not problem.exact}


def _measure_sizes(problems: Sequence[Problem]) -> dict[str, list[Sizes]]:
    """Return the ranges of sizes of the inputs, weights, outputs, ... of problems: by the kind's
    name, one range for each tensor.
    """
    by_tensor: dict[tuple[str, int], list[Array]] = {}
    for problem in problems:
        for name, number, array in _list_tensors(problem):
            by_tensor.setdefault((name, number), []).append(array)
    found: dict[str, list[Sizes]] = {}
    for (name, _), arrays in by_tensor.items():
        largest = np.concatenate([abs(a).reshape(len(a), -1).max(axis=1) for a in arrays])
        largest = largest[np.isfinite(largest) & (largest > 0)]
        if largest.size:
            zero = any(bool((array == 0).any()) for array in arrays)
            found.setdefault(name, []).append(
                Sizes(float(largest.min()), float(largest.max()), zero)
            )
    return found


def _list_tensors(problem: Problem) -> Iterator[tuple[str, int, Array]]:
    """Yield a problem's tensors (D, ...), each as (name of its kind, its number, array).

    D counts draws (problems of a stack).
    """
    network = problem.network
    arguments, outputs = network.layers(problem)
    yield from _split_columns("inputs", problem.inputs, network.inputs)
    for number, block in enumerate(network.layout.blocks):
        name = "biases" if block.role == "bias" else "weights"
        yield name, number, block.of(problem.theta)
    for number, argument in enumerate(arguments):
        yield "arguments of activations", number, argument
    yield from _split_columns("outputs", outputs, network.outputs)
    yield from _split_columns("targets", problem.targets, network.outputs)
    if not problem.loss.is_squares:
        return  # slopes by probabilities are differences of numbers from 0 to 1
    slopes = 2 * problem.shares * (outputs - problem.targets)
    yield from _split_columns("gradients by the outputs", slopes, network.outputs)


def _split_columns(
    name: str, array: Array, widths: Sequence[int]
) -> Iterator[tuple[str, int, Array]]:
    """Yield the groups of columns of an array (D, R, sum of widths), each as (name, number of the
    group, array).
    """
    for number, part in enumerate(np.split(array, np.cumsum(widths)[:-1], axis=-1)):
        yield name, number, part


def _find_narrowest(sizes: Sequence[Sizes]) -> Sizes:
    smallest = max(each.smallest for each in sizes)
    largest = min(each.largest for each in sizes)
    return Sizes(smallest, largest, all(each.zero for each in sizes))


def _list_ways(cache: Cache) -> tuple[str, ...]:
    """Return those ways of calling a model, and those memory layouts of inputs, that were tried
    with every subject.
    """
    by_subject: dict[tuple[str, str, str], set[str]] = {}
    for key, observed in cache.get_items(SubjectAnswers):
        who = key.subject, key.dtype, key.device
        by_subject.setdefault(who, set()).update(observed.asked)
    if not by_subject:
        return ()
    return tuple(sorted(set.intersection(*by_subject.values())))
