"""Nasty numbers and shapes for operations: cancellation, ties, zeros, subnormals, huge offsets."""

from __future__ import annotations

import random
from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

SIZES = (1, 2, 3, 17, 64, 1000)
MOST = 4000  # numbers of a tensor
KINDS = (
    "normal",
    "lattice",
    "wide",
    "small",
    "subnormal",
    "large",
    "cancelling",
    "offset",
    "near one",
    "zeros",
)


class Draws:
    """Draws tensors of a dtype; `kind` is the kind of the numbers of a call."""

    def __init__(self, seed: int, dtype: torch.dtype) -> None:
        self.random = random.Random(seed)
        self.generator = torch.Generator().manual_seed(seed)
        self.dtype = dtype
        self.kind = self.random.choice(KINDS)
        self.most = MOST

    # ------------------------------------------------------------------ shapes

    def shape(self, least: int = 0, most: int = 3) -> list[int]:
        """Return the sizes of a tensor with `least` to `most` axes; one size may be 0."""
        axes = self.random.randint(least, most)
        sizes = [self.random.choice(SIZES) for _ in range(axes)]
        while prod(sizes) > self.most:
            sizes[self.random.randrange(axes)] = self.random.choice((1, 2, 3))
        if axes and self.random.random() < 0.03:
            sizes[self.random.randrange(axes)] = 0
        return sizes

    def filled(self, least: int = 1, most: int = 3) -> list[int]:
        """Return the sizes of a tensor that is not empty."""
        return [max(size, 1) for size in self.shape(least, most)]

    def widened(self, shape: Sequence[int]) -> list[int]:
        """Return a shape that is broadcast to another."""
        sizes = [1 if self.random.random() < 0.3 else size for size in shape]
        return sizes[self.random.choice((0, 0, 0, 1)) if sizes and sizes[0] == 1 else 0 :]

    def axis(self, shape: Sequence[int]) -> int:
        return self.random.randrange(-len(shape), len(shape)) if shape else 0

    # ------------------------------------------------------------------ numbers

    def tensor(self, shape: Sequence[int], kind: str = "", layout: bool = True) -> Tensor:
        """Return numbers of the dtype, in any layout."""
        numbers = self.numbers(shape, kind or self.kind).to(self.dtype)
        return self.lay(numbers) if layout else numbers

    def lay(self, x: Tensor) -> Tensor:
        """Return the same numbers in another layout of memory."""
        chosen = self.random.random()
        if chosen < 0.6 or x.ndim == 0:
            return x
        if chosen < 0.8:
            return x.transpose(0, -1).contiguous().transpose(0, -1)
        return torch.stack([x, x], -1)[..., 0]

    def numbers(self, shape: Sequence[int], kind: str) -> Tensor:
        info = torch.finfo(self.dtype)
        x = torch.randn(tuple(shape), generator=self.generator, dtype=torch.float64)
        match kind:
            case "lattice":
                return (x * 3).round() / 4
            case "wide":
                low, high = -min(30.0, self._decades(info.tiny)), min(30.0, self._decades(info.max))
                return x.sign() * 10 ** (self._uniform(shape) * (high - low) + low)
            case "small":
                return x * 10 ** (-3 * self._uniform(shape) - 1)
            case "subnormal":
                return x * info.tiny * 10 ** (2 * self._uniform(shape) - 2)
            case "large":
                return x * 10 ** (self._uniform(shape) * 3)
            case "cancelling":
                return self._cancel(x)
            case "offset":
                return x + self.random.choice((10.0, 1e3, 0.1 / info.eps))
            case "near one":
                return x.sign() * (1 + x * info.eps * 10 ** (3 * self._uniform(shape)))
            case "zeros":
                return torch.where(self._uniform(shape) < 0.5, x * 0, x)
            case _:
                return x

    def _decades(self, largest: float) -> float:
        return abs(torch.log10(torch.tensor(largest, dtype=torch.float64)).item())

    def _uniform(self, shape: Sequence[int]) -> Tensor:
        return torch.rand(tuple(shape), generator=self.generator, dtype=torch.float64)

    def _cancel(self, x: Tensor) -> Tensor:
        """Return numbers whose sum along the last axis nearly vanishes."""
        if x.ndim == 0 or x.shape[-1] < 2:
            return x
        half = x.shape[-1] // 2
        tiny = 1 + 1e-3 * x[..., half : 2 * half]
        return torch.cat([x[..., :half], -x[..., :half] * tiny, x[..., 2 * half :]], -1)

    def share(self, shape: Sequence[int]) -> Tensor:
        """Return numbers from 0 to 1, both included, some as near as they can be."""
        x = self._uniform(shape)
        info = torch.finfo(self.dtype)
        near = info.eps * 2 ** (6 * self._uniform(shape))
        chosen = self._uniform(shape)
        x = torch.where(chosen < 0.15, near, x)
        x = torch.where((chosen >= 0.15) & (chosen < 0.3), 1 - near, x)
        x = torch.where(chosen > 0.95, torch.round(x), x)
        return self.lay(x.clamp(0, 1).to(self.dtype))

    def positive(self, shape: Sequence[int]) -> Tensor:
        return abs(self.tensor(shape))

    def labels(self, shape: Sequence[int], classes: int) -> Tensor:
        return torch.randint(0, classes, tuple(shape), generator=self.generator)

    def scalar(self, *among: Any) -> Any:
        return self.random.choice(among)

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def maybe(self, x: Tensor, share: float = 0.5) -> Tensor | None:
        return x if self.chance(share) else None

    def masked(self, x: Tensor) -> Tensor:
        """Return numbers of which some are masked, seldom all of a row: by minus infinity, the
        lowest number of the dtype, or a large one.
        """
        if not self.chance(0.3) or x.numel() == 0:
            return x
        hidden = torch.rand(x.shape, generator=self.generator) < self.random.choice((0.1, 0.9))
        lowest = torch.finfo(x.dtype).min
        return torch.where(hidden, self.random.choice((-torch.inf, lowest, max(-1e30, lowest))), x)
