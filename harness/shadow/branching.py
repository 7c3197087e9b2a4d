"""Operations that decide between branches: where a model and its shadow may take different ones.

ReLU at a number near 0, a maximum of nearly equal numbers: both branches are right there, and a
slope may jump from one to the other. The difference of its results on the observed numbers and
on the shadow's is then part of what the model's answers may differ by.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from harness.rules.registry import Error

# Operations that decide between branches, or take part in such a decision, by their inputs.
BRANCHING = frozenset(
    f"aten::{name}"
    for name in (
        "_prelu_kernel",
        "_prelu_kernel_backward",
        "_to_copy",
        "abs",
        "adaptive_max_pool1d",
        "adaptive_max_pool2d",
        "adaptive_max_pool2d_backward",
        "amax",
        "amin",
        "celu",
        "clamp",
        "clamp_max",
        "clamp_min",
        "elu",
        "elu_backward",
        "gather",
        "hardshrink",
        "hardshrink_backward",
        "hardsigmoid",
        "hardsigmoid_backward",
        "hardswish",
        "hardswish_backward",
        "hardtanh",
        "hardtanh_backward",
        "huber_loss",
        "huber_loss_backward",
        "index",
        "index_select",
        "leaky_relu",
        "leaky_relu_backward",
        "masked_fill",
        "max",
        "max_pool1d_with_indices",
        "max_pool2d_with_indices",
        "max_pool2d_with_indices_backward",
        "max_pool3d_with_indices",
        "max_pool3d_with_indices_backward",
        "maximum",
        "min",
        "minimum",
        "relu",
        "scatter",
        "sgn",
        "sign",
        "smooth_l1_loss",
        "smooth_l1_loss_backward",
        "softshrink",
        "softshrink_backward",
        "sort",
        "threshold",
        "threshold_backward",
        "topk",
        "value_selecting_reduction_backward",
        "where",
    )
)


def add_branches(
    errors: Sequence[Error], observed: Sequence[Tensor | None], shadow: Sequence[Tensor | None]
) -> Sequence[Error]:
    """Return the errors of an operation's results, plus the differences of the results on the
    observed numbers and on the shadow's. `observed` is empty if the operation does not branch.
    """
    if not observed:
        return errors
    widened: list[Error] = []
    for error, one, other in zip(errors, observed, shadow, strict=False):
        if one is None or other is None or not one.is_floating_point():
            widened.append(error)
            continue
        apart = abs(one - other.detach()).nan_to_num(0.0, 0.0, 0.0)
        widened.append(apart if error is None else error + apart)
    return widened
