"""Tensors that a user's code gave, as PyTorch itself holds them."""

from __future__ import annotations

from typing import Any


def plain(given: Any) -> Any:
    """Return the torch.Tensor that an object is, out of a subclass that may answer otherwise; None
    for no tensor.

    Its methods are PyTorch's own then, and its shape is that of its numbers. None, too, for a
    subclass whose numbers PyTorch does not hold itself (`__torch_dispatch__`). What is not strided
    becomes dense.
    """
    import torch

    if type(given) is torch.Tensor and given.layout is torch.strided:
        return given
    held: Any = torch._C.TensorBase
    with torch._C.DisableTorchFunction():
        try:
            strided = vars(held)["layout"].__get__(given) is torch.strided
        except TypeError:  # it is no tensor, whatever its __class__ says
            return None
        found = given if strided else held.to_dense(given)
        found = found if type(found) is torch.Tensor else held.as_subclass(found, torch.Tensor)
    return found if type(found) is torch.Tensor else None
