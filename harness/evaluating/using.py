"""Finds the order in which a model uses its parameters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from harness.core.numpy_errors import users
from harness.evaluating.data import Batch
from harness.evaluating.state import list_live


class Uses(TorchFunctionMode):
    """Notes the first use of each of a module's parameters."""

    def __init__(self, module: Any) -> None:
        super().__init__()
        live, _ = list_live(module)
        self._names = {id(tensor): name for name, tensor in live.items()}
        self.names: list[str] = []

    def __torch_function__(
        self, called: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        for tensor in list_arguments((args, kwargs)):
            name = self._names.get(id(tensor))
            if name is not None and name not in self.names:
                self.names.append(name)
        return called(*args, **(kwargs or {}))


def list_arguments(given: Any) -> Iterator[Tensor]:
    """Yield the tensors in nested arguments or results."""
    if isinstance(given, torch.Tensor):
        yield given
    elif isinstance(given, tuple | list):
        for each in given:
            yield from list_arguments(each)
    elif isinstance(given, dict):
        yield from list_arguments(tuple(given.values()))


def list_used(module: Any, batch: Batch) -> list[str]:
    """Return the names of a module's parameters in the order in which a call first uses them."""
    uses = Uses(module)
    with uses, torch.enable_grad(), users():
        module(*batch.args, **batch.kwargs)
    return uses.names
