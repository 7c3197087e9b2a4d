"""Carries changes of parameters, and gradients, from one of two models to the other.

They follow the derivative J of the map from the reference's parameters to the subject's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from torch import Tensor

from harness.evaluating.evaluation import GRADIENT

Tensors = Mapping[str, Tensor]


class Carry(Protocol):
    """The derivative J of the map from the reference's parameters to the subject's."""

    def push(self, tangents: Tensors) -> Tensors:
        """Return J w: the changes of the subject's parameters, given changes w of the
        reference's.
        """

    def pull(self, gradients: Tensors) -> Tensors:
        """Return J^T g: the gradients by the reference's parameters, given those by the
        subject's.
        """


class ByName:
    """The derivative of the map for parameters that have the same names on both sides."""

    def push(self, tangents: Tensors) -> Tensors:
        """Return the changes unchanged."""
        return tangents

    def pull(self, gradients: Tensors) -> Tensors:
        """Return the gradients unchanged."""
        return gradients


def pull_gradients(carry: Carry, answers: Tensors) -> Tensors:
    """Return a copy of the answers in which gradients by the subject's parameters are converted to
    gradients by the reference's.
    """
    mine = {
        name.removeprefix(GRADIENT): answer
        for name, answer in answers.items()
        if name.startswith(GRADIENT)
    }
    others = {name: each for name, each in answers.items() if not name.startswith(GRADIENT)}
    pulled = carry.pull(mine) if mine else {}
    return others | {GRADIENT + name: gradient for name, gradient in pulled.items()}
