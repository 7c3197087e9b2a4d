"""Describes a map against names with which the outputs would agree, and the line that says it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from time import process_time

from harness.layouts.all import list_layouts
from harness.layouts.layout import Layout
from harness.layouts.parts import Part, Parts, whole
from harness.layouts.roles import exchange_roles
from harness.mapping.mapping import ParameterMap
from harness.mapping.pair import Pair, make_map
from harness.text.python import quoted

SECONDS = 5.0  # of CPU time, for a hint
MOST_WRITTEN = 16  # expressions in a sentence


def describe_clashes(pair: Pair, clashes: Sequence[str], parts: Parts, named: Parts) -> str:
    """Return the sentence on a map (`parts`) that contradicts names in `clashes`."""
    return (
        f"{pair.name} exchanges tensors against their names: with {', '.join(clashes)} the outputs"
        f" agree; {_advise(pair, parts, named)}"
    )


def describe_layout(
    pair: Pair, layout: Layout, parts: Parts, named: Parts, clashes: Sequence[str] = ()
) -> str:
    """Return the sentence on a map (`parts`) in a layout that may not be assumed, or that
    contradicts names in `clashes`.
    """
    said = layout.describe(pair.name, pair.name_theirs)
    more = f", and with {', '.join(clashes)}" if clashes else ""
    return f"the outputs agree if {said}{more}; {_advise(pair, parts, named)}"


def hint_at_mistakes(pair: Pair, mapping: ParameterMap, named: Parts) -> ParameterMap:
    """Return the map by names, with a sentence on another one if the outputs agree only with that:
    numbers in another layout, or gates exchanged.
    """
    until = process_time() + SECONDS
    for number, (parts, said) in enumerate(_list_others(pair, named)):
        if not number and pair.trier.measure(mapping) <= pair.trier.agree:
            return mapping
        if pair.trier.measure(make_map(pair, {}, parts, "")) <= pair.trier.agree:
            return replace(mapping, against_names=said)
        if process_time() > until:
            break
    return mapping


def _list_others(pair: Pair, named: Parts) -> Iterator[tuple[Parts, str]]:
    """Yield maps that a mistake may follow in place of the names, each with a sentence on it."""
    for order in exchange_roles(list(named)):
        parts = {name: named[order.get(name, name)] for name in named}
        clashes = [f"{name} = {named[other].text}" for name, other in order.items()]
        moved = [one for one, name in zip(clashes, order, strict=True) if order[name] != name]
        yield parts, describe_clashes(pair, moved, parts, named)
    both = [list(side.parameters.items()) for side in (pair.theirs, pair.ours)]
    for layout in list_layouts(*both):
        parts = layout.apply(named)
        yield parts, describe_layout(pair, layout, parts, named)


def _advise(pair: Pair, parts: Parts, named: Parts) -> str:
    """Return the line that says that a map is meant: the argument `parameters` for the expressions
    that are not found by name.
    """
    items = [
        f"{quoted(name)}: {_write(part)}"
        for name, part in parts.items()
        if name in pair.ours.parameters and (name not in named or part.text != named[name].text)
    ]
    if len(items) > MOST_WRITTEN:
        return "if it is meant, say so with parameters="
    return f"if it is meant, write parameters={{{', '.join(items)}}}"


def _write(part: Part) -> str:
    """Return an expression as a value of the dict: a name, a number, or a function of all."""
    if len(part.sources) == 1 and part.code == whole(part.sources[0]).code:
        return quoted(part.sources[0])
    return f"lambda s: {part.code}" if part.sources else "0.0"
