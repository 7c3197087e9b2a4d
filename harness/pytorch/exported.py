"""Builds modules from programs of torch.export."""

from __future__ import annotations

import sys
from typing import Any


def is_exported(given: Any) -> bool:
    """Is this a program of torch.export? (Answered without importing PyTorch.)"""
    exporting = sys.modules.get("torch.export")
    program = getattr(exporting, "ExportedProgram", None)
    return program is not None and issubclass(type(given), program)


def make_module(program: Any) -> Any:
    """Return a new module that runs a program of torch.export, with copies of the program's
    parameters and buffers.
    """
    import torch

    module = program.module()
    copies: dict[int, Any] = {}  # a tied parameter stays one
    for part in module.modules():
        for name, parameter in part._parameters.items():
            if parameter is not None:
                copy = torch.nn.Parameter(parameter.detach().clone(), parameter.requires_grad)
                part._parameters[name] = copies.setdefault(id(parameter), copy)
        for name, buffer in part._buffers.items():
            if buffer is not None:
                part._buffers[name] = copies.setdefault(id(buffer), buffer.detach().clone())
    return module
