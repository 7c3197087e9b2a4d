"""Computes a model's loss and its gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from harness.core.problem import Loss
from harness.pytorch.errors import WrongAnswer
from harness.pytorch.tensors import to_plain
from harness.text.harmless import class_name

if TYPE_CHECKING:
    import torch


def squared_error(
    loss: Loss,
    heads: Sequence[torch.Tensor],
    targets: Sequence[torch.Tensor],
    parameters: Sequence[torch.Tensor],
) -> torch.Tensor:
    """Return the squared error of all heads plus weight decay, as a problem's Loss defines them.

    A head is one of the model's output tensors.
    """
    terms = []
    for head, target in zip(heads, targets, strict=True):
        square = (head - target) ** 2
        terms.append(getattr(square, loss.reduction)())
    if loss.decay:
        terms += [loss.decay * (parameter**2).sum() for parameter in parameters]
    total: torch.Tensor = sum(terms[1:], terms[0])
    return total


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


def compute_gradients(loss: torch.Tensor, variables: list[torch.Tensor]) -> list[torch.Tensor]:
    """Return the gradient of a loss by each variable, from autograd; zeros if the loss does not
    depend on it.

    Raises WrongAnswer for a variable with requires_grad=False.
    """
    import torch

    if frozen := count_frozen(variables):
        raise WrongAnswer(
            f"has {frozen}, whose gradient cannot be judged: choose checks=['forward', 'loss']"
        )
    if not loss.requires_grad:
        return [torch.zeros_like(variable) for variable in variables]
    gradients = torch.autograd.grad(loss, variables, allow_unused=True)
    return [
        copy_gradient(variable, gradient)
        for variable, gradient in zip(variables, gradients, strict=True)
    ]


def copy_gradient(variable: torch.Tensor, gradient: torch.Tensor | None) -> torch.Tensor:
    """Return a copy of a variable's gradient as a plain tensor; zeros if the gradient is None."""
    import torch

    if gradient is None:
        return torch.zeros_like(variable)
    copied: torch.Tensor = to_plain(gradient).clone()
    return copied
