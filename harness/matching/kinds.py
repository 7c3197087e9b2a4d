"""The dtypes of outputs as the models ran: real numbers, whole numbers or truth values."""

from __future__ import annotations

from typing import NamedTuple

import torch

from harness.evaluating.side import is_output
from harness.shadow.shadow import Shadow


class Held(NamedTuple):
    """An output that has another dtype in the subject (`mine`) than in the reference."""

    answer: str
    mine: torch.dtype
    theirs: torch.dtype

    @property
    def differs(self) -> bool:
        """Does it hold another kind of numbers?"""
        return find_kind(self.mine) != find_kind(self.theirs)


def find_kind(dtype: torch.dtype) -> str:
    """Return the kind of numbers that a dtype holds."""
    if dtype is torch.bool:
        return "truth values"
    if dtype.is_complex:
        return "complex numbers"
    return "real numbers" if dtype.is_floating_point else "whole numbers"


def list_held(subject: Shadow, reference: Shadow) -> list[Held]:
    """Return the outputs that have other dtypes in the subject than in the reference."""
    known = subject.watched.answers
    both = [name for name in reference.watched.answers if name in known and is_output(name)]
    held = [
        Held(name, subject.watched.observed(name).dtype, reference.watched.observed(name).dtype)
        for name in both
    ]
    return [one for one in held if one.mine is not one.theirs]
