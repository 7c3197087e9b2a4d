"""Differentiates by many tensors with several rows of gradients in one backward pass.

`torch.autograd.grad` does the same with `is_grads_batched`. Small models spend nearly half of it on
checks and wrappers in Python. They are left out here, by private functions of torch. Where a
version of torch lacks these, or has others of these names, `torch.autograd.grad` does the work.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


@torch.inference_mode()
def differentiate_rows(
    tensors: Sequence[Tensor], weights: Sequence[Tensor], inputs: Sequence[Tensor]
) -> list[Tensor | None]:
    """Return the derivatives of N numbers by each input, (N, ...); None for an input on which no
    number depends. A number is the sum of all tensors' elements, with the weights of its row.

    `weights` are those of each tensor, (N, ...). Raises RuntimeError if torch cannot batch an
    operation.
    """
    try:
        return _differentiate_directly(tensors, weights, inputs)
    except (AttributeError, TypeError, ImportError):
        with torch.inference_mode(False):
            slopes = torch.autograd.grad(
                tuple(tensors),
                tuple(inputs),
                tuple(weights),
                retain_graph=True,
                allow_unused=True,
                is_grads_batched=True,
            )
        return list(slopes)


def _differentiate_directly(
    tensors: Sequence[Tensor], weights: Sequence[Tensor], inputs: Sequence[Tensor]
) -> list[Tensor | None]:
    """Do the work of `differentiate_rows` by private functions of torch, which may change.

    Raises AttributeError, ImportError or TypeError if one of them is missing or takes other
    arguments.
    """
    from torch.autograd.graph import _engine_run_backward

    rows = len(weights[0])
    level = torch._C._vmapmode_increment_nesting()
    try:
        batched = tuple(torch._add_batch_dim(each, 0, level) for each in weights)
        slopes = _engine_run_backward(
            tuple(tensors), batched, True, False, tuple(inputs), True, accumulate_grad=False
        )
        return [
            None if each is None else torch._remove_batch_dim(each, level, rows, 0)
            for each in slopes
        ]
    finally:
        torch._C._vmapmode_decrement_nesting()
