"""Rules for operations that move numbers between windows, indices and layouts, and round nothing.

A rule bounds the rounding errors of one operation of torch; None stands for an exact result.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from harness.rules.registry import Call, Error, repeat, rule
from harness.rules.steps import Steps

MOVES = (
    "_adaptive_max_pool2d",
    "_pack_padded_sequence",
    "_reshape_copy",
    "_unsafe_index",
    "_unsafe_masked_index",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "block_diag",
    "bucketize",
    "channel_shuffle",
    "cummax",
    "cummin",
    "diag_embed",
    "diagonal_scatter",
    "fractional_max_pool2d",
    "fractional_max_pool3d",
    "im2col",
    "index_copy",
    "kthvalue",
    "masked_scatter",
    "masked_scatter_backward",
    "max_pool2d_with_indices",
    "max_pool3d_with_indices",
    "max_unpool2d",
    "max_unpool3d",
    "median",
    "mode",
    "nanmedian",
    "pixel_shuffle",
    "pixel_unshuffle",
    "reflection_pad1d",
    "reflection_pad2d",
    "reflection_pad3d",
    "repeat_interleave",
    "replication_pad1d",
    "replication_pad2d",
    "replication_pad3d",
    "rot90",
    "searchsorted",
    "split_with_sizes_copy",
    "take",
    "unfold_copy",
    "unsafe_split",
    "unsafe_split_with_sizes",
    "view_copy",
)


@rule(*MOVES)
def move_places(steps: Steps, call: Call) -> Sequence[Error]:
    """Return None for each result: nothing is rounded."""
    return [None] * len(call.results)


@rule("constant_pad_nd", "index_fill")
def put_constant(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of a result with a constant in some places.

    The constant is rounded if the dtype cannot hold it; all other numbers are moved without
    rounding.
    """
    return steps.cast(call.result)


@repeat("copy")
def copy_numbers(to: Tensor, source: Tensor, non_blocking: bool = False) -> Tensor:
    """Return `source` in the shape of the tensor `to`, which it overwrites; torch's own copy_ has
    no derivative.
    """
    dtype = torch.promote_types(to.dtype, source.dtype) if to.is_floating_point() else to.dtype
    return source.to(to.device, dtype).expand_as(to).clone()


@repeat("fractional_max_pool2d", "fractional_max_pool3d")
def pool_fractionally(x: Tensor, kernel: Any, output: Any, samples: Tensor) -> Any:
    """Return the maxima of windows at random places, and their indices.

    `kernel` and `output` are the shapes of a window and of the result, and `samples` determine the
    places. torch's own operation has no second derivative.
    """
    operation = torch.ops.aten.fractional_max_pool2d
    if samples.shape[-1] == 3:
        operation = torch.ops.aten.fractional_max_pool3d
    return operation(x, kernel, output, samples.detach())
