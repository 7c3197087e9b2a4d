"""Reads a user's expressions for single tensors: `parameters={"fc.weight": "net.0.weight.T",
...}`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from harness.core.numpy_errors import users
from harness.evaluating.state import Shape, State, Tensors, name_all
from harness.layouts.parts import Part, joined
from harness.mapping.converter import WrongMap, as_tensor, draw_numbers, find_used
from harness.model.errors import raised
from harness.pytorch.parameters import SPELLED, parse_index
from harness.text.harmless import shown
from harness.text.python import quoted

HOW = (
    '"weight", "weight.T", "weight[:, 1:]", ["one", "after another"], a constant, or a function of'
    " all by name"
)


def read_words(words: Mapping[str, Any], ours: Tensors, theirs: Tensors) -> dict[str, Part]:
    """Return the expressions in a user's dict, by the names of the subject's tensors.

    `ours` are the subject's tensors, `theirs` the reference's. Raises WrongMap for a name that does
    not exist, and for tensors that do not fit.
    """
    zeros = {name: torch.zeros(shape) for name, shape in theirs.all.items()}
    parts = {}
    for name, word in words.items():
        first = ours.other_names.get(name, name)
        if first not in ours.all:
            names = ", ".join(ours.all)
            raise WrongMap(
                f"parameters: no tensor of the model is called {shown(name)}, expected {names}"
            )
        part = _read_word(word, ours.all[first], theirs)
        shape_of_part = tuple(part.make(zeros).shape)
        if shape_of_part != ours.all[first]:
            raise WrongMap(
                f"parameters: {name} has shape {shape_of_part}, expected {ours.all[first]}"
            )
        parts[first] = part
    return parts


def _read_word(word: Any, shape: Shape, theirs: Tensors) -> Part:
    """Return the expression that a value of the user's dict describes; the tensors of a list are
    joined to `shape`.
    """
    if callable(word):
        return _read_function(word, theirs)
    if isinstance(word, str):
        return _read_text(word, theirs)
    if isinstance(word, list | tuple) and word and all(isinstance(each, str) for each in word):
        return _join([_read_text(each, theirs) for each in word], shape, theirs)
    constant = as_tensor("a constant", word).double()
    if constant.ndim == 0:
        constant = constant.expand(shape)
    return Part((), shown(word, 40), shown(word, 40), lambda state: constant)


def _read_function(function: Any, theirs: Tensors) -> Part:
    """Return the expression for a user's function of the reference's tensors, called once to find
    the tensors that it uses.
    """

    def make(state: State) -> Tensor:
        return as_tensor("a function's result", function(name_all(state, theirs)))

    state = {name: each.requires_grad_() for name, each in draw_numbers(theirs, 0).items()}
    try:
        with users(), torch.enable_grad():
            used = find_used({"": make(state)}, state)
    except Exception as error:  # a user's function may raise anything
        raise WrongMap(f"parameters: the function {raised(error)}") from error
    return Part(used or tuple(theirs.all), "your function", "...", make)


def _read_text(text: str, theirs: Tensors) -> Part:
    """Return the expression that a text describes. Raises WrongMap for an unknown name."""
    known = {*theirs.all, *theirs.other_names}
    match = SPELLED.fullmatch(text)
    name = text if text in known or not match else match["name"]
    if name not in known:
        raise WrongMap(
            f"parameters: no tensor of the reference is called {quoted(text)}, expected {HOW}; its"
            f" tensors are {', '.join(theirs.all)}"
        )
    source = theirs.other_names.get(name, name)
    code = f"s[{quoted(name)}]{text.removeprefix(name)}"
    index: tuple[Any, ...] = ()
    turned = False
    if name != text and match:
        turned = bool(match["T"])
        if match["index"]:
            index = tuple(parse_index(axis) for axis in match["index"].split(","))

    def make(state: State) -> Tensor:
        tensor = state[source][index] if index else state[source]
        return tensor.mT if turned and tensor.ndim > 1 else tensor

    return Part((source,), text, code, make)


def _join(parts: Sequence[Part], shape: Shape, theirs: Tensors) -> Part:
    """Join tensors along the axis that gives this shape. Raises WrongMap if no axis does."""
    zeros = {name: torch.zeros(each) for name, each in theirs.all.items()}
    for axis in range(len(shape)):
        part = joined(parts, axis)
        try:
            joined_shape = tuple(part.make(zeros).shape)
        except (RuntimeError, IndexError):
            continue
        if joined_shape == shape:
            return part
    shapes = " and ".join(str(tuple(part.make(zeros).shape)) for part in parts)
    raise WrongMap(f"parameters: {shapes} do not join to {shape}")
