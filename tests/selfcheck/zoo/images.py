"""Convolutions and pooling; images have the shape (batch, channels, height, width)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.selfcheck.zoo.block import ANY, Block
from tests.selfcheck.zoo.dense import OFF


class Convolution(Block):
    """A convolution with a square kernel, and padding by zeros."""

    styles: ClassVar[Mapping[str, float]] = dict.fromkeys(
        (
            "plain",
            "by_unfold",
            "by_shifts",
            "by_parts_of_outputs",
            "channels_last",
            "with_bias_after",
            "padded_before",
            "as_planes",
        ),
        ANY,
    )
    faults: ClassVar[tuple[str, ...]] = (
        "off_by_a_factor",
        "off_in_one_place",
        "flipped",
        "transposed",
        "shifted_padding",
        "without_bias",
    )

    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: int,
        stride: int,
        padding: int,
        groups: int,
        bias: bool,
    ) -> None:
        super().__init__()
        self.stride, self.padding, self.groups = stride, padding, groups
        self.weight = nn.Parameter(torch.empty(outputs, inputs // groups, size, size))
        self.bias = nn.Parameter(torch.empty(outputs)) if bias else None

    def list_faults(self) -> tuple[str, ...]:
        plain = self.weight.shape[-1] == 1
        excluded = {"flipped", "transposed"} if plain else set()
        if self.bias is None:
            excluded.add("without_bias")
        if not self.padding:
            excluded.add("shifted_padding")
        return tuple(fault for fault in self.faults if fault not in excluded)

    def convolve(self, x: Tensor, weight: Tensor) -> Tensor:
        return F.conv2d(x, weight, self.bias, self.stride, self.padding, 1, self.groups)

    def add_bias(self, z: Tensor) -> Tensor:
        return z if self.bias is None else z + self.bias.view(-1, 1, 1)

    def plain(self, x: Tensor) -> Tensor:
        return self.convolve(x, self.weight)

    def by_unfold(self, x: Tensor) -> Tensor:
        size, places = self.weight.shape[-1], self.count_places(x)
        columns = F.unfold(x, size, padding=self.padding, stride=self.stride)
        columns = columns.view(len(x), self.groups, -1, columns.shape[-1])
        kernels = self.weight.view(self.groups, len(self.weight) // self.groups, -1)
        return self.add_bias((kernels @ columns).reshape(len(x), -1, *places))

    def count_places(self, x: Tensor) -> list[int]:
        size = self.weight.shape[-1]
        return [(n + 2 * self.padding - size) // self.stride + 1 for n in x.shape[2:]]

    def by_shifts(self, x: Tensor) -> Tensor:
        """Sum the products of each place of the kernel with the image, moved."""
        size, (high, wide) = self.weight.shape[-1], self.count_places(x)
        padded = F.pad(x, [self.padding] * 4)
        grouped = padded.view(len(x), self.groups, -1, *padded.shape[2:])
        kernels = self.weight.view(self.groups, -1, *self.weight.shape[1:])
        total = torch.zeros((), dtype=x.dtype)
        for row in range(size):
            for column in range(size):
                rows = slice(row, row + self.stride * (high - 1) + 1, self.stride)
                columns = slice(column, column + self.stride * (wide - 1) + 1, self.stride)
                moved = grouped[..., rows, columns]
                total = total + torch.einsum("bgchw,goc->bgohw", moved, kernels[..., row, column])
        return self.add_bias(total.reshape(len(x), -1, high, wide))

    def by_parts_of_outputs(self, x: Tensor) -> Tensor:
        if self.groups > 1:
            parts = zip(x.chunk(self.groups, 1), self.weight.chunk(self.groups), strict=True)
            made = [F.conv2d(a, w, None, self.stride, self.padding) for a, w in parts]
            return self.add_bias(torch.cat(made, 1))
        cut = (len(self.weight) + 1) // 2
        made = [
            F.conv2d(x, weight, None, self.stride, self.padding)
            for weight in (self.weight[:cut], self.weight[cut:])
            if len(weight)
        ]
        return self.add_bias(torch.cat(made, 1))

    def channels_last(self, x: Tensor) -> Tensor:
        return self.plain(x.contiguous(memory_format=torch.channels_last))

    def with_bias_after(self, x: Tensor) -> Tensor:
        z = F.conv2d(x, self.weight, None, self.stride, self.padding, 1, self.groups)
        return self.add_bias(z)

    def padded_before(self, x: Tensor) -> Tensor:
        padded = F.pad(x, [self.padding] * 4)
        return F.conv2d(padded, self.weight, self.bias, self.stride, 0, 1, self.groups)

    def as_planes(self, x: Tensor) -> Tensor:
        """Convolve in three dimensions, of which the first has one plane."""
        z = F.conv3d(
            x[:, :, None],
            self.weight[:, :, None],
            self.bias,
            (1, self.stride, self.stride),
            (0, self.padding, self.padding),
            1,
            self.groups,
        )
        return z.squeeze(2)

    def off_by_a_factor(self, x: Tensor) -> Tensor:
        return self.convolve(x, self.weight * OFF)

    def off_in_one_place(self, x: Tensor) -> Tensor:
        weight = self.weight.clone()
        weight[0, 0, 0, 0] *= OFF
        return self.convolve(x, weight)

    def flipped(self, x: Tensor) -> Tensor:
        return self.convolve(x, self.weight.flip(-1, -2))

    def transposed(self, x: Tensor) -> Tensor:
        return self.convolve(x, self.weight.mT)

    def shifted_padding(self, x: Tensor) -> Tensor:
        padded = F.pad(x, [2 * self.padding, 0, 2 * self.padding, 0])
        return F.conv2d(padded, self.weight, self.bias, self.stride, 0, 1, self.groups)

    def without_bias(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, None, self.stride, self.padding, 1, self.groups)


class Upwards(Block):
    """A transposed convolution with a kernel of 2 and a stride of 2."""

    styles: ClassVar[Mapping[str, float]] = dict.fromkeys(("plain", "by_einsum"), ANY)
    faults: ClassVar[tuple[str, ...]] = ("flipped",)

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, outputs, 2, 2))

    def plain(self, x: Tensor) -> Tensor:
        return F.conv_transpose2d(x, self.weight, stride=2)

    def by_einsum(self, x: Tensor) -> Tensor:
        each = torch.einsum("bihw,iokl->bohkwl", x, self.weight)
        return each.flatten(4, 5).flatten(2, 3)

    def flipped(self, x: Tensor) -> Tensor:
        return F.conv_transpose2d(x, self.weight.flip(-1), stride=2)


class MaxPool(Block):
    """The largest number of each square of 2 x 2."""

    styles: ClassVar[Mapping[str, float]] = dict.fromkeys(
        ("plain", "by_amax", "by_unfold", "by_maximum", "with_indices"), ANY
    )
    faults: ClassVar[tuple[str, ...]] = ("mean_for_max",)

    def plain(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x, 2)

    def is_at_kink(self, x: Tensor) -> bool:
        """Is a largest number there twice? Its slope goes to one of them, or to both."""
        squares = self.cut(x).movedim(3, 4).flatten(4).sort(-1).values
        return bool((squares[..., -1] == squares[..., -2]).any())

    def cut(self, x: Tensor) -> Tensor:
        """Return the squares as (batch, channels, rows, 2, columns, 2)."""
        high, wide = x.shape[2] // 2, x.shape[3] // 2
        x = x[:, :, : 2 * high, : 2 * wide]
        return x.reshape(*x.shape[:2], high, 2, wide, 2)

    def by_amax(self, x: Tensor) -> Tensor:
        return self.cut(x).amax((3, 5))

    def by_unfold(self, x: Tensor) -> Tensor:
        return x.unfold(2, 2, 2).unfold(3, 2, 2).flatten(4).max(-1).values

    def by_maximum(self, x: Tensor) -> Tensor:
        squares = self.cut(x)
        rows = torch.maximum(squares[:, :, :, 0], squares[:, :, :, 1])
        return torch.maximum(rows[..., 0], rows[..., 1])

    def with_indices(self, x: Tensor) -> Tensor:
        where = F.max_pool2d(x, 2, return_indices=True)[1]
        return x.flatten(2).gather(2, where.flatten(2)).view(where.shape)

    def mean_for_max(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 2)


class MeanPool(Block):
    """The mean of each square of 2 x 2."""

    styles: ClassVar[Mapping[str, float]] = dict.fromkeys(
        ("plain", "by_mean", "by_convolution", "by_sum"), ANY
    )
    faults: ClassVar[tuple[str, ...]] = ("max_for_mean",)

    def plain(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 2)

    def cut(self, x: Tensor) -> Tensor:
        high, wide = x.shape[2] // 2, x.shape[3] // 2
        x = x[:, :, : 2 * high, : 2 * wide]
        return x.reshape(*x.shape[:2], high, 2, wide, 2)

    def by_mean(self, x: Tensor) -> Tensor:
        return self.cut(x).mean((3, 5))

    def by_convolution(self, x: Tensor) -> Tensor:
        kernel = torch.full((x.shape[1], 1, 2, 2), 0.25, dtype=x.dtype)
        return F.conv2d(x, kernel, stride=2, groups=x.shape[1])

    def by_sum(self, x: Tensor) -> Tensor:
        return self.cut(x).sum(3).sum(-1) * 0.25

    def max_for_mean(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x, 2)


class GlobalMean(Block):
    """The mean over space: (batch, channels)."""

    styles: ClassVar[Mapping[str, float]] = dict.fromkeys(
        ("plain", "by_adaptive_pool", "by_sum", "by_einsum"), ANY
    )
    faults: ClassVar[tuple[str, ...]] = ("off", "of_one_row")

    def plain(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))

    def by_adaptive_pool(self, x: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(x, 1).flatten(1)

    def by_sum(self, x: Tensor) -> Tensor:
        return x.flatten(2).sum(-1) / (x.shape[2] * x.shape[3])

    def by_einsum(self, x: Tensor) -> Tensor:
        return torch.einsum("bchw->bc", x) / x[0, 0].numel()

    def off(self, x: Tensor) -> Tensor:
        return x.mean((2, 3)) * OFF

    def of_one_row(self, x: Tensor) -> Tensor:
        return x[:, :, 0].mean(-1)


class Flat(Block):
    """All of an image in one row."""

    styles: ClassVar[Mapping[str, float]] = dict.fromkeys(("plain", "by_reshape"), ANY)
    faults: ClassVar[tuple[str, ...]] = ("channels_last",)

    def list_faults(self) -> tuple[str, ...]:
        return self.faults

    def plain(self, x: Tensor) -> Tensor:
        return x.flatten(1)

    def by_reshape(self, x: Tensor) -> Tensor:
        return x.reshape(len(x), -1)

    def channels_last(self, x: Tensor) -> Tensor:
        return x.permute(0, 2, 3, 1).flatten(1)
