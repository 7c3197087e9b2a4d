"""A model at a whole stack of draws in one call.

A draw is one problem of a stack, a head one output tensor of a model. In shapes, D counts draws, R
rows and O outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.core.problem import Problem
from harness.model.errors import WrongAnswer
from harness.model.losses import compute_gradients, list_decays, reduce_errors
from harness.model.module import Heads, Model, Stacked
from harness.model.tensors import describe_shape, list_heads, to_plain

if TYPE_CHECKING:
    from torch import Tensor


def stack_module(module: Any, names: Mapping[str, str]) -> Stacked:
    """Return the function that computes D copies of a module in one call, by `torch.vmap`.

    `names` has the module's name of each parameter, by its name in the layout.
    """
    import torch

    def call(inputs: Sequence[Any], parameters: Mapping[str, Any]) -> Any:
        named = {own: parameters[name] for name, own in names.items()}
        return torch.func.functional_call(module, named, tuple(inputs))

    return torch.vmap(call)


def stack_function(function: Callable[..., Any]) -> Stacked:
    """Return the function that computes `function(x, ..., name=tensor, ...)` at D draws in one
    call, by `torch.vmap`.
    """
    import torch

    return torch.vmap(lambda inputs, parameters: function(*inputs, **parameters))


def ask_stack(
    model: Model,
    problem: Problem,
    values: Sequence[Tensor],
    inputs: Sequence[Tensor],
    targets: Sequence[Tensor],
) -> dict[str, list[Tensor]]:
    """Return the outputs, losses and gradients of all draws of a problem by quantity, each as
    tensors with a leading axis of draws.

    `values` are the numbers of the model's parameters (D, *shape). Raises WrongAnswer for outputs
    or losses of a wrong shape or dtype, and any error that the model or `torch.vmap` raises.
    """
    assert model.stacked is not None
    parameters = [value.detach().clone().requires_grad_() for value in values]
    inputs = [x.detach().clone().requires_grad_() for x in inputs]
    heads = stacked_heads(model.stacked, problem, inputs, parameters, targets)
    losses = _compute_losses(model, problem, heads, targets, parameters)
    gradients = compute_gradients(losses.sum(), [*parameters, *inputs])
    return {
        "forward": [head.detach() for head in heads],
        "loss": [losses.detach()],
        "gradient": gradients[: len(parameters)],
        "input_gradient": gradients[len(parameters) :],
    }


def stacked_heads(
    stacked: Stacked,
    problem: Problem,
    inputs: Sequence[Tensor],
    parameters: Sequence[Tensor],
    targets: Sequence[Tensor],
) -> Heads:
    """Return the outputs of D copies of a model, in the shapes (D, R, O) of their targets.

    A single output (D, R) becomes (D, R, 1). Raises WrongAnswer for outputs of other shapes, or of
    a dtype that is narrower than the parameters'.
    """
    names = [block.name for block in problem.formulation.own.blocks]
    outputs = stacked(inputs, dict(zip(names, parameters, strict=True)))
    heads = Heads(list_heads(outputs))
    if len(heads) == len(targets) == 1 and type(heads[0]) is type(targets[0]):
        heads.flat = targets[0].shape == (*heads[0].shape, 1)
    if heads.flat:
        heads[0] = heads[0].unsqueeze(-1)
    expect_stack(heads, targets, "draws")
    for head in heads:
        if head.is_complex() or head.dtype.itemsize < parameters[0].dtype.itemsize:
            raise WrongAnswer(
                f"gave outputs of {head.dtype} as a stack, expected {parameters[0].dtype}"
            )
    return heads


def expect_stack(heads: Sequence[Tensor], targets: Sequence[Tensor], counted: str) -> None:
    """Raise WrongAnswer unless the outputs of a stack have the shapes of their targets.

    `counted` is what the first axis counts, for the sentence: "draws" or "starts".
    """
    shapes = ", ".join(map(describe_shape, heads))
    expected = ", ".join(map(describe_shape, targets))
    if shapes != expected:
        found = f"[{shapes}] as a stack, expected [{expected}]"
        raise WrongAnswer(f"gave outputs of shapes {found}: ({counted}, rows, width)")


def stacked_losses(
    problem: Problem,
    heads: Sequence[Tensor],
    targets: Sequence[Tensor],
    parameters: Sequence[Tensor],
) -> Tensor:
    """Return the problem's loss (D,) of D copies of a model with outputs `heads` (D, R, O)."""
    loss = problem.loss
    terms = reduce_errors(loss, heads, targets)
    if loss.has_decay:
        decays = list_decays(problem, parameters)
        for decay, parameter in zip(decays, parameters, strict=True):
            if isinstance(decay, float):
                terms.append(decay * (parameter**2).flatten(1).sum(1))
            else:
                terms.append((decay * parameter**2).flatten(1).sum(1))
    total: Tensor = sum(terms[1:], terms[0])
    return total


def _compute_losses(
    model: Model,
    problem: Problem,
    heads: Heads,
    targets: Sequence[Tensor],
    parameters: Sequence[Tensor],
) -> Tensor:
    """Return the losses (D,): the user's own, or the problem's if the user has given none."""
    import torch

    if model.user_loss is None:
        return stacked_losses(problem, heads, targets, parameters)
    outputs, expected = model.for_user(problem, heads, targets)
    losses: Tensor | None = to_plain(torch.vmap(model.user_loss)(outputs, expected))
    if losses is None or losses.shape != (problem.draws,) or losses.is_complex():
        raise WrongAnswer("gave a loss as a stack that is not one real number a draw")
    return losses
