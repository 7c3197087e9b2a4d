"""Rules for convolutions: sums of products over windows and channels, forward and backward.

A rule bounds the rounding errors of one operation of torch. Each result is linear in both factors.
So the same convolution of their absolute values gives the sum of the sizes of the products. The
same convolution of ones gives their number. Padding, stride, dilation and groups are taken into
account. A sum of n products in any order is off by n u of the sum of their sizes, with the unit
roundoff u (Jeannerod and Rump 2013). That does not hold for Winograd's algorithm nor for FFT, which
compute with differences of inputs. Kernels that use them (NNPACK, some of cuDNN) are switched off
while a model's operations are recorded.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from harness.kernels.again import multiply_all, repeat_with
from harness.rules.registry import Call, Error, rule
from harness.rules.steps import Number, Steps
from harness.rules.sums import add_lost, find_small


@rule("convolution", "_convolution")
def convolve(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of a convolution, with the bias if there is one."""
    x, weight, bias = call["input"], call["weight"], call["bias"]
    size = repeat_with(call, input=abs(x), weight=abs(weight), bias=None)
    counts = repeat_with(
        call, input=torch.ones_like(x[:1]), weight=torch.ones_like(weight), bias=None
    )
    if bias is not None:
        size = size + abs(bias).reshape(-1, *[1] * (size.ndim - 2))
        counts = counts + 1
    stored = 0
    if call["transposed"]:
        stored = count_window(call)
    error = bound_sums(steps, call, call.result, (size, counts, stored))
    small = find_small(steps, x, weight)
    if small is None or error is None:
        return error
    by_x = repeat_with(call, input=small[0], weight=abs(weight), bias=None)
    by_weight = repeat_with(call, input=abs(x), weight=small[1], bias=None)
    return add_lost(steps, error, by_x, by_weight)


@rule("convolution_backward")
def convolve_backward(steps: Steps, call: Call) -> Sequence[Error]:
    """Return bounds on the errors of the gradients by the input, the weight and the bias."""
    g, x, weight = call["grad_output"], call["input"], call["weight"]
    sizes = repeat_with(call, grad_output=abs(g), input=abs(x), weight=abs(weight))
    counts = repeat_with(
        call,
        grad_output=torch.ones_like(g),
        input=torch.ones_like(x),
        weight=torch.ones_like(weight),
    )
    window = 0 if call["transposed"] else count_window(call)
    stored = (window, len(x), len(x))
    errors: list[Error] = []
    for result, *sums in zip(call.results, sizes, counts, stored, strict=True):
        errors.append(None if result is None else bound_sums(steps, call, result, sums))
    small = find_small(steps, g, x, weight)
    if small is None:
        return errors
    by_g = repeat_with(call, grad_output=small[0], input=abs(x), weight=abs(weight))
    mask = [*call["output_mask"][:2], False]  # the gradient by the bias has no other factor
    by_others = repeat_with(
        call, grad_output=abs(g), input=small[1], weight=small[2], output_mask=mask
    )
    return [
        None if error is None else add_lost(steps, error, *lost)
        for error, *lost in zip(errors, by_g, by_others, strict=True)
    ]


def bound_sums(steps: Steps, call: Call, value: Tensor, sums: Sequence[Tensor | int]) -> Error:
    """Return a bound on the error of the sums `value`.

    `sums` has the sums of the terms' absolute values, the numbers of terms, and the number of
    partial sums that may be rounded to the dtype of the result.
    """
    size, counts, stored = sums
    assert isinstance(size, Tensor)
    error = counts * (steps.u * size + steps.least(size > 0))
    if stores_partial_sums(steps, call):
        error = error + stored * (
            steps.precision.stored * (size + error) + steps.precision.tiny * (size > 0).double()
        )
    return steps.store(Number(value, steps.limit(size, error)))


def stores_partial_sums(steps: Steps, call: Call) -> bool:
    """Does the kernel round partial sums to a dtype narrower than float32?

    The CPU's own kernels (slow_conv2d, slow_conv_dilated2d, slow_conv_transpose2d and similar ones,
    in ATen/native) multiply matrices sample by sample. The gradient by the weight is added up in
    memory, once per sample. The gradient by the input, and a transposed convolution, round each
    number of the columns and add up the window in memory (col2im).

    oneDNN and the kernels of a GPU keep float32 to the end. oneDNN takes bfloat16 if the CPU has
    AVX-512, and float16 if it has instructions for float16.
    """
    if not steps.precision.narrow or call["weight"].device.type != "cpu":
        return False
    if not torch._C._has_mkldnn or _has_large_output_padding(call):
        return True
    if steps.precision.dtype == "bfloat16":
        return not torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return not torch.ops.mkldnn._is_mkldnn_fp16_supported()


def _has_large_output_padding(call: Call) -> bool:
    """Is the output padding of a transposed convolution, along any axis, at least the stride?

    oneDNN does not compute such a convolution.
    """
    padding, stride = call["output_padding"], call["stride"]
    pairs = zip(padding, stride * len(padding), strict=False)
    return bool(call["transposed"]) and any(pad >= step for pad, step in pairs)


def count_window(call: Call) -> int:
    """Return the largest number of roundings in memory of a number that col2im adds up.

    Each number of a window rounds once, and one more rounding is added.
    """
    return 1 + multiply_all(call["weight"].shape[2:])
