"""Computes a model's loss and its gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.core.loss import Loss
from harness.core.problem import Problem
from harness.model.errors import WrongAnswer
from harness.model.tensors import to_plain
from harness.text.harmless import class_name

if TYPE_CHECKING:
    import torch


def squared_error(
    problem: Problem,
    heads: Sequence[torch.Tensor],
    targets: Sequence[torch.Tensor],
    parameters: Sequence[torch.Tensor],
) -> torch.Tensor:
    """Return the squared error of all heads plus weight decay, as a problem's Loss defines them.

    A head is one of the model's output tensors.
    """
    loss = problem.loss
    terms = []
    for head, target in zip(heads, targets, strict=True):
        square = weigh_rows(loss, (head - target) ** 2)
        terms.append(getattr(square, loss.reduction)())
    if loss.has_decay:
        for decay, parameter in zip(list_decays(problem, parameters), parameters, strict=True):
            if isinstance(decay, float):
                terms.append(decay * (parameter**2).sum())
            else:
                terms.append((decay * parameter**2).sum())
    total: torch.Tensor = sum(terms[1:], terms[0])
    return total


def weigh_rows(loss: Loss, squares: torch.Tensor) -> torch.Tensor:
    """Return squared errors (..., R, O) times the weights of their rows, if the loss has any."""
    import torch

    if loss.row_weights is None:
        return squares
    weights = torch.tensor(loss.row_weights, dtype=squares.dtype, device=squares.device)
    return weights[:, None] * squares


def list_decays(problem: Problem, parameters: Sequence[torch.Tensor]) -> list[float | torch.Tensor]:
    """Return the decay of each of a model's parameters: one number, or a tensor of its block's
    shape if weights or blocks have decays of their own.
    """
    import torch

    one_decay = problem.loss.one_decay
    if one_decay is not None:
        return [one_decay] * len(parameters)
    decays: list[float | torch.Tensor] = []
    for block, parameter in zip(problem.formulation.own.blocks, parameters, strict=True):
        of_block = np.array(block.of(problem.own_decays))
        decays.append(torch.tensor(of_block, dtype=parameter.dtype, device=parameter.device))
    return decays


def check_loss(loss: Any) -> torch.Tensor:
    """Return a loss as a plain tensor. Raises WrongAnswer unless it is a single real number."""
    tensor: torch.Tensor | None = to_plain(loss)
    if tensor is None:
        raise WrongAnswer(
            f"gave a {class_name(loss)} as its loss, expected a tensor of shape (): a single number"
        )
    if tuple(tensor.shape) != ():
        shape = tuple(tensor.shape)
        raise WrongAnswer(
            f"gave a loss of shape {shape}, expected a tensor of shape (): a single number"
        )
    if tensor.is_complex():
        raise WrongAnswer(f"gave a loss of {tensor.dtype}, expected a real number")
    return tensor


def count_frozen(parameters: Sequence[torch.Tensor]) -> str:
    """Return how many parameters need no gradient, as "2 parameters with requires_grad=False"; ""
    if there are none.
    """
    frozen = [parameter for parameter in parameters if not parameter.requires_grad]
    if not frozen:
        return ""
    plural = "s" if len(frozen) > 1 else ""
    return f"{len(frozen)} parameter{plural} with requires_grad=False"


def compute_gradients(
    loss: torch.Tensor,
    variables: list[torch.Tensor],
    room: list[torch.Tensor] | None = None,
) -> list[torch.Tensor]:
    """Return the gradient of a loss by each variable, from autograd; zeros if the loss does not
    depend on it.

    They are written into `room`, tensors of the variables' shapes, if it is given. Raises
    WrongAnswer for a variable with requires_grad=False.
    """
    import torch

    if frozen := count_frozen(variables):
        raise WrongAnswer(
            f"has {frozen}, whose gradient cannot be judged: choose checks=['forward', 'loss']"
        )
    gradients: Sequence[torch.Tensor | None] = [None] * len(variables)
    if loss.requires_grad:
        gradients = torch.autograd.grad(loss, variables, allow_unused=True)
    return copy_gradients(variables, gradients, room)


def copy_gradients(
    variables: Sequence[torch.Tensor],
    gradients: Sequence[torch.Tensor | None],
    room: list[torch.Tensor] | None = None,
) -> list[torch.Tensor]:
    """Return copies of the gradients by all variables as plain tensors, in `room` if it is given;
    zeros for None.
    """
    import torch

    parts = []
    for variable, gradient in zip(variables, gradients, strict=True):
        parts.append(torch.zeros_like(variable) if gradient is None else to_plain(gradient))
    if room is None:
        return [part.clone() for part in parts]
    torch._foreach_copy_(room, parts)
    return room
