"""Finds the map from the reference's parameters to the subject's: as the user states, by name, or
by trying.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from time import process_time
from typing import Any

from harness.evaluating.state import Shape, Tensors
from harness.layouts.parts import Named, Parts, list_sources
from harness.mapping.aligning import Rules, align
from harness.mapping.converter import WrongMap, map_by_function
from harness.mapping.mapping import (
    KEPT,
    ParameterMap,
    describe_parts,
    make_of_parts,
    write_parts,
)
from harness.mapping.named import find_buffers, find_by_name
from harness.mapping.orders import list_orders
from harness.mapping.plausible import count_exchanged, count_mixed, list_contradictions
from harness.mapping.trying import NEAR, Trier
from harness.mapping.words import read_words
from harness.text.harmless import shown

MOST = 3_000  # maps that are tried
SECONDS = 20.0  # of CPU time, for all of them
AS_BUILT = "as built"  # what a user says so that both models keep their own numbers
BY_NAME = "by name and shape"
NONE_AGREES = (
    "maps were tried, and none makes the outputs agree; this is the one in the order in which the"
    " parameters are declared"
)
LIKELIEST = (
    "maps were tried, and none makes the outputs agree; this is the likeliest one by the names of"
    " weights and biases, and by their order"
)
SEARCHES = (
    Rules(),
    Rules(turned=True),
    Rules(as_built=1),
    Rules(as_built=2),
    Rules(unused=1),
)


@dataclass(frozen=True, eq=False)
class Pair:
    """Two models whose parameters are to be mapped. Fields ending in `theirs` are the reference's,
    the others the subject's.

    `acting` and `acting_theirs` name the parameters that influence some output. `used` and
    `used_theirs` name parameters in the order of their first use. `trier` measures how well a map
    makes the outputs of both models agree. `name` and `name_theirs` are the names of the models.
    """

    ours: Tensors
    theirs: Tensors
    trier: Trier
    acting: Sequence[str]
    acting_theirs: Sequence[str]
    used: Sequence[str]
    used_theirs: Sequence[str]
    name: str
    name_theirs: str


def find_map(pair: Pair, said: Any) -> ParameterMap:
    """Return the map from the reference's tensors to the subject's.

    `said` is the user's argument `parameters`: None, a dict from names to expressions such as
    "net.0.weight.T", a function of the reference's tensors, or "as built". Raises WrongMap, with a
    sentence, if it does not fit, or if no map is found.
    """
    if callable(said):
        return map_by_function(said, pair.ours, pair.theirs)
    if isinstance(said, str) and said == AS_BUILT:
        return ParameterMap(
            lambda state: {},
            KEPT,
            differentiable=False,
        )
    if said is not None and not isinstance(said, Mapping):
        raise WrongMap(
            f"parameters is {shown(said, 40)}, expected a dict of names, a function of the"
            f" reference's tensors, or {AS_BUILT!r}"
        )
    words = read_words(said, pair.ours, pair.theirs) if said else {}
    named = find_by_name(pair.ours, pair.theirs, words)
    rest, rest_theirs = _list_left(pair, {**words, **named})
    if not rest and (words or not rest_theirs):
        return make_map(pair, words, {**words, **named}, _describe(words, named))
    return _Search(pair, words, named).find()


def _describe(words: Parts, named: Parts) -> str:
    if not words:
        return BY_NAME
    return f"as you say, the rest {BY_NAME}" if named else "as you say"


def _list_all_left(pair: Pair, parts: Parts) -> tuple[list[Named], list[Named]]:
    """Return the subject's parameters that `parts` does not compute, and the reference's parameters
    that `parts` does not use.
    """
    used = list_sources(list(parts.values()))
    rest = [one for one in pair.ours.parameters.items() if one[0] not in parts]
    return rest, [one for one in pair.theirs.parameters.items() if one[0] not in used]


def _list_left(pair: Pair, parts: Parts) -> tuple[list[Named], list[Named]]:
    """Return the same two lists as `_list_all_left`, but only the parameters that influence an
    output.
    """
    rest, rest_theirs = _list_all_left(pair, parts)
    return (
        [one for one in rest if one[0] in pair.acting],
        [one for one in rest_theirs if one[0] in pair.acting_theirs],
    )


def make_map(
    pair: Pair, words: Parts, parts: Parts, text: str, assumed: bool = False
) -> ParameterMap:
    """Return the map that consists of the expressions `parts`. Buffers without an expression are
    found by their names.

    `words` are the expressions that the user gave. `text` describes the map in a sentence.
    `assumed` says that it was found by trying.
    """
    parts = {**parts, **find_buffers(pair.ours, pair.theirs, parts)}
    used = list_sources(list(parts.values()))
    constants = [name for name, part in words.items() if not part.sources]
    return ParameterMap(
        make_of_parts(parts),
        text,
        write_parts(parts),
        assumed,
        parts,
        as_built=tuple(
            name
            for name in pair.ours.all
            if name not in parts or (not parts[name].sources and name not in words)
        ),
        constants=tuple(constants),
        unused=tuple(name for name in pair.theirs.all if name not in used),
    )


class _Search:
    """Tries maps until the outputs of both models agree."""

    def __init__(self, pair: Pair, words: Parts, named: Parts) -> None:
        self.pair, self.words, self.named = pair, words, named
        self.best: tuple[float, ParameterMap] | None = None
        self.likeliest: tuple[tuple[float, ...], ParameterMap] | None = None
        self.against_names = ""
        self.seen: set[str] = set()
        self.until = process_time() + SECONDS
        self.ended = ""

    def find(self) -> ParameterMap:
        """Return the first map with which the outputs of both models agree, else the map with the
        nearest outputs, else a map by names.

        Raises WrongMap if there is none of these.
        """
        for mapping in self._list_maps():
            if self._is_over():
                break
            difference = self.pair.trier.measure(mapping)
            parts = dict(mapping.parts or {})
            contradictions = list_contradictions(parts, self.named, self.pair.theirs)
            if difference < float("inf") and self._is_whole(mapping):
                self._keep_likeliest(mapping, self._rank(parts, len(contradictions), difference))
            if contradictions:
                if difference <= self.pair.trier.agree:
                    self.against_names = self.against_names or ", ".join(contradictions)
                continue
            if self.best is None or difference < self.best[0]:
                self.best = difference, mapping
            if difference <= self.pair.trier.agree:
                return self._compare_with_order(mapping)
        if self._is_over():
            self.ended = f"the search ended after {len(self.seen)} maps"
        mapping = self._fall_back()
        remark = mapping.remark
        if self.against_names:
            remark = remark.replace("none makes", "none that follows the names makes")
        return replace(mapping, remark=remark, against_names=self.against_names)

    def _keep_likeliest(self, mapping: ParameterMap, rank: tuple[float, ...]) -> None:
        if self.likeliest is None or rank < self.likeliest[0]:
            self.likeliest = rank, mapping

    def _is_over(self) -> bool:
        """Has the search tried enough maps, or taken enough time?"""
        return len(self.seen) >= MOST or process_time() > self.until

    def _rank(self, parts: Parts, contradictions: int, difference: float) -> tuple[float, ...]:
        """Return how implausible a map is that does not make the outputs agree: by kinds and names,
        then by the order of declaration, then by the outputs.
        """
        order = list(self.pair.ours.parameters), list(self.pair.theirs.parameters)
        return count_mixed(parts), contradictions, count_exchanged(parts, *order), difference

    def _compare_with_order(self, mapping: ParameterMap) -> ParameterMap:
        """Return a map that makes the outputs agree, with a remark if the map in the order of
        declaration does not.
        """
        in_order, parts = self._map_in_order(), mapping.parts or {}
        if in_order is None:
            return mapping
        others = {
            name: part
            for name, part in (in_order.parts or {}).items()
            if name not in parts or part.text != parts[name].text
        }
        if not others or self.pair.trier.measure(in_order) <= self.pair.trier.agree:
            return mapping
        remark = f"in the order of declaration ({describe_parts(others, 3)}) the outputs differ"
        return replace(mapping, remark=remark)

    def _is_whole(self, mapping: ParameterMap) -> bool:
        """Was a map found by trying, and does it include all parameters of both sides?"""
        unmapped = {*mapping.as_built, *mapping.unused}
        named = {*self.pair.ours.parameters, *self.pair.theirs.parameters}
        return mapping.assumed and not unmapped & named

    def _list_maps(self) -> Iterator[ParameterMap]:
        """Yield maps that keep the assignments by equal names, then maps that do not.

        Tensors keep their order at first: there are many other orders of many equal shapes, and
        none is of use if the shapes do not fit.
        """
        fixed = {**self.words, **self.named}
        yield self._as_map(fixed, {})
        for exchange in (False, True):
            for keep in [fixed, self.words] if self.named else [self.words]:
                for rest in (_list_left(self.pair, keep), _list_all_left(self.pair, keep)):
                    for parts in self._list_alignments(*rest, exchange):
                        key = describe_parts({**keep, **parts}, 10_000)
                        if key not in self.seen:
                            self.seen.add(key)
                            yield self._as_map(keep, parts)

    def _list_alignments(
        self, rest: Sequence[Named], rest_theirs: Sequence[Named], exchange: bool
    ) -> Iterator[Parts]:
        """Yield expressions that make the subject's remaining tensors (`rest`) from the reference's
        (`rest_theirs`), the most plausible first, until the time of the search is over.

        `exchange` says that tensors of equal shapes may be exchanged.
        """
        in_use = sorted(rest, key=lambda one: _place(one[0], self.pair.used))
        ours = [list(rest)]
        if in_use != list(rest):
            ours.append(in_use)
        for rules in SEARCHES:
            for theirs in list_orders(rest_theirs, self.pair.used_theirs, exchange):
                for mine in ours:
                    yield from align(theirs, mine, rules)
                if self._is_over():
                    return

    def _as_map(self, keep: Parts, parts: Parts) -> ParameterMap:
        names = {**keep, **parts}
        text_of_parts = describe_parts(
            {name: each for name, each in names.items() if name not in self.words}
        )
        text = f"assumed: {text_of_parts}" if text_of_parts else BY_NAME
        if self.words:
            text = f"as you say; {text}"
        return make_map(self.pair, self.words, names, text, assumed=bool(parts))

    def _fall_back(self) -> ParameterMap:
        """Return the map with the nearest outputs, or the map by names; used if no map makes the
        outputs agree.
        """
        count = len(self.seen)
        if self.best is not None and self.best[0] < NEAR:
            remark = f"of {count} maps that were tried none makes the outputs agree; this is the"
            return replace(self.best[1], remark=f"{remark} nearest")
        in_order = self._map_in_order()
        if in_order is not None:
            return replace(in_order, remark=f"{count} {NONE_AGREES}")
        rest, rest_theirs = _list_left(self.pair, {**self.words, **self.named})
        if (self.named or self.words) and not (rest and rest_theirs):
            return self._as_map({**self.words, **self.named}, {})
        if self.likeliest is not None:
            return replace(self.likeliest[1], remark=f"{count} {LIKELIEST}")
        raise WrongMap(self._explain(count))

    def _map_in_order(self) -> ParameterMap | None:
        """Return the map in the order of registration, if all shapes agree and no name contradicts
        it; names that agree come first.
        """
        for keep in ({**self.words, **self.named}, self.words):
            rest, rest_theirs = _list_all_left(self.pair, keep)
            if not rest or [shape for _, shape in rest] != [shape for _, shape in rest_theirs]:
                continue
            for parts in islice(align(rest_theirs, rest, Rules()), 1):
                if not list_contradictions(parts, self.named, self.pair.theirs):
                    return self._as_map(keep, parts)
        return None

    def _explain(self, count: int) -> str:
        """Return a sentence on the `count` attempts, the tensors of both models, and the line for
        the user to write.
        """
        pair = self.pair
        tried = f"none of {count} maps that were tried makes the outputs agree"
        if not count:
            tried = "no joints, stacks, cuts, sums or transposes of their shapes fit"
        if self.ended:
            tried += f" ({self.ended}, and there are more)"
        first = next(iter(pair.ours.parameters))
        source = next(iter(pair.theirs.parameters), "weight")
        return (
            f"how the parameters of {pair.name} follow from those of {pair.name_theirs} is not"
            f" clear: {tried}. {pair.name} has {list_shapes(pair.ours.all)};"
            f" {pair.name_theirs} has {list_shapes(pair.theirs.all)}. Write"
            f' parameters=lambda s: {{"{first}": s["{source}"], ...}}'
        )


def list_shapes(shapes: Mapping[str, Shape]) -> str:
    """Return names with shapes as text."""
    return ", ".join(f"{name} {shape}" for name, shape in shapes.items()) or "none"


def _place(name: str, used: Sequence[str]) -> int:
    return used.index(name) if name in used else len(used)
