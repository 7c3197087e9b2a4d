"""Operations that choose between branches, where a model and its shadow may choose differently.

Examples are ReLU at a number near 0, and a maximum of nearly equal numbers. Both branches are right
there, and a slope may jump from one to the other. A slope may also jump if a function bends within
the error of its input. Softplus bends at 0, and an input of 1,000 in bfloat16 may be off by 10. The
difference between the results on the observed numbers and on the shadow's numbers is then added to
the bound.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from harness.rules.registry import Error
from harness.shadow.places import Place
from harness.shadow.recording import Operation, Run
from harness.shadow.replay import Replay

# Operations that decide between branches, or take part in such a decision, by their inputs.
BRANCHING = frozenset(
    f"aten::{name}"
    for name in (
        "_cdist_backward",
        "_embedding_bag",
        "_embedding_bag_backward",
        "_prelu_kernel",
        "_prelu_kernel_backward",
        "abs",
        "adaptive_max_pool1d",
        "adaptive_max_pool2d",
        "adaptive_max_pool2d_backward",
        "adaptive_max_pool3d",
        "adaptive_max_pool3d_backward",
        "amax",
        "amin",
        "ceil",
        "celu",
        "clamp",
        "clamp_max",
        "clamp_min",
        "cummax",
        "cummin",
        "elu",
        "elu_backward",
        "embedding_renorm",
        "floor",
        "fractional_max_pool2d",
        "fractional_max_pool2d_backward",
        "fractional_max_pool3d",
        "fractional_max_pool3d_backward",
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
        "index_put",
        "index_reduce",
        "index_select",
        "kthvalue",
        "leaky_relu",
        "leaky_relu_backward",
        "masked_fill",
        "masked_scatter",
        "masked_scatter_backward",
        "max",
        "max_pool1d_with_indices",
        "max_pool2d_with_indices",
        "max_pool2d_with_indices_backward",
        "max_pool3d_with_indices",
        "max_pool3d_with_indices_backward",
        "max_unpool2d",
        "max_unpool3d",
        "maximum",
        "median",
        "min",
        "minimum",
        "mode",
        "nanmedian",
        "relu",
        "renorm",
        "round",
        "scatter",
        "scatter_add",
        "scatter_reduce",
        "sgn",
        "sign",
        "smooth_l1_loss",
        "smooth_l1_loss_backward",
        "softshrink",
        "softshrink_backward",
        "sort",
        "take",
        "threshold",
        "threshold_backward",
        "topk",
        "trunc",
        "value_selecting_reduction_backward",
        "where",
    )
)

# Operations whose slope changes by a large factor as an input moves by a few units.
BENDING = frozenset(
    f"aten::{name}"
    for name in (
        "_log_softmax",
        "_log_softmax_backward_data",
        "_safe_softmax",
        "_softmax",
        "_softmax_backward_data",
        "erf",
        "erfc",
        "exp",
        "expm1",
        "gelu",
        "gelu_backward",
        "glu",
        "glu_backward",
        "log_sigmoid_backward",
        "log_sigmoid_forward",
        "logaddexp",
        "logsumexp",
        "mish",
        "mish_backward",
        "sigmoid",
        "sigmoid_backward",
        "silu",
        "silu_backward",
        "softplus",
        "softplus_backward",
        "tanh",
        "tanh_backward",
    )
)


JUMPING = BRANCHING | BENDING


def may_branch(run: Run, operation: Operation) -> bool:
    """May an operation choose between branches, by its own inputs or by masks and indices among
    them, or bend?
    """
    return _jumps(operation) or bool(_list_decisions(run, operation))


def takes_other_branch(replay: Replay, operation: Operation) -> bool:
    """May an operation have taken another branch when it was repeated in float64 (the shadow) than
    in the recorded run?

    It may if it chooses a branch by its own inputs, if it bends, or if its masks or indices differ.
    """
    if _jumps(operation):
        return True
    decisions = _list_decisions(replay.run, operation)
    return not all(torch.equal(replay.run.read(one), replay.read(one)) for one in decisions)


def _jumps(operation: Operation) -> bool:
    """May the slope of an operation jump as its inputs move within their errors?"""
    return operation.functional in JUMPING


def _list_decisions(run: Run, operation: Operation) -> list[Place]:
    """Return the arguments of an operation that are whole numbers or truth values."""
    return [
        one for one in operation.places if not run.versions[one.version].numbers.is_floating_point()
    ]


def add_branches(
    errors: Sequence[Error], observed: Sequence[Tensor | None], shadow: Sequence[Tensor | None]
) -> Sequence[Error]:
    """Return the errors of an operation's results, each plus the absolute difference of the results
    from the recorded inputs and from the shadow's inputs.

    The shadow is the run repeated in float64. `observed` is empty if the operation does not choose
    between branches.
    """
    if not observed:
        return errors
    widened: list[Error] = []
    for error, one, other in zip(errors, observed, shadow, strict=False):
        if one is None or other is None or not one.is_floating_point():
            widened.append(error)
            continue
        difference = abs(one - other.detach()).nan_to_num(0.0, 0.0, 0.0)
        widened.append(difference if error is None else error + difference)
    return widened
