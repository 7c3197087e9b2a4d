"""Compares settings of the layers of two models: eps, momentum, slopes, kinds of activations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from harness.core.report import grouped
from harness.text.harmless import shown

PLAIN = (bool, int, float, str, tuple, type(None))  # types of settings
IGNORED = ("training", "in_features", "out_features")  # the mode, and shapes
UNSEEN = ("ceil_mode", "dropout", "max_norm", "momentum", "p", "padding_idx")
MOST = 3  # differences that are named

Layer = tuple[str, Any]


class Setting(NamedTuple):
    """A sentence on a setting that differs, and the name of the layer of the first module."""

    layer: str
    said: str


def compare_settings(mine: Any, theirs: Any, name: str, other: str) -> list[Setting]:
    """Return the settings, such as eps, in which the layers of the modules `mine` and `theirs`
    differ.

    Layers of one class are paired in the order in which they were registered, if both modules have
    the same number of them. `name` and `other` are the names of the models.
    """
    own, others = list_layers(mine), list_layers(theirs)
    found: list[Setting] = []
    for kind, layers in own.items():
        if len(layers) == len(others.get(kind, ())):
            for (place, layer), (there, counterpart) in zip(layers, others[kind], strict=True):
                for setting, value, theirs_is in _list_differences(layer, counterpart):
                    said = f"{setting} of {place} is {shown(value)}, of {there} in {other}"
                    found.append(Setting(place, f"{said} {shown(theirs_is)}"))
    found += _compare_kinds(own, others, name, other)
    return found[:MOST]


def list_unseen(mine: Any, theirs: Any, other: str) -> list[str]:
    """Return the settings that differ between the layers of two modules, in any order, among those
    without an effect on some data or in eval(). `other` is the name of the second model.
    """
    own, others = list_layers(mine), list_layers(theirs)
    found = []
    for kind, layers in own.items():
        for setting in UNSEEN:
            values = [
                Counter(shown(vars(layer)[setting]) for _, layer in each if setting in vars(layer))
                for each in (layers, others.get(kind, []))
            ]
            if values[0].total() == values[1].total() and values[0] != values[1]:
                here, there = (next(iter(a - b)) for a, b in (values, values[::-1]))
                found.append(f"{setting} of one {kind} is {here}, in {other} {there}")
    return found[:MOST]


def list_layers(module: Any) -> dict[str, list[Layer]]:
    """Return, by class, the layers of torch.nn in a module that contain no other layers."""
    layers = [
        (place or "the model", layer)
        for place, layer in module.named_modules()
        if type(layer).__module__.startswith("torch.nn.") and not any(layer.children())
    ]
    return grouped(layers, lambda each: type(each[1]).__name__)


def _list_differences(layer: Any, counterpart: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield the name and both values of each setting that differs."""
    for setting, value in vars(layer).items():
        theirs = vars(counterpart).get(setting, value)
        is_plain = isinstance(value, PLAIN) and isinstance(theirs, PLAIN)
        if setting.startswith("_") or setting in IGNORED or not is_plain:
            continue
        if value != theirs:
            yield setting, value, theirs


def _compare_kinds(
    own: dict[str, list[Layer]], others: dict[str, list[Layer]], name: str, other: str
) -> list[Setting]:
    """Return a sentence if one layer of the first module is of another class than in the second.

    `own` and `others` are the layers of both by class; `name` and `other` are the names of the
    models.
    """
    counts = Counter({kind: len(layers) for kind, layers in own.items()})
    theirs = Counter({kind: len(layers) for kind, layers in others.items()})
    only_own, only_theirs = counts - theirs, theirs - counts
    if not sum(only_own.values()) == sum(only_theirs.values()) == 1:
        return []
    (mine,), (there,) = only_own, only_theirs
    said = f"{name} has one {mine} more, and one {there} less, than {other}"
    return [Setting(place, said) for place, _ in own[mine][-1:]]
