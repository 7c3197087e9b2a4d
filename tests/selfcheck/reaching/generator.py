"""A generator of faults that act only where a condition holds.

It knows of the probes only what was asked: numbers of rows, ranges of numbers, layouts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from tests.selfcheck.reaching.asked import Asked, Range, layout_of
from tests.selfcheck.reaching.effects import (
    EFFECTS,
    OF_ROWS,
    Effect,
    in_single,
    value_in_single,
    where,
)
from tests.selfcheck.reaching.port import Change, Changes, State

LEAST = 2.0**-20  # of the largest gradient, for thresholds below which gradients are wrong
UNUSUAL = ("expanded", "transposed", "strided")  # layouts


@dataclass(frozen=True)
class Conditional:
    """A fault that acts only where a condition holds.

    `kind` names the condition, `threshold` its number, `effect` what is wrong, and `site` where.
    `rows` are the numbers of rows at which it can hold; None for all. `block` is the block that
    the condition is of; "" for none.
    """

    kind: str
    threshold: float
    site: str
    effect: str
    changes: Changes
    rows: frozenset[int] | None = None
    block: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.threshold:.4g}: {self.effect} at {self.site}"


class Generator:
    """Draws faults for one port.

    Each of `kinds` draws one of its kind, or returns None if nothing of the kind was asked.
    """

    def __init__(
        self, asked: Asked, blocks: Sequence[str], biases: Sequence[str], seed: int
    ) -> None:
        self.asked, self.blocks, self.biases = asked, list(blocks), list(biases)
        self.weights = [name for name in blocks if name not in biases]
        self.hidden = sorted(site for site in asked.sizes if site[0] == "z")
        self.rng = np.random.default_rng(seed)
        self.kinds: tuple[Callable[[], Conditional | None], ...] = (
            self.one_number_of_rows,
            self.many_rows,
            self.eights_of_rows,
            self.odd_rows,
            self.large_input,
            self.small_input,
            self.large_parameter,
            self.small_block,
            self.zero_block,
            self.zero_biases,
            self.large_hidden,
            self.small_hidden,
            self.large_output,
            self.large_gradient,
            self.small_gradient,
            self.zero_target,
            self.large_target,
            self.float32,
            self.layout_of_input,
            self.layout_of_gradient,
            self.mode,
        )

    def _one_of(self, names: Sequence[str]) -> str:
        return names[self.rng.integers(len(names))]

    def _effect(self, back: bool = False, rows: bool = False) -> tuple[str, Effect]:
        """Draw an effect; on a gradient that goes back, "detached" would change nothing."""
        possible = {**EFFECTS, **OF_ROWS} if rows else dict(EFFECTS)
        if back:
            del possible["detached"]
        name = self._one_of(list(possible))
        return name, possible[name]

    def _threshold(self, within: Range) -> float:
        """Draw a threshold, log-uniformly."""
        low, high = np.log(within)
        return float(np.exp(self.rng.uniform(low, high)))

    # conditions of the call as a whole: what is wrong is wrong anywhere

    def _anywhere(
        self, kind: str, threshold: float, holds: Callable[[State], bool], of_rows: bool = False
    ) -> Conditional:
        """Draw the site and the effect of a condition on the call.

        Only conditions on rows can be checked where the loss is computed.
        """
        back = self.rng.random() < 0.4
        sites = ["x", "o", "e", *self.hidden]
        if back:
            sites = list(self.asked.gradients)
        site = self._one_of([site for site in sites if of_rows or site != "e"])
        name, effect = self._effect(back, of_rows and site not in self.blocks)
        change = where(lambda v, state: holds(state), effect)
        return _at(kind, threshold, site, name, change, back)

    def _of_rows(
        self, kind: str, threshold: float, holds: Callable[[int], bool]
    ) -> Conditional | None:
        rows = frozenset(filter(holds, self.asked.rows))
        if not rows:
            return None
        fault = self._anywhere(kind, threshold, lambda state: holds(state.rows), of_rows=True)
        return replace(fault, rows=rows)

    def one_number_of_rows(self) -> Conditional | None:
        n = int(self.rng.choice(sorted(self.asked.rows)))
        return self._of_rows("rows ==", n, lambda rows: rows == n)

    def many_rows(self) -> Conditional | None:
        low, high = min(self.asked.rows), max(self.asked.rows)
        n = int(np.ceil(self._threshold((low, high + 0.5))))
        return self._of_rows("rows >=", n, lambda rows: rows >= n)

    def eights_of_rows(self) -> Conditional | None:
        return self._of_rows("rows multiple of", 8, lambda rows: rows % 8 == 0)

    def odd_rows(self) -> Conditional | None:
        return self._of_rows("rows odd", 1, lambda rows: rows % 2 == 1)

    def small_block(self) -> Conditional | None:
        block = self._one_of(self.blocks)
        low, high = self.asked.largest[block]
        t = min(self._threshold((low, high)) * (1 + 1e-9), high)
        kind = "whole bias below" if block in self.biases else "whole W below"
        fault = self._anywhere(kind, t, lambda state: bool((state.blocks[block].abs() <= t).all()))
        return replace(fault, block=block)

    def zero_block(self) -> Conditional | None:
        zero = sorted(self.asked.all_zero & set(self.weights))
        if not zero:
            return None
        block = self._one_of(zero)
        fault = self._anywhere("whole W is", 0, lambda state: not bool(state.blocks[block].any()))
        return replace(fault, block=block)

    def zero_biases(self) -> Conditional | None:
        if not self.asked.no_bias:
            return None
        return self._anywhere(
            "all biases are",
            0,
            lambda state: not any(bool(state.blocks[name].any()) for name in self.biases),
        )

    # conditions on numbers: only these are wrong

    def _of_numbers(
        self, kind: str, t: float, site: str, holds: Callable[[Tensor], Tensor], back: bool = False
    ) -> Conditional:
        """Draw the effect of a condition on numbers of a tensor."""
        name, effect = self._effect(back)
        if "above" in kind and self.rng.random() < 0.1:
            name, effect = "clamped there", lambda v: v.clamp(-t, t)
        change = where(lambda v, state: holds(v.detach()), effect)
        return _at(kind, t, site, name, change, back)

    def _above(self, kind: str, site: str) -> Conditional:
        t = self._threshold(self.asked.sizes[site])
        return self._of_numbers(f"|{kind}| above", t, site, lambda v: v.abs() > t)

    def large_input(self) -> Conditional | None:
        return self._above("x", "x")

    def small_input(self) -> Conditional | None:
        t = self._threshold(self.asked.sizes["x"])
        return self._of_numbers("|x| below", t, "x", lambda v: v.abs() < t)

    def large_parameter(self) -> Conditional | None:
        block = self._one_of(self.blocks)
        return self._above("bias" if block in self.biases else "W", block)

    def large_hidden(self) -> Conditional | None:
        return self._above("z", self._one_of(self.hidden)) if self.hidden else None

    def small_hidden(self) -> Conditional | None:
        """|z| within (low, t), t up to 1; low is 0, or t / 2 to t / 1024."""
        if not self.hidden:
            return None
        site = self._one_of(self.hidden)
        least, most = self.asked.sizes[site]
        t = self._threshold((least, max(min(most, 1.0), least)))
        low = 0.0 if self.rng.random() < 0.5 else t * 2.0 ** self.rng.uniform(-10, -1)
        return self._of_numbers(
            "|z| within (.., t)", t, site, lambda v: (v.abs() > low) & (v.abs() <= t)
        )

    def large_output(self) -> Conditional | None:
        return self._above("o", "o")

    def large_gradient(self) -> Conditional | None:
        site = self._one_of(list(self.asked.gradients))
        t = self._threshold(self.asked.gradients[site])
        return self._of_numbers("|g| above", t, site, lambda g: g.abs() > t, back=True)

    def small_gradient(self) -> Conditional | None:
        site = self._one_of(list(self.asked.gradients))
        low, high = self.asked.gradients[site]
        t = self._threshold((max(low, high * LEAST), high))
        return self._of_numbers("|g| below", t, site, lambda g: g.abs() < t, back=True)

    def zero_target(self) -> Conditional | None:
        if "t" not in self.asked.zero:
            return None
        return self._of_targets("t ==", 0.0, lambda target: target == 0)

    def large_target(self) -> Conditional | None:
        t = self._threshold(self.asked.sizes["t"])
        return self._of_targets("|t| above", t, lambda target: target.abs() > t)

    def _of_targets(self, kind: str, t: float, holds: Callable[[Tensor], Tensor]) -> Conditional:
        """Draw an effect on some targets, or on their errors."""
        name, effect = self._effect()
        if name != "detached" and self.rng.random() < 0.5:
            change = where(lambda v, state: holds(v), effect)
            return Conditional(kind, t, "t", name, Changes(there={"t": change}))
        seen: list[Tensor] = []

        def look(target: Tensor, state: State) -> Tensor:
            seen[:] = [target]
            return target

        change = where(lambda v, state: holds(seen[0]), effect)
        return Conditional(kind, t, "e", name, Changes(there={"t": look, "e": change}))

    # numbers and layouts that few expect

    def float32(self) -> Conditional | None:
        """A float64 model that stores something in float32."""
        site = self._one_of(sorted(self.asked.long))
        what = "W" if site in self.blocks else site[0]
        back = site in self.asked.gradients and self.rng.random() < 0.3
        if back:
            return _at(f"float32 gradient by {what}", 32, site, "stored", in_single, back)
        if self.rng.random() < 0.5:
            return _at(f"float32 {what}", 32, site, "stored", in_single)
        return _at(f"float32 value of {what}", 32, site, "stored", value_in_single)

    def layout_of_input(self) -> Conditional | None:
        layouts = sorted(self.asked.layouts - {"contiguous"})
        if not layouts:
            return None
        layout, (name, effect) = self._one_of(layouts), self._effect()

        def holds(v: Tensor, state: State) -> bool:
            return any(layout_of(x) == layout for x in state.given)

        return _at(f"{layout} input", 0, "x", name, where(holds, effect))

    def layout_of_gradient(self) -> Conditional | None:
        pairs = sorted(
            pair for pair in self.asked.back if pair[1] in ("expanded", "transposed", "strided")
        )
        if not pairs:
            return None
        site, layout = pairs[self.rng.integers(len(pairs))]
        name, effect = self._effect(back=True)
        change = where(lambda g, state: layout_of(g) == layout, effect)
        return _at(f"{layout} gradient", 0, site, name, change, back=True)

    def mode(self) -> Conditional | None:
        """A mode in which the model is called."""
        if not self.asked.modes:
            return None
        mode = self._one_of(sorted(self.asked.modes))
        site, (name, effect) = self._one_of(["x", "o", *self.hidden]), self._effect(back=True)
        change = where(lambda v, state: mode in state.modes, effect)
        return _at(f"under {mode}", 0, site, name, change)


def _at(
    kind: str, threshold: float, site: str, name: str, change: Change, back: bool = False
) -> Conditional:
    """Return the fault of a change at a site, forward or back."""
    if back:
        return Conditional(kind, threshold, f"{site}, back", name, Changes(back={site: change}))
    return Conditional(kind, threshold, site, name, Changes(there={site: change}))
