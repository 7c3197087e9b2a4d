"""Searches a map of parameters: tries maps until the outputs of both models agree."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import process_time

from harness.layouts.layout import Layout
from harness.layouts.parts import Part, Parts
from harness.mapping.fallback import count_maps, describe_tried, map_in_order, refuse, refuse_zeros
from harness.mapping.mapping import ParameterMap, describe_parts
from harness.mapping.otherwise import describe_clashes, describe_layout
from harness.mapping.pair import Pair, list_left, make_assumed
from harness.mapping.proposals import MOST, Proposal, Proposals
from harness.mapping.trying import NEAR
from harness.plausible.contradictions import (
    count_exchanged,
    count_mixed,
    list_contradictions,
    put_in_order,
)
from harness.waiting.progress import patient, report

SECONDS = 20.0  # of CPU time, for all of them
SECONDS_AFTER = 1.0  # once a map is known that only contradicts names
SECONDS_PLAUSIBLE = 2.0  # once a map is known that follows names and the order of declaration
TRIES_PLAUSIBLE = 40  # and at least the time that so many maps take
MOST_ALIKE = 24  # equally plausible maps: the one by which most numbers inside agree is taken
NEAREST = "the outputs differ least"
LIKELIEST = "names and the order of declaration speak for it"
WRITE = "parameters={...}"
INSIDE = f"{LIKELIEST}, and most numbers inside the models agree"


@dataclass(frozen=True, eq=False)
class Candidate:
    """A map that does not make the outputs agree.

    `rank` says how implausible it is. It counts parameters that are 0, or of the wrong kind; names
    that it contradicts; and pairs against the order of declaration. `unknown` says that no name
    tells its layout.
    """

    mapping: ParameterMap
    rank: tuple[float, ...]
    unknown: bool


class Search:
    """Tries maps until the outputs of both models agree."""

    def __init__(self, pair: Pair, words: Parts, named: Parts) -> None:
        self.pair, self.words, self.named = pair, words, named
        self.best: tuple[float, ParameterMap] | None = None
        self.likeliest: list[Candidate] = []
        self.began = process_time()
        self.against_names = ""
        self.seen: set[str] = set()
        self.until = self.began + SECONDS
        self.listen = patient(report)

    def find(self) -> ParameterMap:
        """Return the first map with which the outputs of both models agree, else the map with the
        nearest outputs, else a map by names.

        Raises WrongMap if there is none of these, and if all data are 0.
        """
        if not self.pair.trier.has_data:
            raise refuse_zeros(self.pair)
        proposals = Proposals(self.pair, self.words, self.named, self._is_over, self._say)
        for proposal in proposals.list_all():
            if self._is_over():
                break
            mapping = self._try(proposal)
            if mapping is not None:
                return mapping
        return replace(self._fall_back(), against_names=self.against_names)

    def _try(self, proposal: Proposal) -> ParameterMap | None:
        """Return the map of a proposal if it makes the outputs agree and contradicts no name."""
        mapping = make_assumed(self.pair, self.words, proposal.keep, proposal.parts)
        if proposal.parts:
            key = describe_parts(mapping.parts or {}, 10_000)
            if key in self.seen:
                return None
            self.seen.add(key)
        difference = self.pair.trier.measure(mapping)
        parts, layout = dict(mapping.parts or {}), proposal.layout
        clashes = list_contradictions(parts, self.named, self.pair.theirs)
        laid_out = layout is not None and (not layout.assumed or layout.list_clashes(parts))
        unmapped = self._count_unmapped(mapping)
        if max(difference, unmapped) < math.inf and (layout is None or not laid_out):
            self._keep_likely(mapping, (unmapped, *self._rank(parts, len(clashes))), layout)
        agrees = difference <= self.pair.trier.agree
        if clashes or laid_out:
            if agrees and not self.against_names:
                self._note_otherwise(proposal, clashes, parts)
            return None
        if self.best is None or difference < self.best[0]:
            self.best = difference, mapping
        if not agrees:
            return None
        said = layout.describe(self.pair.name, self.pair.name_theirs) if layout else ""
        return self._compare_with_order(mapping, said)

    def _note_otherwise(self, proposal: Proposal, clashes: Sequence[str], parts: Parts) -> None:
        """Note a map that makes the outputs agree against names; others are searched a little."""
        self.until = min(self.until, process_time() + SECONDS_AFTER)
        if proposal.layout is not None:
            given = proposal.layout, parts, self.named, clashes
            self.against_names = describe_layout(self.pair, *given)
        else:
            self.against_names = describe_clashes(self.pair, clashes, parts, self.named)

    def _say(self, said: str) -> None:
        """Report the maps that are tried now, if the search takes long."""
        pair = self.pair
        self.listen(
            f"{pair.name} = {pair.name_theirs}: {count_maps(len(self.seen))} tried, now {said}"
        )

    def _keep_likely(
        self, mapping: ParameterMap, rank: tuple[float, ...], layout: Layout | None = None
    ) -> None:
        """Keep a map if none is more plausible. If it contradicts nothing, the search ends soon."""
        if self.likeliest and rank > self.likeliest[0].rank:
            return
        if self.likeliest and rank < self.likeliest[0].rank:
            self.likeliest = []
        if len(self.likeliest) < MOST_ALIKE:
            named = layout is not None and layout.named
            self.likeliest.append(Candidate(mapping, rank, not named))
        if not any(rank):
            now = process_time()
            a_try = (now - self.began) / max(len(self.seen), 1)
            more = max(SECONDS_PLAUSIBLE, TRIES_PLAUSIBLE * a_try)
            self.until = min(self.until, now + more)

    def _is_over(self) -> bool:
        """Has the search tried enough maps, or taken enough time?"""
        return len(self.seen) >= MOST or process_time() > self.until

    def _rank(self, parts: Parts, contradictions: int) -> tuple[float, ...]:
        """Return how implausible a map is: by kinds and names, then by the order of declaration."""
        ours, theirs = list(self.pair.ours.parameters.items()), list(self.pair.theirs.parameters)
        return count_mixed(parts), contradictions, count_exchanged(parts, ours, theirs)

    def _compare_with_order(self, mapping: ParameterMap, said: str) -> ParameterMap:
        """Return a map that makes the outputs agree, with a remark on its layout (`said`), and one
        if the map in the order of declaration does not.
        """
        parts = mapping.parts or {}
        in_order = self._map_in_order() or self._put_in_order(mapping)
        others: dict[str, Part] = {
            name: part
            for name, part in (in_order.parts or {}).items()
            if name not in parts or part.text != parts[name].text
        }
        if not others or self.pair.trier.measure(in_order) <= self.pair.trier.agree:
            return replace(mapping, remark=said)
        remark = f"in the order of declaration ({describe_parts(others, 3)}) the outputs differ"
        return replace(mapping, remark="; ".join(filter(None, [said, remark])))

    def _put_in_order(self, mapping: ParameterMap) -> ParameterMap:
        """Return a map with joined tensors in the order in which they are declared."""
        parts, theirs = mapping.parts or {}, list(self.pair.theirs.parameters)
        ordered = {
            name: part if name in self.words else put_in_order(part, theirs)
            for name, part in parts.items()
            if part.sources
        }
        return make_assumed(self.pair, self.words, {}, {**parts, **ordered})

    def _count_unmapped(self, mapping: ParameterMap) -> float:
        """Return how many of the subject's parameters are 0 by a map that was found by trying;
        infinity if it leaves other parameters of either side out.
        """
        unmapped = {*mapping.as_built, *mapping.unused}
        lost = unmapped & {*self.pair.ours.parameters, *self.pair.theirs.parameters}
        zero = {name for name in mapping.as_built if name in (mapping.parts or {})}
        return len(lost) if mapping.assumed and lost <= zero else math.inf

    def _map_in_order(self) -> ParameterMap | None:
        return map_in_order(self.pair, self.words, self.named)

    def _fall_back(self) -> ParameterMap:
        """Return the map with the nearest outputs, or the map by names; used if no map makes the
        outputs agree.
        """
        if self.best is not None and self.best[0] < NEAR:
            return self._explain(self.best[1], NEAREST)
        in_order = self._map_in_order()
        if in_order is not None:
            rank = self._rank(dict(in_order.parts or {}), 0)
            self._keep_likely(in_order, (self._count_unmapped(in_order), *rank))
        rest, rest_theirs = list_left(self.pair, {**self.words, **self.named})
        by_name = (self.named or self.words) and not (rest and rest_theirs)
        if in_order is None and by_name:
            return make_assumed(self.pair, self.words, {**self.words, **self.named}, {})
        if self.likeliest:
            return self._take_likeliest()
        raise refuse(self.pair, len(self.seen), self.against_names, self._is_over())

    def _take_likeliest(self) -> ParameterMap:
        """Return the most plausible map; of several, one in a layout that names tell, then the one
        with which most numbers inside the models agree.
        """
        named = [one for one in self.likeliest if not one.unknown] or self.likeliest
        if len(named) == 1:
            return self._explain(named[0].mapping, LIKELIEST)
        counts = [self.pair.trier.count_inside(one.mapping) for one in named]
        why = INSIDE if min(counts) < max(counts) else LIKELIEST
        return self._explain(named[counts.index(max(counts))].mapping, why)

    def _explain(self, mapping: ParameterMap, why: str) -> ParameterMap:
        """Return a map with the reason why it is taken, though the outputs differ."""
        tried = describe_tried(len(self.seen), bool(self.against_names))
        said = f"{tried}; this one was taken since {why}; if another is meant, write {WRITE}"
        return replace(mapping, fallback=said)
