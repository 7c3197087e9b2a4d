"""Finds the first operations of a subject that differ from the equations of its network."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from harness.comparing.judge import Judgement
from harness.core.contract import Array, Contract
from harness.core.finding import Located
from harness.judging.comparison import Comparison

if TYPE_CHECKING:
    from torch import Tensor

NEAR = 0.01  # of the difference of an answer: numbers that are nearer are the same number


def find_first_operations(comparison: Comparison, judgement: Judgement) -> tuple[Located, ...]:
    """Return the first operations whose results differ from the numbers of the subject's network,
    in the draw with the worst element.

    Return none if the subject is no PyTorch model, or its operations cannot be followed.
    """
    model = comparison.cache.model(comparison.trial)
    if model is None or comparison.trial.dtype == "tf32":
        return ()
    from harness.locating.frontier import Pool, find_frontier
    from harness.locating.located import locate

    problem, number = comparison.problems[judgement.stack], judgement.index[0]
    try:
        shadow = comparison.cache.shadow(model, problem, number)
    except Exception:  # whatever a model raises, it has raised before
        return ()
    answer = shadow.read(comparison.quantity).detach()
    apart, largest = abs(judgement.actual - judgement.expected), float(abs(answer).max())
    near = NEAR * apart / largest if largest and math.isfinite(apart) else math.inf
    draw = np.arange(problem.draws) == number
    network = problem.network
    numbers = network.numbers(problem.part(draw), Contract())
    pool = Pool([*map(_as_tensor, numbers), *shadow.leaves().values()], near)
    place = shadow.watched.answers[comparison.quantity]
    found = map(locate, find_frontier(shadow.replay, place, pool))
    # the loss that the harness computes belongs to no layer and no line
    return tuple(each for each in found if each.layer or each.line)


def _as_tensor(numbers: Array) -> Tensor:
    import torch

    return torch.from_numpy(np.asarray(numbers, dtype=np.float64).copy())
