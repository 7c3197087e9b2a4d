"""What a port was asked: as the report says it and, where the report says nothing, as a right port
met it itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from torch import Tensor

from harness.core import report
from tests.selfcheck.reaching.port import Change, Changes, State

Range = tuple[float, float]


@dataclass
class Asked:
    """What was asked of a port, so far as conditions speak of it.

    `biases` are the names of the biases, and `rows` are numbers of rows. `sizes` are, by site, the
    smallest size other than 0 and the largest; `gradients` those of what arrives on the way back.
    `largest` are, by block, the smallest and the largest that its largest number was. `zero` are
    the sites with a 0 somewhere, `all_zero` the blocks that were 0, and `no_bias` says whether all
    biases were at once. `long` are the sites with a number that float32 cannot hold. `layouts` are
    those of inputs, `back` pairs of a site and a layout of what arrives there, and `modes` those
    of calls.
    """

    biases: frozenset[str] = frozenset()
    rows: set[int] = field(default_factory=set)
    sizes: dict[str, Range] = field(default_factory=dict)
    gradients: dict[str, Range] = field(default_factory=dict)
    largest: dict[str, Range] = field(default_factory=dict)
    zero: set[str] = field(default_factory=set)
    all_zero: set[str] = field(default_factory=set)
    no_bias: bool = False
    long: set[str] = field(default_factory=set)
    layouts: set[str] = field(default_factory=set)
    back: set[tuple[str, str]] = field(default_factory=set)
    modes: set[str] = field(default_factory=set)

    def as_printed(self, printed: report.Asked | None) -> Asked:
        """Return this, with what the report prints in its place."""
        assert printed is not None
        sizes, gradients = dict(self.sizes), dict(self.gradients)
        largest, zero = dict(self.largest), self.zero - _given(self.zero)
        for site in sizes:
            name = self._name(site)
            if name not in printed.sizes:
                continue
            one = printed.sizes[name]
            sizes[site] = one.smallest, one.largest
            if site in largest:
                largest[site] = sizes[site]
            if one.zero:
                zero.add(site)
        if "gradients by the outputs" in printed.sizes:
            one = printed.sizes["gradients by the outputs"]
            gradients["o"] = one.smallest, one.largest
        layouts = {way.split()[0] for way in printed.ways if way.endswith(" inputs")}
        return replace(
            self,
            rows=set(printed.rows),
            sizes=sizes,
            zero=zero,
            gradients=gradients,
            largest=largest,
            layouts=self.layouts & layouts,
        )

    def _name(self, site: str) -> str:
        """Return what the report calls the numbers of a site."""
        names = {"x": "inputs", "o": "outputs", "t": "targets", "e": "errors"}
        if site in self.biases:
            return "biases"
        if site[0] == "z":
            return "arguments of activations"
        return names.get(site, "weights")

    def holds(self, other: Asked) -> bool:
        """Was all of the other asked here?"""
        if not other.rows <= self.rows or not other.all_zero <= self.all_zero:
            return False
        if other.no_bias and not self.no_bias:
            return False
        if not _given(other.zero) <= self.zero:
            return False
        for site, (low, high) in other.sizes.items():
            least, most = self.sizes.get(site, (np.inf, 0.0))
            if high > most or (low < least and site in _given(other.sizes)):
                return False
        return all(
            high <= self.gradients.get(site, (0.0, 0.0))[1]
            for site, (_, high) in other.gradients.items()
        )


def _given(sites: Sequence[str] | set[str] | dict[str, Range]) -> set[str]:
    """Return the sites whose numbers are given, not computed."""
    return {site for site in sites if site[0] not in "zoe"}


class Recorder:
    """Records what a right port is asked; `changes` are put into it."""

    def __init__(self, blocks: Sequence[str], biases: Sequence[str], sites: Sequence[str]) -> None:
        self.blocks, self.biases = list(blocks), frozenset(biases)
        self.asked = Asked(self.biases)
        every = [*blocks, *sites]
        there = {site: self._record(site) for site in every}
        back = {site: self._record_gradient(site) for site in every if site != "t"}
        self.changes = Changes(there, back)

    def _record(self, site: str) -> Change:
        def record(v: Tensor, state: State) -> Tensor:
            asked, now = self.asked, v.detach()
            _widen(asked.sizes, site, now)
            if bool((now == 0).any()):
                asked.zero.add(site)
            if bool((now.float().to(now.dtype) != now).any()):
                asked.long.add(site)
            if site in self.blocks:
                self._record_block(site, now)
            if site == "x":
                asked.rows.add(state.rows)
                asked.modes |= state.modes
                asked.layouts |= set(map(layout_of, state.given))
                asked.no_bias |= not any(bool(state.blocks[b].any()) for b in self.biases)
            return v

        return record

    def _record_block(self, site: str, now: Tensor) -> None:
        most = float(now.abs().max())
        if most == 0:
            self.asked.all_zero.add(site)
        else:
            low, high = self.asked.largest.get(site, (most, most))
            self.asked.largest[site] = min(low, most), max(high, most)

    def _record_gradient(self, site: str) -> Change:
        def record(g: Tensor, state: State) -> Tensor:
            _widen(self.asked.gradients, site, g)
            self.asked.back.add((site, layout_of(g)))
            return g

        return record


def _widen(ranges: dict[str, Range], site: str, v: Tensor) -> None:
    """Widen the range of a site by the sizes of numbers, but for 0 and what is not finite."""
    sizes = v.detach().abs()
    sizes = sizes[(sizes > 0) & (sizes < np.inf)]
    if len(sizes):
        low, high = ranges.get(site, (np.inf, 0.0))
        ranges[site] = min(low, float(sizes.min())), max(high, float(sizes.max()))


def layout_of(v: Tensor) -> str:
    """Return the layout of a tensor in memory in a word."""
    if v.dim() != 2:
        return f"{v.dim()}-D"
    if any(stride == 0 for stride, n in zip(v.stride(), v.shape, strict=True) if n > 1):
        return "expanded"
    if v.is_contiguous():
        return "contiguous"
    return "transposed" if v.stride(0) < v.stride(1) else "strided"
