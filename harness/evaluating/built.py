"""Builds models from a class, a factory or a module; copies them and sets their mode."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.nn.parameter import is_lazy

from harness.calling.apart import copy_apart
from harness.core.contract import Dtype
from harness.core.numpy_errors import users
from harness.evaluating.data import Batch
from harness.evaluating.given import find_narrow
from harness.evaluating.registering import keep_as_built, register_hidden
from harness.evaluating.state import State, list_changed, list_live, write_state
from harness.model.devices import held_in, seed_torch
from harness.model.errors import raised
from harness.text.harmless import class_name


class NotBuilt(TypeError):
    """Raised with the reason why a model cannot be built."""


@dataclass(frozen=True, eq=False)
class Builder:
    """Builds a model from a user's class or function, with the same numbers for the same seed.

    It is in train() then: eval() may change its tensors, as by merging weights.

    `name` is the model's name in messages. `batch` is data with which lazy modules are initialised.
    `narrow` has the dtype in which the model was built last, if that is narrower than those of a
    comparison by default.
    `hidden` names plain tensors that become buffers, see `hidden.py`.
    """

    build: Callable[[], Any]
    name: str
    batch: Batch
    narrow: list[Dtype] = field(default_factory=list, init=False, compare=False)
    hidden: Sequence[str] = ()

    def make(self, dtype: str, device: str = "cpu", seed: int = 0) -> Any:
        """Return a new module in a dtype on a device, built under a seed.

        Raises NotBuilt, with a sentence, if this fails.
        """
        with torch.random.fork_rng(devices=[]), users():
            seed_torch(seed)
            try:
                module = self.build()
                if isinstance(module, torch.nn.Module):
                    self._initialise(module)
                    self.narrow[:] = find_narrow([module])
                    registered = register_hidden(module, self.hidden)
                    module = module.to(dtype=held_in(dtype), device=device)
                    keep_as_built(registered, held_in(dtype), device)
                    set_mode(module, "train")
            except Exception as error:  # a user's constructor may raise anything
                raise NotBuilt(f"{self.name} {raised(error)}") from error
        if not isinstance(module, torch.nn.Module):
            raise NotBuilt(
                f"{self.name} gave a {class_name(module)}, expected an nn.Module: give its class, a"
                " function that builds it, or the module"
            )
        return module

    def _initialise(self, module: torch.nn.Module) -> None:
        """Call a module with lazy parameters once, so that these get their shapes."""
        if any(map(is_lazy, [*module.parameters(), *module.buffers()])):
            batch = cast_batch(self.batch, torch.get_default_dtype(), "cpu")
            with torch.no_grad():
                module(*batch.args, **batch.kwargs)


def cast_batch(batch: Batch, kind: torch.dtype, device: str) -> Batch:
    """Return a copy of a batch on a device; real numbers are converted to the dtype `kind`."""

    def cast(tensor: torch.Tensor) -> torch.Tensor:
        tensor = tensor.to(device=device, copy=True)
        return tensor.to(kind) if tensor.is_floating_point() else tensor

    return batch.map(cast)


def round_state(state: State, dtypes: Sequence[str]) -> State:
    """Return a copy of a state whose real numbers are rounded to every one of the dtypes in turn.

    A narrower dtype's numbers are exact in a wider dtype, so all of the dtypes hold the result
    exactly.
    """
    rounded = dict(state)
    for dtype in dtypes:
        kind = held_in(dtype)
        for name, tensor in rounded.items():
            if tensor.is_floating_point():
                rounded[name] = tensor.to(kind).to(tensor.dtype)
    return rounded


def round_batch(batch: Batch, dtypes: Sequence[str]) -> Batch:
    """Return a copy of a batch whose real numbers are rounded to every one of the dtypes in
    turn.
    """

    def narrow(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.is_floating_point():
            for dtype in dtypes:
                tensor = tensor.to(held_in(dtype))
        return tensor

    return batch.map(narrow)


def copy_module(module: Any, builder: Builder, dtype: str, device: str) -> Any:
    """Return a deep copy of a module, or a newly built module if it cannot be copied, or its copy
    would use the original.
    """
    try:
        return copy_apart(module)
    except Exception:  # a module may hold anything, such as a lock
        return builder.make(dtype, device)


def set_mode(module: Any, mode: str) -> None:
    """Put a module into train() or eval(), as `mode` says, if it supports them and is not there.

    A module from torch.export does not support them.
    """
    modes = [(part, part.training) for part in module.modules()]
    if all(training == (mode == "train") for _, training in modes):
        return
    try:
        module.train(mode == "train")
    except NotImplementedError:
        for part, training in modes:
            part.training = training


def set_state(module: Any, state: State, mode: str) -> list[str]:
    """Set tensors of a module to those of a state while it is in train(), then put it into a mode.

    Return the names of the tensors that the latter changes, as eval() merges weights.
    """
    set_mode(module, "train")
    write_state(module, state)
    before = {name: tensor.detach().clone() for name, tensor in list_live(module)[0].items()}
    set_mode(module, mode)
    return list_changed(before, list_live(module)[0])


def make_loss(loss: Any, kind: torch.dtype, device: str) -> Any:
    """Return a copy of a user's loss in the dtype `kind` on a device.

    A torch.nn class is built first; a function is returned as it is.
    """
    if isinstance(loss, type):
        loss = loss()
    if isinstance(loss, torch.nn.Module):
        return copy.deepcopy(loss).to(dtype=kind, device=device)
    return loss
