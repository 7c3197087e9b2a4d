"""Pairs whole layers of two models, by the shapes of their tensors and the order of declaration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from harness.evaluating.state import Shape
from harness.layouts.forms import list_forms
from harness.layouts.parts import Named, Parts
from harness.layouts.roles import order_by_roles
from harness.plausible.clashes import name_kind, read_numbers

Layer = list[Named]


def pair_layers(theirs: Sequence[Named], ours: Sequence[Named], turned: bool = False) -> Parts:
    """Return expressions for the subject's tensors (`ours`) in layers that the reference has as
    often, with the same shapes; others are left out.

    Layers of equal shapes are paired before those with transposed tensors. `turned` says that
    square matrices are transposed.
    """
    parts: Parts = {}
    left, left_theirs = _list_layers(ours), _list_layers(theirs)
    for measure in (tuple, _sort_shape):
        mine, others = _group(left, measure), _group(left_theirs, measure)
        for shapes, layers in mine.items():
            sources = others.get(shapes, [])
            if len(sources) != len(layers):
                continue
            found = [_pair(*both, turned) for both in zip(layers, sources, strict=True)]
            if all(found):
                for each in found:
                    parts |= each
                left = [layer for layer in left if layer not in layers]
                left_theirs = [layer for layer in left_theirs if layer not in sources]
    return parts


def name_layers(tensors: Sequence[Named]) -> dict[str, Any]:
    """Return, by the name of each tensor, its kind, its shape, and the shapes in its layer: tensors
    with the same may be exchanged.
    """
    return {
        name: (name_kind(name), shape, tuple(sorted(each for _, each in layer)))
        for layer in _list_layers(tensors)
        for name, shape in layer
    }


def _list_layers(tensors: Sequence[Named]) -> list[Layer]:
    """Return tensors in groups of one owner, or of one number where names are as "W1" and "b1"."""
    layers: dict[tuple[str, str], Layer] = {}
    for name, shape in order_by_roles(tensors):
        owner, _, leaf = name.rpartition(".")
        layers.setdefault((owner, read_numbers(leaf)), []).append((name, shape))
    return list(layers.values())


def _group(layers: Sequence[Layer], measure: Callable[[Shape], Shape]) -> dict[Any, list[Layer]]:
    groups: dict[Any, list[Layer]] = {}
    for layer in layers:
        key = tuple(sorted((name_kind(name) == "bias", measure(shape)) for name, shape in layer))
        groups.setdefault(key, []).append(layer)
    return groups


def _sort_shape(shape: Shape) -> Shape:
    return tuple(sorted(shape))


def _pair(layer: Layer, source: Layer, turned: bool) -> Parts:
    """Return expressions for all tensors of a layer; none if one has no form."""
    parts: Parts = {}
    both = (sorted(each, key=_sort_tensor) for each in (layer, source))
    for (name, wanted), (theirs, shape) in zip(*both, strict=True):
        part = next(list_forms(theirs, shape, wanted, turned), None)
        if part is None:
            return {}
        parts[name] = part
    return parts


def _sort_tensor(tensor: Named) -> tuple[bool, Shape]:
    name, shape = tensor
    return name_kind(name) == "bias", _sort_shape(shape)
