"""Converts a problem's arrays to tensors, and a model's tensors to arrays.

In shapes, D counts draws (the problems of a stack), R rows, I inputs of a group, and O outputs of a
head. A group is one input tensor, a head one output tensor of a model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.core.contract import Array
from harness.core.problem import Problem
from harness.model.devices import held_in
from harness.text.harmless import class_name, one_line, shown

if TYPE_CHECKING:
    from torch import Tensor

SHOWN_TYPES = (type(None), bool, int, float, str)  # an output of another type is only named


def to_plain(given: Any) -> Any:
    """Return a tensor of any subclass as a dense Tensor; None if it cannot be converted.

    A user's subclass may override methods and the shape; the result has PyTorch's own. An object
    that is no tensor cannot be converted, nor can a subclass whose numbers PyTorch does not store
    (`__torch_dispatch__`).
    """
    import torch

    if type(given) is torch.Tensor and given.layout is torch.strided:
        return given
    base: Any = torch._C.TensorBase
    with torch._C.DisableTorchFunction():
        try:
            strided = vars(base)["layout"].__get__(given) is torch.strided
        except TypeError:  # it is no tensor, whatever its __class__ says
            return None
        dense = given if strided else base.to_dense(given)
        if type(dense) is not torch.Tensor:
            dense = base.as_subclass(dense, torch.Tensor)
    return dense if type(dense) is torch.Tensor else None


def make_tensors(
    problem: Problem, dtype: str, device: str
) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Convert a problem's arrays to tensors: own parameters by block (D, *shape), inputs by group
    (D, R, I) and targets by head (D, R, O).

    The own parameters are the model's own tensors, flattened; each block is one of these tensors. D
    counts draws (the problems of a stack), R rows, I inputs of a group and O outputs of a head.
    """
    import torch

    network = problem.network
    kind = held_in(dtype)
    own = torch.tensor(problem.own, dtype=kind, device=device)
    inputs = torch.tensor(problem.inputs, dtype=kind, device=device)
    targets = torch.tensor(problem.targets, dtype=kind, device=device)
    values = []
    for block in problem.formulation.own.blocks:
        values.append(own[:, block.places.ravel()].reshape(-1, *block.places.shape))
    return values, split_columns(inputs, network.inputs), split_columns(targets, network.outputs)


def split_columns(whole: Tensor, widths: Sequence[int]) -> list[Tensor]:
    """Split a tensor along its last axis into contiguous parts of these widths."""
    import torch

    return [part.contiguous() for part in torch.split(whole, list(widths), -1)]


def to_array(parts: Sequence[Tensor], *shape: int) -> Array:
    """Reshape each tensor to `shape`, join them along the last axis, and return the result in
    float64.
    """
    import torch

    flat = [to_plain(part).detach().reshape(shape) for part in parts]
    return np.asarray(torch.cat(flat, dim=-1).double().cpu().numpy())


def list_heads(output: Any) -> list[Any]:
    """Return a model's outputs as a list.

    The model may give one tensor, a sequence of tensors, or tensors by name. Tensors of a subclass
    are converted by `to_plain`; an object that is no tensor is returned as it is.
    """
    if issubclass(type(output), Mapping):
        output = list(output.values())
    heads = list(output) if issubclass(type(output), tuple | list) else [output]
    for place, head in enumerate(heads):
        tensor = to_plain(head)
        if tensor is not None:
            heads[place] = tensor
    return heads


def describe_shape(head: Any) -> str:
    """Return the shape of an output as text; for an output that is no tensor, its value or type."""
    import torch

    if type(head) is torch.Tensor:
        return str(tuple(head.shape))
    if type(head) in SHOWN_TYPES:
        return one_line(shown(head, 40))
    return f"a {class_name(head)}"
