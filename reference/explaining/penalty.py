"""Searches for a penalty on the parameters in the gradients of a training run."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from harness.core.contract import Array
from harness.core.problem import Problem
from reference.explaining.stacks import Stack
from reference.faults.kinds import Answer, Answers, Fault


def find_penalty(stack: Stack) -> Iterator[Fault]:
    """Yield the mistakes that the loss has a penalty on all parameters, or on weights alone, or
    lacks one."""
    problem = stack.problem
    if not problem.formulation.is_renaming:
        return
    layout = problem.formulation.network.layout
    is_weight = np.array([block.role != "bias" for block in layout.blocks])[layout.owners]
    apart = stack.observed["gradient"] - stack.right["gradient"]
    for on, shares in (
        ("all parameters", np.ones(is_weight.shape)),
        ("the weights, without the biases,", is_weight.astype(float)),
    ):
        slope = problem.formulation.pull_back(2 * shares * problem.theta)
        size = float((slope * apart).sum() / (slope * slope).sum())
        words = (
            f"{size:.4g} times the sum of squares of {on} is added to the loss, which the"
            f" reference does not add; in an optimiser it is weight_decay={2 * size:.4g}"
        )
        if size < 0 and problem.loss.has_decay:
            words = f"{-size:.4g} times the sum of squares of {on} is missing from the loss"
        yield Answer("penalty_added", words, partial(_add, 2 * size * shares), "gradient")


def _add(decays: Array, answers: Answers, problem: Problem) -> Answers:
    return {**answers, "gradient": answers["gradient"] + decays * problem.theta}
