"""Norms: over features, groups of channels, and the batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.selfcheck.zoo.block import ANY, Block

EPS = 1e-5
WRONG_EPS = 1e-3


class LayerNorm(Block):
    """(x - mean) / sqrt(variance + eps) times weight plus bias, over the last axis."""

    styles: ClassVar[Mapping[str, float]] = dict.fromkeys(
        ("plain", "by_deviations", "by_var", "by_rsqrt", "by_var_mean", "by_moments"), ANY
    )
    costly: ClassVar[tuple[str, ...]] = ("by_moments",)
    faults: ClassVar[tuple[str, ...]] = ("wrong_eps", "unbiased", "over_the_rows", "without_bias")

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width))
        self.bias = nn.Parameter(torch.empty(width))

    def plain(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], self.weight, self.bias, EPS)

    def by_deviations(self, x: Tensor) -> Tensor:
        away = x - x.mean(-1, keepdim=True)
        variance = (away**2).mean(-1, keepdim=True)
        return away / torch.sqrt(variance + EPS) * self.weight + self.bias

    def by_var(self, x: Tensor) -> Tensor:
        variance = x.var(-1, unbiased=False, keepdim=True)
        return self.weight * (x - x.mean(-1, keepdim=True)) / (variance + EPS).sqrt() + self.bias

    def by_rsqrt(self, x: Tensor) -> Tensor:
        away = x - x.mean(dim=-1, keepdim=True)
        scale = torch.rsqrt(away.pow(2).mean(-1, True) + EPS)
        return torch.addcmul(self.bias, away * scale, self.weight)

    def by_var_mean(self, x: Tensor) -> Tensor:
        variance, mean = torch.var_mean(x, dim=-1, correction=0, keepdim=True)
        return (x - mean) * (variance + EPS) ** -0.5 * self.weight + self.bias

    def by_moments(self, x: Tensor) -> Tensor:
        mean = x.mean(-1, keepdim=True)
        variance = (x * x).mean(-1, keepdim=True) - mean * mean
        return (x - mean) / torch.sqrt(variance + EPS) * self.weight + self.bias

    def wrong_eps(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], self.weight, self.bias, WRONG_EPS)

    def unbiased(self, x: Tensor) -> Tensor:
        away = x - x.mean(-1, keepdim=True)
        return away / torch.sqrt(x.var(-1, keepdim=True) + EPS) * self.weight + self.bias

    def over_the_rows(self, x: Tensor) -> Tensor:
        away = x - x.mean(0, keepdim=True)
        scale = torch.rsqrt((away**2).mean(0, keepdim=True) + EPS)
        return away * scale * self.weight + self.bias

    def without_bias(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], self.weight, None, EPS)


class RootMeanSquare(Block):
    """x / sqrt(mean of squares + eps) times weight, over the last axis."""

    styles: ClassVar[Mapping[str, float]] = dict.fromkeys(
        ("plain", "by_rsqrt", "by_norm", "by_einsum"), ANY
    )
    faults: ClassVar[tuple[str, ...]] = ("wrong_eps", "sum_of_squares")

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width))

    def plain(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, x.shape[-1:], self.weight, EPS)

    def by_rsqrt(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + EPS) * self.weight

    def by_norm(self, x: Tensor) -> Tensor:
        size = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        return self.weight * (x / (size**2 / x.shape[-1] + EPS).sqrt())

    def by_einsum(self, x: Tensor) -> Tensor:
        square = torch.einsum("...i,...i->...", x, x)[..., None] / x.shape[-1]
        return self.weight * x / torch.sqrt(square + EPS)

    def wrong_eps(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, x.shape[-1:], self.weight, WRONG_EPS)

    def sum_of_squares(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.pow(2).sum(-1, keepdim=True) + EPS) * self.weight


class BatchNorm(Block):
    """The norm over the batch (and space), with running moments: axis 1 has the channels."""

    styles: ClassVar[Mapping[str, float]] = dict.fromkeys(
        ("plain", "by_deviations", "by_var_mean", "as_scale_and_shift"), ANY
    )
    faults: ClassVar[tuple[str, ...]] = (
        "wrong_eps",
        "as_in_the_other_mode",
        "unbiased",
        "biased_running_variance",
        "wrong_momentum",
    )
    momentum = 0.1

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels))
        self.bias = nn.Parameter(torch.empty(channels))
        self.running_mean: Tensor
        self.running_var: Tensor
        self.register_buffer("running_mean", torch.empty(channels))
        self.register_buffer("running_var", torch.empty(channels))

    def list_faults(self) -> tuple[str, ...]:
        return self.faults if self.training else self.faults[:2]

    def plain(self, x: Tensor) -> Tensor:
        return self.normalize(x, self.training, EPS)

    def normalize(self, x: Tensor, training: bool, eps: float) -> Tensor:
        moments = self.running_mean, self.running_var
        return F.batch_norm(x, *moments, self.weight, self.bias, training, self.momentum, eps)

    def find_axes(self, x: Tensor) -> list[int]:
        return [axis for axis in range(x.ndim) if axis != 1]

    def spread(self, each: Tensor, x: Tensor) -> Tensor:
        """Return one number for each channel in the shape of x."""
        return each.view(1, -1, *([1] * (x.ndim - 2)))

    def update(self, mean: Tensor, variance: Tensor, x: Tensor) -> None:
        """Move the running moments to those of a batch: the variance has n - 1."""
        count = x.numel() / x.shape[1]
        with torch.no_grad():
            self.running_mean.mul_(1 - self.momentum).add_(self.momentum * mean)
            unbiased = variance * (count / (count - 1))
            self.running_var.copy_(
                (1 - self.momentum) * self.running_var + self.momentum * unbiased
            )

    def by_deviations(self, x: Tensor) -> Tensor:
        axes = self.find_axes(x)
        mean, variance = self.running_mean, self.running_var
        if self.training:
            mean = x.mean(axes)
            variance = ((x - self.spread(mean, x)) ** 2).mean(axes)
            self.update(mean, variance, x)
        away = x - self.spread(mean, x)
        scaled = away / torch.sqrt(self.spread(variance, x) + EPS)
        return scaled * self.spread(self.weight, x) + self.spread(self.bias, x)

    def by_var_mean(self, x: Tensor) -> Tensor:
        axes = self.find_axes(x)
        mean, variance = self.running_mean, self.running_var
        if self.training:
            variance, mean = torch.var_mean(x, axes, correction=0)
            self.update(mean, variance, x)
        scale = self.weight * torch.rsqrt(variance + EPS)
        away = x - self.spread(mean, x)
        return away * self.spread(scale, x) + self.spread(self.bias, x)

    def as_scale_and_shift(self, x: Tensor) -> Tensor:
        if self.training:
            return self.by_var_mean(x)
        scale = self.weight / torch.sqrt(self.running_var + EPS)
        shift = self.bias - self.running_mean * scale
        return x * self.spread(scale, x) + self.spread(shift, x)

    def wrong_eps(self, x: Tensor) -> Tensor:
        return self.normalize(x, self.training, WRONG_EPS)

    def as_in_the_other_mode(self, x: Tensor) -> Tensor:
        return self.normalize(x, not self.training, EPS)

    def unbiased(self, x: Tensor) -> Tensor:
        variance, mean = torch.var_mean(x, self.find_axes(x), correction=1)
        self.update(mean, variance, x)
        scale = self.weight * torch.rsqrt(variance + EPS)
        return (x - self.spread(mean, x)) * self.spread(scale, x) + self.spread(self.bias, x)

    def biased_running_variance(self, x: Tensor) -> Tensor:
        axes = self.find_axes(x)
        with torch.no_grad():
            before = self.running_var.clone()
            variance = torch.var(x, axes, unbiased=False)
        found = self.plain(x)
        self.running_var.copy_((1 - self.momentum) * before + self.momentum * variance)
        return found

    def wrong_momentum(self, x: Tensor) -> Tensor:
        moments = self.running_mean, self.running_var
        return F.batch_norm(x, *moments, self.weight, self.bias, True, 0.2, EPS)


class GroupNorm(Block):
    """The norm over groups of channels and space: axis 1 has the channels."""

    styles: ClassVar[Mapping[str, float]] = dict.fromkeys(
        ("plain", "by_deviations", "by_var_mean"), ANY
    )
    faults: ClassVar[tuple[str, ...]] = ("wrong_eps", "other_groups")

    def __init__(self, groups: int, channels: int) -> None:
        super().__init__()
        self.groups = groups
        self.weight = nn.Parameter(torch.empty(channels))
        self.bias = nn.Parameter(torch.empty(channels))

    def list_faults(self) -> tuple[str, ...]:
        return self.faults if self.groups > 1 else self.faults[:1]

    def plain(self, x: Tensor) -> Tensor:
        return F.group_norm(x, self.groups, self.weight, self.bias, EPS)

    def scale(self, groups: Tensor, x: Tensor) -> Tensor:
        shape = 1, -1, *([1] * (x.ndim - 2))
        return groups.reshape(x.shape) * self.weight.view(shape) + self.bias.view(shape)

    def by_deviations(self, x: Tensor) -> Tensor:
        each = x.reshape(len(x), self.groups, -1)
        away = each - each.mean(-1, keepdim=True)
        return self.scale(away / torch.sqrt((away * away).mean(-1, keepdim=True) + EPS), x)

    def by_var_mean(self, x: Tensor) -> Tensor:
        each = x.reshape(len(x), self.groups, -1)
        variance, mean = torch.var_mean(each, -1, correction=0, keepdim=True)
        return self.scale((each - mean) * torch.rsqrt(variance + EPS), x)

    def wrong_eps(self, x: Tensor) -> Tensor:
        return F.group_norm(x, self.groups, self.weight, self.bias, WRONG_EPS)

    def other_groups(self, x: Tensor) -> Tensor:
        return F.group_norm(x, 1, self.weight, self.bias, EPS)
