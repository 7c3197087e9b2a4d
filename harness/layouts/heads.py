"""Queries, keys and values of attention in one matrix: one after another, or side by side in each
head.

torch.nn.MultiheadAttention and GPT-2 store all queries, then all keys, then all values. GPT-NeoX
and BLOOM store the three of each head together, see `query_key_value` in transformers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from harness.evaluating.state import Shape
from harness.layouts.layout import Layout
from harness.layouts.parts import Named, Part, flattened, permuted, unflattened, whole

Change = Callable[[Part], Part]


def list_heads(theirs: Sequence[Named], ours: Sequence[Named]) -> Iterator[Layout]:
    """Yield layouts in which fused matrices of the reference, or of the subject, hold queries, keys
    and values head by head. How many heads there are is not known: all divisors are tried.
    """
    for fused, length in _list_fused(theirs):
        for heads in _list_divisors(length // 3):
            views = {name: _separate(shape, length, heads)(whole(name)) for name, shape in fused}
            yield Layout(f"{{theirs}} {_say(fused, heads, length)}", views)
    for fused, length in _list_fused(ours):
        for heads in _list_divisors(length // 3):
            changes = {name: _interleave(shape, length, heads) for name, shape in fused}
            yield Layout(f"{{ours}} {_say(fused, heads, length)}", ours=changes)


def _say(fused: Sequence[Named], heads: int, length: int) -> str:
    whose = f"of {heads} heads" if 3 * heads < length else "number"
    return f"stores q, k and v of each {whose} together in {fused[0][0]}"


def _list_divisors(width: int) -> list[int]:
    """Return the numbers of heads that so many numbers may have; each number may be a head."""
    return [heads for heads in range(2, width + 1) if width % heads == 0]


def _list_fused(tensors: Sequence[Named]) -> Iterator[tuple[list[Named], int]]:
    """Yield groups of fused matrices with their biases, and the length of the fused axis, three
    times that of the other one. Layers that differ in their number are one group.
    """
    groups: dict[str, list[Named]] = {}
    lengths: dict[str, int] = {}
    for name, shape in tensors:
        if len(shape) == 2 and max(shape) == 3 * min(shape):
            kind = _name_group(name)
            groups.setdefault(kind, []).append((name, shape))
            lengths[kind] = max(shape)
    for kind, group in groups.items():
        length = lengths[kind]
        biases = [
            (name, shape)
            for name, shape in tensors
            if shape == (length,) and _name_group(name) == kind
        ]
        if all(length in shape for _, shape in group):
            yield [*group, *biases], length


def _name_group(name: str) -> str:
    return re.sub(r"\d+", "#", name.rpartition(".")[0])


def _separate(shape: Shape, length: int, heads: int) -> Change:
    """Return the change of a tensor from heads side by side to all q, all k, all v."""
    return _swap(shape.index(length), len(shape), (heads, 3, length // 3 // heads))


def _interleave(shape: Shape, length: int, heads: int) -> Change:
    """Return the change of a tensor from all q, all k, all v to heads side by side."""
    return _swap(shape.index(length), len(shape), (3, heads, length // 3 // heads))


def _swap(axis: int, axes: int, lengths: Sequence[int]) -> Change:
    """Return the change that splits an axis of a tensor in three, swaps the first two, and joins
    all.
    """
    order = [*range(axis), axis + 1, axis, *range(axis + 2, axes + 2)]

    def change(part: Part) -> Part:
        return flattened(permuted(unflattened(part, axis, lengths), order), axis, axis + 2)

    return change
