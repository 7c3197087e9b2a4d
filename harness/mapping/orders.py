"""Orders of a model's tensors in which they may correspond to another model's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, permutations
from typing import Literal

from harness.evaluating.state import Shape
from harness.layouts.parts import Named
from harness.layouts.roles import exchange_roles, order_by_roles
from harness.layouts.stacking import group_numbered
from harness.mapping.aligning import MOST_MIXED

Exchange = Literal["nothing", "roles", "all"]


def list_orders(
    names: Sequence[Named], used: Sequence[str], exchange: Exchange = "all"
) -> Iterator[list[Named]]:
    """Yield a list of tensors in orders in which they may correspond to another list.

    `used` has the names in the order of their first use. The orders are: as registered; with
    gates, or queries, keys and values, in PyTorch's order; with numbered layers together; in the
    order of use. `exchange` adds orders with some exchanged: tensors of different roles, or all
    modules, or tensors, of equal shapes.
    """
    seen: set[tuple[str, ...]] = set()
    by_name = dict(names)
    in_use = [(name, by_name[name]) for name in used if name in by_name]
    in_use += [one for one in names if one[0] not in used]
    grouped = list(group_numbered(names))
    for base in (list(names), in_use):
        exchanged = []
        if exchange == "roles":
            exchanged = [_exchange_roles(base)]
        elif exchange == "all":
            exchanged = [_exchange_owners(base), _exchange_tensors(base)]
        for order in chain([base, order_by_roles(base)], grouped, *exchanged):
            key = tuple(name for name, _ in order)
            if key not in seen:
                seen.add(key)
                yield order


def _exchange_roles(names: Sequence[Named]) -> Iterator[list[Named]]:
    """Yield orders in which tensors of different roles are exchanged, as gates of an LSTM."""
    shapes, ordered = dict(names), [name for name, _ in order_by_roles(names)]
    for order in exchange_roles(ordered):
        yield [(order.get(name, name), shapes[order.get(name, name)]) for name in ordered]


def _exchange_owners(names: Sequence[Named]) -> Iterator[list[Named]]:
    """Yield orders in which modules with tensors of equal shapes are exchanged."""
    owners: dict[str, list[Named]] = {}
    for name, shape in names:
        owners.setdefault(name.rpartition(".")[0], []).append((name, shape))
    kinds: dict[tuple[Shape, ...], list[str]] = {}
    for owner, tensors in owners.items():
        if owner:
            kinds.setdefault(tuple(shape for _, shape in tensors), []).append(owner)
    for order in _exchange(list(kinds.values())):
        yield [one for owner in owners for one in owners[order.get(owner, owner)]]


def _exchange_tensors(names: Sequence[Named]) -> Iterator[list[Named]]:
    """Yield orders in which tensors of equal shapes are exchanged."""
    kinds: dict[Shape, list[str]] = {}
    for name, shape in names:
        kinds.setdefault(shape, []).append(name)
    shapes = dict(names)
    for order in _exchange(list(kinds.values())):
        yield [(order.get(name, name), shapes[name]) for name, _ in names]


def _exchange(groups: Sequence[Sequence[str]]) -> Iterator[Mapping[str, str]]:
    """Yield dicts that permute names inside groups: first inside one group at a time, then inside
    all at once.
    """
    large = [group for group in groups if len(group) > 1]
    for group in large:
        for order in permutations(group):
            if order != tuple(group):
                yield dict(zip(group, order, strict=True))
    if 1 < len(large) <= MOST_MIXED:
        yield from _exchange_all(large)


def _exchange_all(groups: Sequence[Sequence[str]]) -> Iterator[Mapping[str, str]]:
    """Yield permutations inside all groups at once."""
    if not groups:
        yield {}
        return
    for order in permutations(groups[0]):
        for rest in _exchange_all(groups[1:]):
            yield {**dict(zip(groups[0], order, strict=True)), **rest}
