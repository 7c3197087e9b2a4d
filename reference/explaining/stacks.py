"""The observed and the right answers of a stack, compared by the search for an explanation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from harness.core.contract import Array
from harness.core.problem import Problem
from reference.faults.kinds import Answers

ALIKE = 1e-4  # of their size: numbers that are nearer may be the same number


class Stack(NamedTuple):
    """A stack (several problems along a first axis), the observed answers to it, and the right
    ones.

    The gradients are by the model's own tensors, flattened.
    """

    problem: Problem
    observed: Mapping[str, Array]
    right: Answers


def are_alike(a: Array, b: Array) -> bool:
    """Are two arrays of finite numbers equal, up to a small share of their size?"""
    size = np.maximum(abs(a), abs(b))
    return bool((abs(a - b) <= ALIKE * size).all())
