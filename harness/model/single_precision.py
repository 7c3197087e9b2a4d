"""Finds float32 numbers in a module's buffers and plain attributes."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from harness.model.tensors import to_plain


def find_single_precision(module: Any) -> list[str]:
    """Return the buffers and plain attributes of a module whose numbers fit into float32, but not
    all into bfloat16.

    Each is named as in "buffer layer.scale".
    """
    import torch

    names: list[str] = []
    if not isinstance(module, torch.nn.Module):
        return names
    for prefix, part in module.named_modules():
        buffers = dict(part.named_buffers(recurse=False))
        tensors = dict(buffers)
        for name, value in vars(part).items():
            if issubclass(type(value), torch.Tensor):
                tensors[name] = value
        for name, tensor in tensors.items():
            kind = "buffer" if name in buffers else "plain attribute"
            # a quantised tensor, or one without data, cannot be read, and is not named
            with suppress(Exception):
                if is_single(to_plain(tensor)):
                    names.append(f"{kind} {prefix}{'.' if prefix else ''}{name}")
    return names


def is_single(tensor: Any) -> bool:
    """Does a tensor hold floating-point numbers that all fit into float32, but not all into
    bfloat16?
    """
    whole = tensor.double()
    if not (whole.float() == whole).all() or (whole.bfloat16() == whole).all():
        return False
    return bool(tensor.is_floating_point())
