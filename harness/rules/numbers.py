"""Numbers with error bounds, and the axes of tensors. `steps` has their arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from harness.arithmetic.formulas import steepen

LOST = 2.0**54  # a number that is so many times smaller is lost when it is added
Dims = int | Sequence[int] | None


class Number(NamedTuple):
    """Numbers in float64, and the largest error of each; `bound` is None for exact numbers.

    `in_range` says that no number can be beyond the range of the dtype of the steps that computed
    it, errors included.
    """

    value: Tensor
    bound: Tensor | None = None
    in_range: bool = False

    @property
    def error(self) -> Tensor:
        """The largest error of each number; 0 for exact ones."""
        return torch.zeros_like(self.value) if self.bound is None else self.bound


def are_exact(a: Number, b: Number) -> bool:
    """Are two numbers without error?"""
    return a.bound is None and b.bound is None


def is_within(size: Tensor, largest: float) -> bool:
    """Are all numbers at most `largest`? NaN is not."""
    return not size.numel() or size.max().item() <= largest


def may_change(errors: Tensor, tiny: float) -> bool:
    """May adding `tiny` change any of these errors? It is lost in errors that are far larger."""
    return not errors.numel() or not errors.min().item() > LOST * tiny


def carry_root(root: Tensor, a: Number) -> Tensor:
    """Return the error of the square root of a number before it is rounded."""
    below = torch.clamp(a.value - a.error, min=0.0).sqrt()
    carried = torch.minimum(a.error / (root + below), a.error.sqrt())
    return torch.where(a.error > 0, carried, 0.0)


def is_ordinary(size: Tensor, share: float, tiny: float, largest: float, terms: int = 1) -> bool:
    """Are numbers of this size far from underflow and from overflow?

    Underflow, below `tiny`, changes no error of `share` times such a size then. With `terms` such
    errors, the numbers stay below `largest`.
    """
    if not size.numel():
        return True
    least, most = torch.aminmax(size)
    ordinary: bool = share * least.item() > LOST * tiny
    return ordinary and (2 + terms * share) * most.item() <= largest


def find_steepest(slope: Tensor, error: Tensor, growth: float, most: float) -> Tensor:
    """Return the largest derivative of tanh or the logistic within `error` of an argument.

    `slope` is the derivative at the argument, `growth` bounds its relative growth (see `steepen`),
    and `most` is the largest derivative anywhere.
    """
    near = torch.clamp(steepen(slope, error, growth), max=most)
    return torch.where(error <= 0.5, near, most)


def as_tensor(number: float, like: Tensor) -> Tensor:
    """Return a number as a float64 tensor on the device of another tensor."""
    return torch.scalar_tensor(float(number), dtype=torch.float64, device=like.device)


@lru_cache(maxsize=1024)
def is_held(number: float, dtype: str) -> bool:
    """Does a dtype have this number?"""
    exact = torch.scalar_tensor(number, dtype=torch.float64)
    return float(exact.to(getattr(torch, dtype))) == number


def list_axes(x: Tensor, dims: Dims) -> list[int]:
    """Return the axes that an argument `dim` names: all axes for None or an empty list."""
    if x.ndim == 0:
        return []
    if dims is None or (not isinstance(dims, int) and len(dims) == 0):
        return list(range(x.ndim))
    named = [dims] if isinstance(dims, int) else dims
    return [axis % x.ndim for axis in named]


def count_terms(x: Tensor, axes: Sequence[int]) -> int:
    """Return the number of terms of a sum over some axes."""
    terms = 1
    for axis in axes:
        terms *= x.shape[axis]
    return terms


def count_rounded(x: Tensor, axes: Sequence[int], keepdim: bool = False) -> Tensor | int:
    """Return the number of terms other than 0 of each sum over some axes: adding 0 is exact."""
    if x.all():
        return count_terms(x, axes)
    counts: Tensor = torch.count_nonzero(x, tuple(axes)).double()
    if keepdim:
        for axis in sorted(axes):
            counts = counts.unsqueeze(axis)
    return counts
