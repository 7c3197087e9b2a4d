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
    from torch import Tensor


def compute_loss(
    problem: Problem,
    heads: Sequence[Tensor],
    targets: Sequence[Tensor],
    parameters: Sequence[Tensor],
) -> Tensor:
    """Return the errors of all heads plus weight decay, by the formula of `problem.loss`.

    A head is one of the model's output tensors; there are targets for each.
    """
    loss = problem.loss
    terms = reduce_errors(loss, heads, targets)
    if loss.has_decay:
        for decay, parameter in zip(list_decays(problem, parameters), parameters, strict=True):
            if isinstance(decay, float):
                terms.append(decay * (parameter**2).sum())
            else:
                terms.append((decay * parameter**2).sum())
    total: Tensor = sum(terms[1:], terms[0])
    return total


def reduce_errors(loss: Loss, heads: Sequence[Tensor], targets: Sequence[Tensor]) -> list[Tensor]:
    """Return each head's part of a loss: the weighted sum or mean of its errors over rows and
    outputs.

    Heads are output tensors (..., R, O) with R rows and O outputs; each part has the shape (...).
    """
    errors, logits = loss.errors(len(heads)), loss.logits(len(heads))
    factor = loss.factor
    factors = [factor] * len(heads) if isinstance(factor, int | float) else factor
    parts = []
    for number, (head, target) in enumerate(zip(heads, targets, strict=True)):
        changed = _change_targets(loss, target)
        error = weigh_rows(loss, compute_errors(errors[number], logits[number], head, changed))
        part = _reduce(loss, error, target)
        parts.append(part if factors[number] == 1 else factors[number] * part)
    return parts


def _reduce(loss: Loss, error: Tensor, target: Tensor) -> Tensor:
    """Return the sum or mean (...) of errors (..., R, n), n for each of R rows. With class weights,
    a mean divides by the weights of the rows' classes, which `target` gives.
    """
    import torch

    axes = (-2, -1)
    if loss.reduction == "sum":
        return error.sum(axes)
    if loss.reduction == "mean_of_rows":
        return error.sum(axes) / error.shape[-2]
    if loss.class_weights is None:
        return error.mean(axes)
    weights = torch.tensor(loss.class_weights, dtype=target.dtype, device=target.device)
    return error.sum(axes) / (target * weights).sum(axes)


def _change_targets(loss: Loss, target: Tensor) -> Tensor:
    """Return targets after applying the loss's label smoothing and class weights."""
    import torch

    if loss.label_smoothing:
        share = loss.label_smoothing
        target = (1 - share) * target + share / target.shape[-1]
    if loss.class_weights is None:
        return target
    return target * torch.tensor(loss.class_weights, dtype=target.dtype, device=target.device)


def compute_errors(error: str, from_logits: bool, outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the errors of outputs (..., R, O) against targets, one for each output or one for each
    row.

    `error` names the kind, such as "softmax"; `from_logits` says that the outputs are logits, not
    probabilities. Errors are computed as PyTorch's own losses compute them: fused from logits, and
    from probabilities with logarithms of at least -100 (binary_cross_entropy). R counts rows and O
    outputs.
    """
    if error == "squares":
        return _squares(outputs, targets)
    if error in ("entropy", "bce"):
        return _cross_entropies(error, from_logits, outputs, targets)
    if error == "softmax":
        return _softmax_errors(from_logits, outputs, targets)
    if error == "kl":
        own = targets.xlogy(targets).sum(-1, keepdim=True)
        return _softmax_errors(from_logits, outputs, targets) + own
    return _censored_errors(from_logits, outputs, targets)


def _squares(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return (outputs - targets)^2, in float32 and float64 by mse_loss.

    Its gradient takes one pass in place of four, and has the same bits (as a test shows, on the
    CPU).
    """
    import torch

    if outputs.dtype == targets.dtype and outputs.dtype in (torch.float32, torch.float64):
        return torch.nn.functional.mse_loss(outputs, targets, reduction="none")
    return (outputs - targets) ** 2


def _cross_entropies(error: str, from_logits: bool, outputs: Tensor, targets: Tensor) -> Tensor:
    import torch

    functional = torch.nn.functional
    name = "binary_cross_entropy_with_logits" if from_logits else "binary_cross_entropy"
    cost: Tensor = getattr(functional, name)(outputs, targets, reduction="none")
    if error == "bce":
        return cost
    off = 1 - targets
    own: Tensor = torch.xlogy(targets, targets) + torch.xlogy(off, off)
    return cost + own


def _softmax_errors(from_logits: bool, outputs: Tensor, targets: Tensor) -> Tensor:
    import torch

    if from_logits:
        return -(targets * outputs.log_softmax(-1)).sum(-1, keepdim=True)
    there = targets > 0
    logs = torch.where(there, outputs, 1.0).log()
    return -(targets * logs).sum(-1, keepdim=True)


def _censored_errors(from_logits: bool, outputs: Tensor, targets: Tensor) -> Tensor:
    among = targets == 1
    if from_logits:
        chosen = outputs.masked_fill(~among, float("-inf"))
        return outputs.logsumexp(-1, keepdim=True) - chosen.logsumexp(-1, keepdim=True)
    return -(outputs * among).sum(-1, keepdim=True).log()


def weigh_rows(loss: Loss, errors: Tensor) -> Tensor:
    """Return errors (..., R, O) times the loss's weights of their rows, or unchanged if it has
    none.

    R counts rows and O outputs.
    """
    import torch

    if loss.row_weights is None:
        return errors
    weights = torch.tensor(loss.row_weights, dtype=errors.dtype, device=errors.device)
    return weights[:, None] * errors


def list_decays(problem: Problem, parameters: Sequence[Tensor]) -> list[float | Tensor]:
    """Return the factor of weight decay of each of a model's parameters: one number, or a tensor of
    the parameter's shape if its single weights have different factors.
    """
    import torch

    one_decay = problem.loss.one_decay
    if one_decay is not None:
        return [one_decay] * len(parameters)
    decays: list[float | Tensor] = []
    for block, parameter in zip(problem.formulation.own.blocks, parameters, strict=True):
        of_block = np.array(block.of(problem.own_decays))
        decays.append(torch.tensor(of_block, dtype=parameter.dtype, device=parameter.device))
    return decays


def check_loss(loss: Any) -> Tensor:
    """Return a loss as a plain tensor. Raises WrongAnswer unless it is a single real number."""
    tensor: Tensor | None = to_plain(loss)
    if tensor is None:
        raise WrongAnswer(
            f"gave a {class_name(loss)} as its loss, expected a tensor of shape (): a single number"
        )
    if tuple(tensor.shape) != ():
        shape = tuple(tensor.shape)
        raise WrongAnswer(
            f"gave a loss of shape {shape}, expected a tensor of shape (): a single number, its sum"
            " or its mean"
        )
    if tensor.is_complex():
        raise WrongAnswer(f"gave a loss of {tensor.dtype}, expected a real number")
    return tensor


def count_frozen(parameters: Sequence[Tensor]) -> str:
    """Return the number of parameters without a gradient, as "2 parameters with
    requires_grad=False"; "" if there are none.
    """
    frozen = [parameter for parameter in parameters if not parameter.requires_grad]
    if not frozen:
        return ""
    plural = "s" if len(frozen) > 1 else ""
    return f"{len(frozen)} parameter{plural} with requires_grad=False"


def compute_gradients(
    loss: Tensor,
    variables: list[Tensor],
    room: list[Tensor] | None = None,
) -> list[Tensor]:
    """Return the gradient of a loss by each variable, from autograd; zeros if the loss does not
    depend on it.

    If `room` is given, the gradients are written into its tensors. Raises WrongAnswer for a
    variable with requires_grad=False.
    """
    import torch

    if frozen := count_frozen(variables):
        raise WrongAnswer(
            f"has {frozen}, whose gradient cannot be judged: choose checks=['forward', 'loss']"
        )
    gradients: Sequence[Tensor | None] = [None] * len(variables)
    if loss.requires_grad:
        gradients = torch.autograd.grad(loss, variables, allow_unused=True)
    return copy_gradients(variables, gradients, room)


def copy_gradients(
    variables: Sequence[Tensor],
    gradients: Sequence[Tensor | None],
    room: list[Tensor] | None = None,
) -> list[Tensor]:
    """Return copies of the gradients by all variables as plain tensors, with zeros in place of
    None.

    If `room` is given, they are written into its tensors.
    """
    import torch

    parts = []
    for variable, gradient in zip(variables, gradients, strict=True):
        parts.append(torch.zeros_like(variable) if gradient is None else to_plain(gradient))
    if room is None:
        return [part.clone() for part in parts]
    torch._foreach_copy_(room, parts)
    return room
