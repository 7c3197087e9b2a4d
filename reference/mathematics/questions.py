"""Prepares problems for the equations: some draws at a time, at the network's parameters."""

from dataclasses import replace

import numpy as np

from harness.core.changed import changed
from harness.core.formulation import Formulation
from harness.core.problem import Problem

CHUNK = 40_000  # numbers at once, of the longest sum's layer and the gradient


def chunks(problem: Problem) -> list[slice]:
    """Return slices of a problem's draws, each small enough to be computed in memory at once."""
    formulation = problem.formulation
    step = max(1, CHUNK // (problem.rows * formulation.network.widest + formulation.own.size))
    return [slice(start, start + step) for start in range(0, problem.draws, step)]


def split(problem: Problem) -> list[Problem]:
    """Return parts of a problem, each small enough to be computed in memory at once: the problem
    itself if it is.
    """
    parts = chunks(problem)
    return [problem] if len(parts) == 1 else [problem.part(draws) for draws in parts]


def at_theta(problem: Problem) -> Problem:
    """Return a copy of the problem in which a model's own parameters are replaced by theta, the
    network's parameters as float64 computes them.
    """
    identity = Formulation.identity(problem.network)
    if not np.isfinite(problem.theta).all():  # which is refused
        return replace(problem, formulation=identity, own=problem.theta)
    return changed(problem, formulation=identity, own=problem.theta)
