"""Expressions of a model's tensors: a tensor, or tensors transposed, joined, cut or added."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor

from harness.evaluating.state import Shape, State
from harness.text.python import quoted


@dataclass(frozen=True, eq=False)
class Part:
    """An expression that makes a tensor from named tensors.

    `sources` are the names that it uses. `text` describes it for people; `code` is the same as
    Python, in which `s` is a dict of the tensors. `make` evaluates it, given the tensors by name.
    """

    sources: tuple[str, ...]
    text: str
    code: str
    make: Callable[[State], Tensor]

    @property
    def adds(self) -> bool:
        """Is it a sum of tensors?"""
        return " + " in self.text


Parts = dict[str, Part]  # by the names of the tensors that they make
Named = tuple[str, Shape]  # a tensor's name and shape


def close(text: str) -> str:
    """Return a text in parentheses if it is a sum or joins tensors, so that a call may follow."""
    depth = 0
    for place, letter in enumerate(text):
        depth += (letter in "([") - (letter in ")]")
        if not depth and (text.startswith(" + ", place) or text.startswith(" along ", place)):
            return f"({text})"
    return text


def whole(name: str) -> Part:
    """Return the expression for the tensor of this name, unchanged."""
    return Part((name,), name, f"s[{quoted(name)}]", lambda state: state[name])


def zeros(shape: Shape) -> Part:
    """Return the expression for a tensor of zeros."""
    code = f"torch.zeros({', '.join(map(str, shape))})"
    return Part((), "0", code, lambda state: torch.zeros(shape, dtype=torch.float64))


def _followed(part: Part, call: str, evaluate: Callable[[Tensor], Tensor]) -> Part:
    """Return the expression for a tensor followed by a call or an index, as Python writes it, which
    `evaluate` performs.
    """
    text, code = close(part.text) + call, close(part.code) + call
    return Part(part.sources, text, code, lambda state: evaluate(part.make(state)))


def transposed(part: Part) -> Part:
    """Return the expression for the transpose of a matrix."""
    return _followed(part, ".T", lambda tensor: tensor.mT)


def permuted(part: Part, axes: Sequence[int]) -> Part:
    """Return the expression for a tensor with its axes in another order."""
    call = f".permute({', '.join(map(str, axes))})"
    return _followed(part, call, lambda tensor: tensor.permute(tuple(axes)))


def reshaped(part: Part, shape: Shape) -> Part:
    """Return the expression for the same numbers in another shape."""
    call = f".reshape({', '.join(map(str, shape))})"
    return _followed(part, call, lambda tensor: tensor.reshape(shape))


def unflattened(part: Part, axis: int, lengths: Sequence[int]) -> Part:
    """Return the expression for a tensor with one axis split into several of these lengths."""
    call = f".unflatten({axis}, ({', '.join(map(str, lengths))}))"
    return _followed(part, call, lambda tensor: torch.unflatten(tensor, axis, tuple(lengths)))


def flattened(part: Part, first: int, last: int) -> Part:
    """Return the expression for a tensor with the axes from `first` to `last` made one."""
    call = f".flatten({first}, {last})"
    return _followed(part, call, lambda tensor: tensor.flatten(first, last))


def reordered(part: Part, axis: int, order: Sequence[int]) -> Part:
    """Return the expression for a tensor with the slices along an axis in another order."""
    index = f"[{':, ' * axis}[{', '.join(map(str, order))}]]"
    return _followed(part, index, lambda tensor: tensor.index_select(axis, torch.tensor(order)))


def replaced(part: Part, by: Mapping[str, Part]) -> Part:
    """Return an expression in which other expressions stand for some of its tensors."""
    names = [name for name in part.sources if name in by]
    if not names:
        return part
    pattern = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    text = re.sub(rf"(?<![\w.])({pattern})(?!\w)", lambda match: by[match[1]].text, part.text)
    codes = {whole(name).code: by[name].code for name in names}
    code = re.sub("|".join(map(re.escape, codes)), lambda match: codes[match[0]], part.code)

    def make(state: State) -> Tensor:
        return part.make({**state, **{name: by[name].make(state) for name in names}})

    sources = (by[name].sources if name in by else (name,) for name in part.sources)
    return Part(tuple(dict.fromkeys(chain(*sources))), text, code, make)


def joined(parts: Sequence[Part], axis: int) -> Part:
    """Return the expression that joins tensors along an existing axis."""
    return _collected(parts, axis, "cat", torch.cat)


def stacked(parts: Sequence[Part], axis: int) -> Part:
    """Return the expression that stacks tensors along a new axis."""
    return _collected(parts, axis, "stack", torch.stack)


def _collected(
    parts: Sequence[Part], axis: int, name: str, collect: Callable[[list[Tensor], int], Tensor]
) -> Part:
    """Return the expression for torch's function `collect` of this name along an axis."""
    return Part(
        list_sources(parts),
        f"{name}({', '.join(part.text for part in parts)}) along {axis}",
        f"torch.{name}([{', '.join(part.code for part in parts)}], {axis})",
        lambda state: collect([part.make(state) for part in parts], axis),
    )


def picked(part: Part, axis: int, number: int) -> Part:
    """Return the expression for a tensor's slice at position `number` of an axis; the axis is
    removed.
    """
    index = f"[{':, ' * axis}{number}]"
    return _followed(part, index, lambda tensor: tensor.select(axis, number))


def cut(part: Part, axis: int, start: int, stop: int) -> Part:
    """Return the expression for the part of a tensor from `start` to `stop` along an axis."""
    index = f"[{':, ' * axis}{start}:{stop}]"
    return _followed(part, index, lambda tensor: tensor.narrow(axis, start, stop - start))


def added(parts: Sequence[Part]) -> Part:
    """Return the expression for the sum of tensors."""

    def make(state: State) -> Tensor:
        total = parts[0].make(state)
        for part in parts[1:]:
            total = total + part.make(state)
        return total

    texts, codes = [part.text for part in parts], [part.code for part in parts]
    return Part(list_sources(parts), " + ".join(texts), " + ".join(codes), make)


def list_sources(parts: Sequence[Part]) -> tuple[str, ...]:
    """Return the names that several expressions use, in order."""
    return tuple(dict.fromkeys(name for part in parts for name in part.sources))
