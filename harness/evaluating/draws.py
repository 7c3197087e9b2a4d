"""Random parameters for models: numbers drawn around those with which a model is built."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor

from harness.evaluating.state import State

SPREAD = 0.25  # of a tensor's size
FARTHEST = 3.0  # standard deviations


def draw_state(built: State, names: Collection[str], seed: int) -> State:
    """Return a copy of a state in which the tensors called `names` are random: around their present
    values.

    Zeros, such as a new bias, become other than 0, and equal numbers of a tensor become different.
    Positive numbers stay positive.
    """
    generator = torch.Generator().manual_seed(seed)
    return {
        name: draw_around(tensor, generator) if name in names else tensor
        for name, tensor in built.items()
    }


def draw_around(tensor: Tensor, generator: torch.Generator) -> Tensor:
    """Return numbers around those of a tensor, which differ by about a quarter of their size."""
    if not tensor.is_floating_point() or not tensor.numel():
        return tensor
    noise = torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype)
    noise = noise.clamp(-FARTHEST, FARTHEST)
    finite = torch.where(torch.isfinite(tensor), tensor, 0.0)
    if bool((finite > 0).all()):
        return tensor * (1 + SPREAD * noise)
    size = float(finite.square().mean().sqrt())
    return tensor + SPREAD * (size or 1.0) * noise
