"""Searches for rows that count unequally in the gradients of a training run: a smaller last batch
whose mean counts like the others', or a batch left out.

In shapes, D counts states of training runs, R rows of data, P the model's own parameters, and C
candidates.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from harness.core.contract import Array, Contract
from harness.core.problem import Problem
from reference.explaining.scaling import UNEXPLAINED
from reference.explaining.stacks import Stack
from reference.faults.kinds import Fault, Posed, solve, undecayed

MOST_ROWS = 256
FEWEST = 4  # gradients: one of hundreds of candidates would fit two to UNEXPLAINED by chance
MOST_NUMBERS = 4_000_000  # of the gradients of all rows


def find_row_weights(stack: Stack) -> Iterator[Fault]:
    """Yield the mistake whose weights of rows, times one factor, fit the observed gradients."""
    problem, right = stack.problem, stack.right["gradient"]
    loss, rows = problem.loss, problem.rows
    if loss.reduction != "sum" or loss.weights is not None or not 2 < rows <= MOST_ROWS:
        return
    if not FEWEST <= problem.own.size <= MOST_NUMBERS / rows:
        return
    of_rows = _find_gradients(problem)
    seen = (stack.observed["gradient"] - right + of_rows.sum(axis=1)).ravel()
    words, weights = zip(*_list_candidates(rows), strict=True)
    found = of_rows.swapaxes(1, 2).reshape(-1, rows) @ np.stack(weights, axis=1)
    factors = (found * seen[:, None]).sum(axis=0) / (found**2).sum(axis=0)
    left = np.linalg.norm(found * factors - seen[:, None], axis=0)
    best = int(np.argmin(left))
    if not left[best] <= UNEXPLAINED * np.linalg.norm(stack.observed["gradient"] - right):
        return
    of_best = weights[best] * factors[best]

    def weigh(asked: Problem) -> Problem:
        return replace(asked, loss=replace(asked.loss, weights=of_best))

    yield Posed("rows_weighted", words[best], weigh, "loss")


def _list_candidates(rows: int) -> Iterator[tuple[str, Array]]:
    """Yield weights of rows (R,), in words: for each number of last rows, and for batches of each
    size that leaves some rows over.
    """
    places = np.arange(rows)
    for over in range(1, rows):
        words = f"the last {over} of {rows} rows are left out of the loss (drop_last?)"
        yield words, np.where(places >= rows - over, 0.0, 1.0)
    for size in range(2, rows):
        if over := rows % size:
            words = f"the last batch, {over} of {rows} rows in batches of {size}, counts like a"
            words += f" whole one: a row of it counts {size / over:.3g} times as much as another"
            yield words, np.where(places >= rows - over, size / over, 1.0)


def _find_gradients(problem: Problem) -> Array:
    """Return the gradient (D, R, P) of each row's part of the loss, by own parameters."""
    draws, rows = problem.draws, problem.rows
    alone = replace(
        undecayed(problem),
        own=np.repeat(problem.own, rows, axis=0),
        inputs=problem.inputs.reshape(draws * rows, 1, -1),
        targets=problem.targets.reshape(draws * rows, 1, -1),
        recipe=None,
        optimiser_gradients=None,
        own_error=None,
    )
    found = problem.formulation.pull_back(solve(alone, Contract())["gradient"])
    return np.asarray(found.reshape(draws, rows, -1))
