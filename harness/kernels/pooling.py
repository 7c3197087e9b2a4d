"""Rules for pooling: averages and maxima of windows, and their gradients, for windows that may
overlap.

A rule bounds the rounding errors of one operation of torch. An average adds n numbers (n - 1
roundings) and divides once, or once for each axis, or multiplies by a reciprocal. The maximum of a
window rounds nothing; in a tie, `indices` names the chosen number. In the backward pass each window
adds its share to a gradient in memory. Source: ATen/native/cpu/AvgPoolKernel.cpp,
AdaptiveAvgPoolKernel.cpp, MaxPoolKernel.cpp.
"""

from __future__ import annotations

from math import ceil

import torch
from torch import Tensor

from harness.kernels.again import (
    add_sizes,
    bound_running_sums,
    count_terms_with,
    list_per_axis,
    multiply_all,
    repeat_with,
)
from harness.rules.registry import Call, Error, rule
from harness.rules.steps import Number, Steps


@rule("avg_pool2d", "avg_pool3d")
def average_windows(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of averages of windows of one size."""
    axes = int(call.name[-2])
    window = multiply_all(list_per_axis(call["kernel_size"], axes))
    return bound_averages(steps, call.result, add_sizes(call, "self"), window, axes)


@rule("_adaptive_avg_pool2d")
def average_adaptively(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of adaptive averages in 2D.

    A window begins at the floor of its exact start, and ends at the ceiling of its exact end.
    """
    window = count_overlap(call["self"].shape[-2:], call.result.shape[-2:])
    return bound_averages(steps, call.result, add_sizes(call, "self"), window, 2)


@rule("_adaptive_avg_pool3d")
def average_boxes(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of adaptive averages in 3D.

    Partial sums are rounded to the dtype of the result (ATen/native/AdaptiveAveragePooling3d.cpp).
    """
    window = count_overlap(call["self"].shape[-3:], call.result.shape[-3:])
    sizes = add_sizes(call, "self")
    return steps.limit(window * sizes, bound_running_sums(steps, sizes, window, 4))


def bound_averages(steps: Steps, value: Tensor, size: Tensor, terms: int, axes: int) -> Error:
    """Return a bound on the error of the averages `value`.

    `size` are the averages of the absolute values, `terms` the number of numbers in a window, and
    `axes` the number of its axes. Each average may be divided once for each axis, and by a
    reciprocal that is rounded.
    """
    roundings = terms - 1 + axes + 1
    error = roundings * steps.u * size + terms * steps.least(size > 0)
    return steps.store(Number(value, error))


@rule("avg_pool2d_backward", "avg_pool3d_backward")
def average_windows_backward(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of the gradient by the averaged numbers.

    Each window adds its gradient, divided by its size, to the gradient by each of its numbers.
    """
    ones = torch.ones_like(call["grad_output"])
    terms = repeat_with(call, grad_output=ones, divisor_override=1)
    return bound_running_sums(steps, add_sizes(call, "grad_output"), terms, 2)


@rule("_adaptive_avg_pool2d_backward", "_adaptive_avg_pool3d_backward")
def average_adaptively_backward(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of the gradient by the averaged numbers.

    Each window adds its gradient, divided along each axis, to the gradient by each of its numbers.
    """
    axes = int(call.name.removesuffix("_backward")[-2])
    terms = count_overlap(call["grad_output"].shape[-axes:], call["self"].shape[-axes:])
    return bound_running_sums(steps, add_sizes(call, "grad_output"), terms, axes + 1)


def count_overlap(lengths: tuple[int, ...], windows: tuple[int, ...]) -> int:
    """Return the largest number of elements in a window, if axes of these lengths are divided into
    these numbers of windows, which may overlap.
    """
    most = [ceil(length / number) + 1 for length, number in zip(lengths, windows, strict=True)]
    return multiply_all([min(each, length) for each, length in zip(most, lengths, strict=True)])


@rule(
    "adaptive_max_pool2d_backward",
    "adaptive_max_pool3d_backward",
    "fractional_max_pool2d_backward",
    "fractional_max_pool3d_backward",
    "max_pool2d_with_indices_backward",
    "max_pool3d_with_indices_backward",
)
def add_to_largest(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of the gradient of max pooling.

    Each window adds its gradient to the gradient by its largest number.
    """
    sizes = add_sizes(call, "grad_output")
    return bound_running_sums(steps, sizes, count_terms_with(call, "grad_output"))
