"""Differentiates by many tensors with several rows of gradients in one backward pass.

`torch.autograd.grad` does the same with `is_grads_batched`. Small models spend nearly half of it on
checks and wrappers in Python, which are left out here: by functions that torch keeps to itself. A
version of torch without them, or with others of these names, is asked by `torch.autograd.grad`.
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
        level = torch._C._vmapmode_increment_nesting()
        try:
            batched = tuple(torch._add_batch_dim(each, 0, level) for each in weights)
            slopes = torch.autograd.graph._engine_run_backward(
                tuple(tensors), batched, True, False, tuple(inputs), True, accumulate_grad=False
            )
            return [
                None if each is None else torch._remove_batch_dim(each, level, len(weights[0]), 0)
                for each in slopes
            ]
        finally:
            torch._C._vmapmode_decrement_nesting()
    except (AttributeError, TypeError):  # of names and arguments that torch may change
        return list(
            torch.autograd.grad(
                tensors, inputs, weights, True, allow_unused=True, is_grads_batched=True
            )
        )
