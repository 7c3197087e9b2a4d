"""A stack in parts: few calls, and arrays that fit the caches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.problem import Problem

CHUNK = 40_000  # numbers at once, of the longest sum's layer and the gradient


def chunks(problem: Problem) -> list[slice]:
    """The draws of a problem, some at a time."""
    network: Any = problem.formulation.network
    step = max(1, CHUNK // (problem.rows * network.widest + problem.formulation.own.size))
    return [slice(start, start + step) for start in range(0, problem.draws, step)]
