"""The tensors of a module: parameters and buffers, read and set by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

State = dict[str, Tensor]
Shape = tuple[int, ...]
COMPILED = "_orig_mod."  # what torch.compile puts into names
PARALLEL = "module."  # what DataParallel puts before names


@dataclass(frozen=True)
class Tensors:
    """The names and shapes of a module's tensors.

    A tensor with several names is listed under the first; `other_names` maps the others to the
    first. `frozen` are the parameters that need no gradient. `starts` has the number of buffers
    whose elements are all equal, as listed. `fixed` are the frozen parameters that hold constants
    (whole numbers that are not all equal, as a mask has).
    """

    parameters: Mapping[str, Shape]
    buffers: Mapping[str, Shape]
    other_names: Mapping[str, str]
    frozen: tuple[str, ...] = ()
    starts: Mapping[str, float] = field(default_factory=dict)
    fixed: tuple[str, ...] = ()

    @property
    def drawn(self) -> list[str]:
        """The names of the parameters that get random numbers."""
        return [name for name in self.parameters if name not in self.fixed]

    @property
    def all(self) -> dict[str, Shape]:
        """The shapes of parameters and buffers, by name."""
        return {**self.parameters, **self.buffers}


def plain_name(name: str) -> str:
    """Return the name of a tensor without the prefixes that torch.compile and DataParallel add."""
    return name.replace(COMPILED, "").removeprefix(PARALLEL)


def list_live(module: Any) -> tuple[State, dict[str, str]]:
    """Return a module's tensors by their first names, and a dict from all other names to the first.

    The tensors are the module's own, not copies.
    """
    first: dict[int, str] = {}
    live: State = {}
    other_names: dict[str, str] = {}
    for listed in (module.named_parameters, module.named_buffers):
        for full_name, tensor in listed(remove_duplicate=False):
            name = plain_name(full_name)
            known = first.setdefault(id(tensor), name)
            if known == name:
                live[name] = tensor
            else:
                other_names[name] = known
    return live, other_names


def list_parameters(module: Any) -> set[str]:
    """Return all names of a module's parameters.

    The parameters of a TorchScript module, which are no nn.Parameter, are listed too.
    """
    named = module.named_parameters(remove_duplicate=False)
    return {plain_name(name) for name, _ in named}


def list_tensors(module: Any) -> Tensors:
    """Return the names and shapes of a module's tensors."""
    live, other_names = list_live(module)
    named = list_parameters(module)
    parameters: dict[str, Shape] = {}
    buffers: dict[str, Shape] = {}
    frozen, starts = [], {}
    for name, tensor in live.items():
        of_kind = parameters if name in named else buffers
        of_kind[name] = tuple(tensor.shape)
        if of_kind is parameters and not tensor.requires_grad:
            frozen.append(name)
        if of_kind is buffers and tensor.numel() and bool((tensor == tensor.flatten()[0]).all()):
            starts[name] = float(tensor.flatten()[0])
    fixed = tuple(name for name in frozen if _holds_constants(live[name]))
    return Tensors(parameters, buffers, other_names, tuple(frozen), starts, fixed)


def _holds_constants(tensor: Tensor) -> bool:
    """Are these whole numbers that are not all equal?"""
    numbers = tensor.detach()
    if not numbers.is_floating_point() or not numbers.numel():
        return False
    if not torch.equal(numbers, numbers.round()):
        return False
    return not bool((numbers == numbers.flatten()[0]).all())


def read_state(module: Any) -> State:
    """Return copies of a module's tensors by name; real numbers are in float64 on the CPU."""
    live, _ = list_live(module)
    return {name: widen(tensor) for name, tensor in live.items()}


def widen(tensor: Tensor) -> Tensor:
    """Return a copy of a tensor on the CPU; real numbers become float64."""
    tensor = tensor.detach().cpu()
    return tensor.double().clone() if tensor.is_floating_point() else tensor.clone()


def name_all(state: State, tensors: Tensors) -> State:
    """Return a copy of a state in which each tensor is listed under all its names."""
    named = dict(state)
    for name, first in tensors.other_names.items():
        if first in state:
            named[name] = state[first]
    return named


def list_changed(before: State, now: State) -> list[str]:
    """Return the names of the tensors whose numbers differ in two states."""
    return [
        name
        for name, tensor in now.items()
        if not torch.equal(tensor.nan_to_num(), before[name].nan_to_num())
    ]


def write_state(module: Any, state: State) -> None:
    """Copy the numbers of a state into a module's tensors of the same names, rounded to their
    dtypes.
    """
    live, _ = list_live(module)
    with torch.no_grad():
        for name, tensor in state.items():
            live[name].copy_(tensor)
