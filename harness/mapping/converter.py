"""Maps that a user gives as a function of the reference's tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from harness.core.numpy_errors import users
from harness.evaluating.state import State, Tensors, name_all
from harness.mapping.mapping import ParameterMap
from harness.model.errors import raised
from harness.text.harmless import class_name, shown

Converter = Callable[[State], Any]


class WrongMap(ValueError):
    """Raised if the user's map of parameters does not fit the models."""


def map_by_function(function: Converter, ours: Tensors, theirs: Tensors) -> ParameterMap:
    """Return the map of parameters that a user's function defines, after trying it on random
    numbers.

    The function takes the reference's tensors by name and returns the subject's. `ours` are the
    tensors of the subject, `theirs` those of the reference. Raises WrongMap if it does not return
    tensors of the subject's names and shapes.
    """

    def make(state: State) -> State:
        return read_made(function(name_all(state, theirs)), ours)

    state, other = draw_numbers(theirs, 0), draw_numbers(theirs, 1)
    try:
        with torch.enable_grad():
            made = _call(make, {name: each.requires_grad_() for name, each in state.items()})
    except WrongMap as error:
        made = _call_without_gradients(make, state, error)
    second = _call_without_gradients(make, other, None)
    follow = [name for name, each in made.items() if not _are_same(each, second[name])]
    smooth = all(made[name].requires_grad for name in follow)
    used = find_used(made, state) if smooth else tuple(state)
    return ParameterMap(
        make,
        "by your converter",
        as_built=tuple(name for name in ours.all if name not in made),
        constants=tuple(name for name in made if name not in follow),
        unused=tuple(name for name in theirs.all if name not in used),
        differentiable=smooth,
    )


def draw_numbers(tensors: Tensors, seed: int) -> State:
    """Return random numbers from 1/2 to 3/2 for all tensors, by name."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, shape in tensors.all.items():
        state[name] = torch.rand(shape, generator=generator, dtype=torch.float64) + 0.5
    return state


def _call(make: Callable[[State], State], state: State) -> State:
    """Call a user's converter with tensors by name. Any error that it raises becomes a WrongMap."""
    try:
        with users():
            return make(state)
    except WrongMap as error:
        raise WrongMap(f"parameters: {error}") from None
    except KeyError as error:
        names = ", ".join(state)
        raise WrongMap(f"parameters: the converter {raised(error)}; there are {names}") from error
    except Exception as error:  # a user's converter may raise anything
        raise WrongMap(f"parameters: the converter {raised(error)}") from error


def _call_without_gradients(
    make: Callable[[State], State], state: State, first: WrongMap | None
) -> State:
    """Call a converter that cannot be differentiated, such as one that uses NumPy.

    Raises `first`, if given, instead of a second error.
    """
    try:
        with torch.no_grad():
            return _call(make, {name: each.detach() for name, each in state.items()})
    except WrongMap as error:
        raise (first or error) from None


def _are_same(one: Tensor, other: Tensor) -> bool:
    return torch.equal(one.detach(), other.detach())


def find_used(made: State, state: State) -> tuple[str, ...]:
    """Return the names of the tensors in `state` that the tensors `made` depend on."""
    reaching = [each.sum() for each in made.values() if each.requires_grad]
    if not reaching:
        return ()
    slopes = torch.autograd.grad(reaching, list(state.values()), allow_unused=True)
    return tuple(name for name, slope in zip(state, slopes, strict=True) if slope is not None)


def read_made(made: Any, ours: Tensors) -> State:
    """Return the tensors that a user's converter returned (`made`), by the first name of each
    tensor of the subject (a shared tensor has several names).

    Raises WrongMap for anything but tensors of the subject's names and shapes, and for two
    different values of one tensor.
    """
    if not isinstance(made, Mapping):
        raise WrongMap(f"it gave a {class_name(made)}, expected a dict of tensors by name")
    tensors: State = {}
    for name, value in made.items():
        first = ours.other_names.get(name, name)
        if first not in ours.all:
            names = ", ".join(ours.all)
            raise WrongMap(f"no tensor of the model is called {shown(name)}, expected {names}")
        tensor = as_tensor(name, value)
        if tuple(tensor.shape) != ours.all[first]:
            raise WrongMap(f"{name} has shape {tuple(tensor.shape)}, expected {ours.all[first]}")
        if first in tensors and not _are_same(tensors[first], tensor):
            raise WrongMap(f"{name} and {first} are one tensor, and were given two values")
        tensors.setdefault(first, tensor)
    return tensors


def as_tensor(name: str, value: Any) -> Tensor:
    """Return a user's value as a tensor. Raises WrongMap if this is impossible."""
    if isinstance(value, Tensor):
        return value
    try:
        return torch.as_tensor(value, dtype=torch.float64)
    except Exception:  # whatever a user gives
        raise WrongMap(f"{name} is a {class_name(value)}, expected a tensor") from None
