"""Finds layers and tensors of a module that are not among its parameters."""

from __future__ import annotations

from typing import Any

from harness.model.tensors import to_plain

PLAIN: dict[type, tuple[str, str]] = {
    list: ("list", "List"),
    tuple: ("tuple", "List"),
    dict: ("dict", "Dict"),
}


def describe_unregistered(module: Any) -> str:
    """Return a sentence on layers or parameters of a module that torch does not find; "" if there
    are none.
    """
    import torch

    if not isinstance(module, torch.nn.Module):
        return ""
    for prefix, part in module.named_modules():
        for name, value in vars(part).items():
            if name.startswith("_") or type(value) not in PLAIN:
                continue
            kind, end = PLAIN[type(value)]
            held = list(value.values()) if isinstance(value, dict) else list(value)
            where = f"a plain {kind} ({prefix}{'.' if prefix else ''}{name})"
            if any(isinstance(each, torch.nn.Module) and _is_apart(module, each) for each in held):
                return (
                    f"layers are kept in {where}, so their parameters are not registered: use"
                    f" nn.Module{end}"
                )
            if any(_is_free(each) for each in held):
                return (
                    f"parameters are kept in {where}, so they are not registered: use"
                    f" nn.Parameter{end}"
                )
    return ""


def _is_apart(module: Any, layer: Any) -> bool:
    """Does a layer have parameters that are not among the module's parameters?"""
    known = {id(parameter) for parameter in module.parameters()}
    return any(id(parameter) not in known for parameter in layer.parameters())


def _is_free(value: object) -> bool:
    """Is this a tensor with requires_grad=True?"""
    import torch

    if not isinstance(value, torch.Tensor):
        return False
    held = to_plain(value)
    return held is not None and bool(held.requires_grad)
