"""Proposes maps of parameters, the most plausible first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from harness.layouts.all import list_layouts
from harness.layouts.layout import Layout
from harness.layouts.parts import Named, Parts, list_sources
from harness.layouts.roles import order_by_roles
from harness.mapping.aligning import Rules, align
from harness.mapping.orders import Exchange, list_orders
from harness.mapping.pair import Pair, list_all_left, list_left
from harness.plausible.owners import pair_layers

MOST = 3_000  # maps that are tried
SEARCHES = {
    Rules(): "joints, cuts and stacks",
    Rules(turned=True): "transposes",
    Rules(last=True): "kernels with the outputs last",
    Rules(turned=True, last=True): "transposes and kernels with the outputs last",
    Rules(as_built=1): "one tensor without a source",
    Rules(as_built=2): "two tensors without a source",
    Rules(unused=1): "one tensor unused",
}
EXCHANGED: dict[Exchange, str] = {
    "nothing": "",
    "roles": ", and roles exchanged",
    "all": ", and tensors exchanged",
}
PLAIN = (Rules(), Rules(turned=True), Rules(as_built=1), Rules(as_built=2))  # before layouts
MOST_IN_LAYERS = 12  # maps that pair whole layers
MOST_AT_FIRST = 8  # maps in the order of tensors, before layouts of some are tried
MOST_LAID_OUT = 2  # maps of each kind that are combined with layouts at first
MOST_MORE = 20  # and later


@dataclass(frozen=True, eq=False)
class Proposal:
    """A map that may be tried: expressions by names that are kept (`keep`), and the others
    (`parts`). `layout` is the layout of some tensors, if it is not the usual one.
    """

    keep: Parts
    parts: Parts
    layout: Layout | None = None


class Proposals:
    """Lists the maps for two models.

    `words` are the user's expressions, `named` those by equal names. `is_over` says that there is
    no more time, or that enough maps were tried, and `say` gets progress messages.
    """

    def __init__(
        self,
        pair: Pair,
        words: Parts,
        named: Parts,
        is_over: Callable[[], bool],
        say: Callable[[str], None],
    ) -> None:
        self.pair, self.words, self.named = pair, words, named
        self.is_over, self.say = is_over, say

    def list_all(self) -> Iterator[Proposal]:
        """Yield maps that keep the assignments by equal names, then maps that do not.

        Tensors keep their order at first: there are many other orders of many equal shapes, and
        none is of use if the shapes do not fit. Layouts come before them.
        """
        yield Proposal({**self.words, **self.named}, {})
        yield from self._list_layers()
        in_order = self._list_orders("nothing")
        yield from islice(in_order, MOST_AT_FIRST)
        yield from self._list_laid_out(assumed=True, most=MOST_LAID_OUT)
        yield from islice(in_order, MOST // 4)
        yield from self._list_laid_out(assumed=True, most=MOST_MORE)
        yield from self._list_orders("roles")
        yield from self._list_laid_out(assumed=False, most=MOST_LAID_OUT)
        yield from in_order
        yield from self._list_orders("all")

    def _list_rests(self) -> Iterator[tuple[Parts, list[Named], list[Named]]]:
        """Yield expressions that are kept, with the tensors that are left on both sides."""
        fixed = {**self.words, **self.named}
        for keep in [fixed, self.words] if self.named else [self.words]:
            for list_rest in (list_left, list_all_left):
                yield keep, *list_rest(self.pair, keep)

    def _list_layers(self) -> Iterator[Proposal]:
        """Yield maps that pair whole layers of the same shapes, and join or cut other tensors."""
        for keep, rest, rest_theirs in self._list_rests():
            for turned in (False, True):
                parts = pair_layers(rest_theirs, rest, turned)
                used = list_sources(list(parts.values()))
                left = [one for one in rest if one[0] not in parts]
                left_theirs = [one for one in rest_theirs if one[0] not in used]
                if not parts:
                    continue
                rules = [Rules(turned=turned)]
                more = self._list_alignments(left, left_theirs, "nothing", rules)
                for each in islice(more, MOST_IN_LAYERS):
                    yield Proposal(keep, {**parts, **each})

    def _list_orders(self, exchange: Exchange) -> Iterator[Proposal]:
        for keep, rest, rest_theirs in self._list_rests():
            for parts in self._list_alignments(rest, rest_theirs, exchange):
                yield Proposal(keep, parts)

    def _list_laid_out(self, assumed: bool, most: int) -> Iterator[Proposal]:
        """Yield `most` maps of each kind, each in the usual layout first, and then in all others
        that may be assumed, or may not.
        """
        pair = self.pair
        for keep, rest, rest_theirs in self._list_rests():
            layouts = list_layouts(rest_theirs, rest)
            fitting = [each for each in layouts if each.assumed is assumed]
            for rules in PLAIN if fitting else ():
                alignments = self._list_alignments(rest, rest_theirs, "nothing", [rules])
                for parts in islice(alignments, most):
                    yield Proposal(keep, parts)
                    for layout in fitting:
                        self.say(layout.describe(pair.name, pair.name_theirs))
                        yield Proposal(keep, layout.apply(parts), layout)

    def _list_alignments(
        self,
        rest: Sequence[Named],
        rest_theirs: Sequence[Named],
        exchange: Exchange,
        searches: Sequence[Rules] = tuple(SEARCHES),
    ) -> Iterator[Parts]:
        """Yield expressions that make the subject's remaining tensors (`rest`) from the reference's
        (`rest_theirs`), the most plausible first, until the time of the search is over.

        `exchange` says which tensors of equal shapes may be exchanged.
        """
        in_use = sorted(rest, key=lambda one: _place(one[0], self.pair.used))
        ours = [list(rest)]
        ours += [order for order in (in_use, order_by_roles(rest)) if order != ours[0]]
        has_kernels = any(len(shape) > 2 for _, shape in [*rest, *rest_theirs])
        for rules in searches:
            if rules.last and not has_kernels:
                continue
            said = SEARCHES[rules] + EXCHANGED[exchange]
            for theirs in list_orders(rest_theirs, self.pair.used_theirs, exchange):
                self.say(said)
                for mine in ours:
                    yield from align(theirs, mine, rules, self.is_over)
                if self.is_over():
                    return


def _place(name: str, used: Sequence[str]) -> int:
    return used.index(name) if name in used else len(used)
