"""Searches a map of parameters: tries maps until the outputs of both models agree."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from time import process_time

from harness.layouts.parts import Parts
from harness.mapping.fallback import count_maps, describe_tried, map_in_order, refuse
from harness.mapping.mapping import ParameterMap, describe_parts
from harness.mapping.otherwise import describe_clashes, describe_layout
from harness.mapping.pair import Pair, list_left, make_assumed
from harness.mapping.plausible import count_exchanged, count_mixed, list_contradictions
from harness.mapping.proposals import MOST, Proposal, Proposals
from harness.mapping.trying import NEAR
from harness.waiting.progress import patient, report

SECONDS = 20.0  # of CPU time, for all of them
SECONDS_AFTER = 1.0  # once a map is known that only contradicts names
IN_ORDER = "the one in the order in which the parameters are declared"
LIKELIEST = "the likeliest one by the names of weights and biases, and by their order"


class Search:
    """Tries maps until the outputs of both models agree."""

    def __init__(self, pair: Pair, words: Parts, named: Parts) -> None:
        self.pair, self.words, self.named = pair, words, named
        self.best: tuple[float, ParameterMap] | None = None
        self.likeliest: tuple[tuple[float, ...], ParameterMap] | None = None
        self.against_names = ""
        self.seen: set[str] = set()
        self.until = process_time() + SECONDS
        self.listen = patient(report)

    def find(self) -> ParameterMap:
        """Return the first map with which the outputs of both models agree, else the map with the
        nearest outputs, else a map by names.

        Raises WrongMap if there is none of these.
        """
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
        if max(difference, unmapped) < math.inf and layout is None:
            rank = self._rank(parts, len(clashes), difference)
            self._keep_likeliest(mapping, (unmapped, *rank))
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

    def _compare_with_order(self, mapping: ParameterMap, said: str) -> ParameterMap:
        """Return a map that makes the outputs agree, with a remark on its layout (`said`), and one
        if the map in the order of declaration does not.
        """
        in_order, parts = self._map_in_order(), mapping.parts or {}
        others: Parts = {}
        if in_order is not None:
            others = {
                name: part
                for name, part in (in_order.parts or {}).items()
                if name not in parts or part.text != parts[name].text
            }
        if (
            in_order is None
            or not others
            or self.pair.trier.measure(in_order) <= (self.pair.trier.agree)
        ):
            return replace(mapping, remark=said)
        remark = f"in the order of declaration ({describe_parts(others, 3)}) the outputs differ"
        return replace(mapping, remark="; ".join(filter(None, [said, remark])))

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
        tried = f"{describe_tried(len(self.seen), bool(self.against_names))}; this is"
        if self.best is not None and self.best[0] < NEAR:
            return replace(self.best[1], fallback=f"{tried} the nearest")
        in_order = self._map_in_order()
        if in_order is not None:
            return replace(in_order, fallback=f"{tried} {IN_ORDER}")
        rest, rest_theirs = list_left(self.pair, {**self.words, **self.named})
        if (self.named or self.words) and not (rest and rest_theirs):
            return make_assumed(self.pair, self.words, {**self.words, **self.named}, {})
        if self.likeliest is not None:
            return replace(self.likeliest[1], fallback=f"{tried} {LIKELIEST}")
        raise refuse(self.pair, len(self.seen), self.against_names, self._is_over())
