"""Queries, keys and values of attention in one matrix: one after another, or side by side in each
head.

torch.nn.MultiheadAttention and GPT-2 store all queries, then all keys, then all values. GPT-NeoX
and BLOOM store the three of each head together, see `query_key_value` in transformers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from harness.layouts.layout import Layout
from harness.layouts.parts import Named, Part, flattened, permuted, unflattened, whole

Change = Callable[[Part], Part]
Order = tuple[int, int, int]
# the axes "three", "head" and "in the head" (0, 1, 2 in the usual layout), as they are stored
STORED = {
    (1, 0, 2): "q, k and v of each of {heads} heads together",
    (1, 2, 0): "q, k and v of each number of {heads} heads together",
}


def list_heads(theirs: Sequence[Named], ours: Sequence[Named]) -> Iterator[Layout]:
    """Yield layouts in which fused matrices of the reference, or of the subject, hold queries, keys
    and values head by head. How many heads there are is not known: all divisors are tried.
    """
    for fused, length in _list_fused(theirs):
        for order, heads in _list_orders(length):
            views = {
                name: _take_apart(len(shape), shape.index(length), length, heads, order)(
                    whole(name)
                )
                for name, shape in fused
            }
            yield Layout(f"{{theirs}} stores {_say(fused, order, heads)}", views)
    for fused, length in _list_fused(ours):
        for order, heads in _list_orders(length):
            changes: Mapping[str, Change] = {
                name: _put_together(len(shape), shape.index(length), length, heads, order)
                for name, shape in fused
            }
            yield Layout(f"{{ours}} stores {_say(fused, order, heads)}", ours=changes)


def _say(fused: Sequence[Named], order: Order, heads: int) -> str:
    return f"{STORED[order].format(heads=heads)} in {fused[0][0]}"


def _list_orders(length: int) -> Iterator[tuple[Order, int]]:
    """Yield how a fused axis of this length may be stored, and the number of heads."""
    width = length // 3
    for order in STORED:
        for heads in range(2, width + 1):
            if width % heads == 0:
                yield order, heads


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


def _take_apart(axes: int, axis: int, length: int, heads: int, order: Order) -> Change:
    """Return the change from a stored layout to the usual one, along one of so many axes."""
    usual = 3, heads, length // 3 // heads
    stored = [usual[each] for each in order]
    back = [order.index(each) for each in range(3)]
    return _permute_along(axes, axis, stored, back)


def _put_together(axes: int, axis: int, length: int, heads: int, order: Order) -> Change:
    """Return the change from the usual layout to a stored one."""
    return _permute_along(axes, axis, [3, heads, length // 3 // heads], order)


def _permute_along(axes: int, axis: int, lengths: Sequence[int], order: Sequence[int]) -> Change:
    """Return the change that splits an axis of a tensor, permutes the pieces and joins them."""
    places = [*range(axis), *(axis + each for each in order), *range(axis + 3, axes + 2)]

    def change(part: Part) -> Part:
        return flattened(permuted(unflattened(part, axis, lengths), places), axis, axis + 2)

    return change
