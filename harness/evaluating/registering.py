"""Registers plain tensors of a module as buffers, so that they can be read and set by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from harness.evaluating.state import plain_name

Registered = dict[tuple[Any, str], Tensor]  # by the part of the module and the attribute


def register_hidden(module: Any, names: Sequence[str]) -> Registered:
    """Make buffers of plain tensors of a module, and return the tensors.

    As before, they are in no state_dict.
    """
    registered = {}
    parts = {plain_name(prefix): part for prefix, part in module.named_modules()}
    for name in names:
        prefix, _, attribute = name.rpartition(".")
        part = parts[prefix]
        registered[part, attribute] = vars(part).pop(attribute)
        part.register_buffer(attribute, registered[part, attribute], persistent=False)
    return registered


def keep_as_built(registered: Registered, dtype: torch.dtype, device: str) -> None:
    """Give registered tensors back their wider dtype and their device.

    In the user's own program torch does not move them. In float64, in which models are only
    compared, they are float64.
    """
    for (part, attribute), tensor in registered.items():
        if torch.promote_types(tensor.dtype, dtype) == tensor.dtype or device != "cpu":
            part._buffers[attribute] = tensor.to(torch.promote_types(tensor.dtype, dtype))
