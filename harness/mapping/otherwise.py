"""Says with what other map, against names, the outputs would agree, and the line that means it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from time import process_time

from harness.layouts.all import list_layouts
from harness.layouts.layout import Layout
from harness.layouts.parts import Part, Parts, whole
from harness.mapping.mapping import ParameterMap
from harness.mapping.pair import Pair, make_map
from harness.text.python import quoted

SECONDS = 5.0  # of CPU time, for a hint
MOST_WRITTEN = 16  # expressions in a sentence


def describe_clashes(pair: Pair, clashes: Sequence[str], parts: Parts, named: Parts) -> str:
    """Return the sentence on a map (`parts`) that contradicts names in `clashes`."""
    return (
        f"{pair.name} exchanges tensors against their names: with {', '.join(clashes)} the outputs"
        f" agree; {_advise(parts, named)}"
    )


def describe_layout(pair: Pair, layout: Layout, parts: Parts, named: Parts) -> str:
    """Return the sentence on a map (`parts`) in a layout that may not be assumed."""
    said = layout.describe(pair.name, pair.name_theirs)
    return f"the outputs agree if {said}; {_advise(parts, named)}"


def hint_at_layout(pair: Pair, mapping: ParameterMap, named: Parts) -> ParameterMap:
    """Return the map by names, with a sentence on another layout if the outputs agree only with
    that.
    """
    both = [list(side.parameters.items()) for side in (pair.theirs, pair.ours)]
    layouts = list(list_layouts(*both))
    if not layouts or pair.trier.measure(mapping) <= pair.trier.agree:
        return mapping
    until = process_time() + SECONDS
    for layout in layouts:
        parts = layout.apply(named)
        other = make_map(pair, {}, parts, "")
        if pair.trier.measure(other) <= pair.trier.agree:
            return replace(mapping, against_names=describe_layout(pair, layout, parts, named))
        if process_time() > until:
            break
    return mapping


def _advise(parts: Parts, named: Parts) -> str:
    """Return the line that says that a map is meant: the argument `parameters` for the expressions
    that are not found by name.
    """
    items = [
        f"{quoted(name)}: {_write(part)}"
        for name, part in parts.items()
        if name not in named or part.text != named[name].text
    ]
    if len(items) > MOST_WRITTEN:
        return "if it is meant, say so with parameters="
    return f"if it is meant, write parameters={{{', '.join(items)}}}"


def _write(part: Part) -> str:
    """Return an expression as a value of the dict: a name, a number, or a function of all."""
    if len(part.sources) == 1 and part.code == whole(part.sources[0]).code:
        return quoted(part.sources[0])
    return f"lambda s: {part.code}" if part.sources else "0.0"
