"""A problem as the equations are asked it: at the network's own parameters, and some draws at a
time.
"""

from dataclasses import replace
from typing import Any

from harness.core.formulation import Formulation
from harness.core.problem import Problem

CHUNK = 40_000  # numbers at once, of the longest sum's layer and the gradient


def chunks(problem: Problem) -> list[slice]:
    """The draws of a problem, some at a time."""
    network: Any = problem.formulation.network
    step = max(1, CHUNK // (problem.rows * network.widest + problem.formulation.own.size))
    return [slice(start, start + step) for start in range(0, problem.draws, step)]


def at_theta(problem: Problem) -> Problem:
    """The question as a reference gets it: the network's own parameters, as float64 gave them."""
    identity = Formulation.identity(problem.formulation.network)
    return replace(problem, formulation=identity, own=problem.theta)
