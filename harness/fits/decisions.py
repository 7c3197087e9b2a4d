"""Decides whether one trainer ends as well as another: by shares of good fits, or by losses from
shared starts.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from harness.core.contract import Indices, Mask
from harness.fits.equivalence import LEVEL
from harness.fits.losses import Losses, Ratios
from harness.fits.quality import propose_quality
from harness.fits.shares import (
    CONVINCING,
    MORE,
    POWER,
    Independent,
    Pairs,
    Shares,
    difference,
    interval,
    p_of_alike,
    starts_needed,
)
from harness.training.trainer import Population

Good = Mask
FEW = 5  # starts below which a median ratio has no interval
MORE_STARTS = "ask for more with --parity-starts, and most= where that caps a trainer's"


class Sides(NamedTuple):
    """Two trainers; the claim is about the first compared with the second.

    `names` are their titles, and `shared` says whether their losses come from the same starts.
    `sets` has, for each set of data, the numbers of the starts on it.
    """

    names: tuple[str, str]
    losses: tuple[Losses, Losses]
    shared: bool
    sets: Sequence[Indices] = ()

    @property
    def starts(self) -> int:
        """The number of starts of the trainer with fewer of them."""
        return min(len(side.ends) for side in self.losses)


class Decision(NamedTuple):
    """The statistical decision about two trainers.

    `same` says that they are equivalent; `p` is the p-value of this. `other` says that they differ
    by more than chance, and `worse` that the first one is worse in that case. `why` has the
    figures, in words.
    """

    same: bool
    other: bool
    worse: bool
    p: float
    why: str


def decide_by_shares(sides: Sides, population: Population, quality: float) -> Decision | str:
    """Decide by the shares of fits that end at a loss of at most `quality`; return a sentence if
    they are no evidence.
    """
    good = [side.ends <= quality for side in sides.losses]
    figures = (
        f"of {sides.names[0]}, {_share(good[0])} end at a loss of at most {quality:g}, of"
        f" {sides.names[1]} {_share(good[1])}"
    )
    if why := _find_no_evidence(sides, good, quality):
        return f"{figures}: {why}{propose_quality(sides.losses)}"
    shares, margin = _count(good, sides.shared), population.margin
    p, power, (low, high) = p_of_alike(shares, margin), shares.power(margin), difference(shares)
    same, other = p <= LEVEL, shares.p < CONVINCING
    interval = f"the share less the other's is {low:+.2f} to {high:+.2f} (90 %)"
    if same:
        why = f"{figures}; {interval}, equivalent within ±{margin:g} (power {power:.2f})"
    elif other:
        why = f"{figures}; so uneven by chance with p = {shares.p:.1g}"
    else:
        few = sides.starts
        needed = _describe_needed(few, {n: shares.power(margin, n) for n in MORE if n > few})
        why = (
            f"{figures}: {few} starts cannot tell; {interval}, the margin is ±{margin:g}, power"
            f" {power:.2f}, p = {shares.p:.1g}{needed}: {MORE_STARTS}"
            f"{propose_quality(sides.losses)}"
        )
    why += _describe_beside(sides, population.ratio)
    return Decision(same, other, other and shares.shares[0] < shares.shares[1], p, why)


def _find_no_evidence(sides: Sides, good: Sequence[Good], quality: float) -> str:
    """Return why shares of good fits are no evidence, with advice; "" if they are evidence.

    `good` has a mask over the starts for each trainer.
    """
    for name, side in zip(sides.names, sides.losses, strict=True):
        if already := int(np.count_nonzero(side.starts <= quality)):
            found = f"{already} of {len(side.starts)} starts of {name} are good before training"
            return f"{found}: choose a smaller quality"
    if not (good[0].any() or good[1].any()):  # whatever they are, they are alike in that
        return "nobody's fit is good, expected a quality that somebody reaches"
    return ""


def _count(good: Sequence[Good], shared: bool) -> Shares:
    if shared:
        return Pairs.of(good[0], good[1])
    counts = [(int(np.count_nonzero(some)), len(some)) for some in good]
    return Independent(*counts[0], *counts[1])


def _describe_beside(sides: Sides, ratio: float) -> str:
    """Return a clause to add to the shares: a comparison of the losses, or that the starts are not
    shared.

    A ratio of two losses within `ratio` and 1 / `ratio` counts as alike.
    """
    if not sides.shared:
        return (
            "; the starts of both are not the same, so that they are part of what is compared, and"
            " nothing is paired"
        )
    ratios = Ratios.of(*sides.losses, ratio)
    if ratios.n < FEW:
        return ""
    return f"; {_describe_ratios(ratios, sides.names, ratio)}"


def decide_by_losses(sides: Sides, population: Population) -> Decision | str:
    """Decide by the losses from shared starts; return a sentence if they are no evidence."""
    ratio, margin = population.ratio, population.margin
    ratios = Ratios.of(*sides.losses, ratio)
    if not ratios.n:
        return (
            f"of {sides.names[0]} and {sides.names[1]}, no loss falls by more than a factor of"
            f" {ratio:g} from any of {len(sides.losses[0].ends)} starts: nothing was trained"
        )
    figures, p = _describe_ratios(ratios, sides.names, ratio), ratios.p_of_alike(margin)
    figures += _describe_sets(sides, ratio)
    power, p_of_chance = ratios.power(margin), ratios.pairs.p
    same, other = p <= LEVEL, p_of_chance < CONVINCING
    if same:
        why = f"{figures}; alike within a factor of {ratio:g} (p = {p:.1g}, power {power:.2f})"
    elif other:
        why = f"{figures}; so uneven by chance with p = {p_of_chance:.1g}"
    else:
        few = ratios.n
        needed = _describe_needed(few, {n: ratios.power(margin, n) for n in MORE if n > few})
        differing = {n: ratios.power_of_difference(n) for n in MORE if n > few}
        needed += _describe_needed(few, differing, "they differ, if as often as here")
        why = (
            f"{figures}: {few} starts cannot tell (alike with p = {p:.1g}, power {power:.2f};"
            f" uneven by chance with p = {p_of_chance:.1g}){needed}: {MORE_STARTS}"
        )
    return Decision(same, other, other and ratios.higher > ratios.lower, p, why)


def _describe_ratios(ratios: Ratios, names: tuple[str, str], ratio: float) -> str:
    """Return a clause on the losses of two trainers from the same starts.

    A ratio of two losses within `ratio` and 1 / `ratio` counts as alike.
    """
    low, high = ratios.interval
    clause = (
        f"from {ratios.n} shared starts {names[0]} ends higher than {names[1]} {ratios.higher}"
        f" times and lower {ratios.lower} times, by more than a factor of {ratio:g}; the typical"
        f" ratio of their losses is {ratios.typical:.4g} ({low:.4g} to {high:.4g}, 90 %)"
    )
    if ratios.unfinished:
        clause += f"; from {ratios.unfinished} more starts neither ends finite"
    if ratios.untrained:
        clause += f"; from {ratios.untrained} more starts neither loss falls"
    return clause


def _describe_sets(sides: Sides, ratio: float) -> str:
    """Return a clause with the smallest and the largest typical ratio of the losses on any set of
    data.

    It is "" if there is one set, or if every start has data of its own.
    """
    if not 1 < len(sides.sets) < sides.starts:
        return ""
    mine, theirs = sides.losses
    typical = []
    for numbers in sides.sets:
        ratios = Ratios.of(mine.take(numbers), theirs.take(numbers), ratio)
        if ratios.n:
            typical.append(ratios.typical)
    return (
        f"; the typical ratio is {min(typical):.4g} to {max(typical):.4g} on {len(sides.sets)} sets"
        " of data, which are decided together"
    )


def _describe_needed(seen: int, power: dict[int, float], what: str = "they are alike") -> str:
    """Return a clause on the number of starts that would be enough to show `what`.

    `seen` is the present number of starts, and `power` has the power of the test by number of
    starts. The clause is "" if none of these numbers is enough, or if too few starts were seen.
    """
    needed = starts_needed(power)
    if needed is None or seen < FEW:
        return ""
    return f"; {needed} starts like these would show that {what}, with {POWER:.0%}"


def _share(good: Good) -> str:
    count = int(np.count_nonzero(good))
    low, high = interval(count, len(good))
    return f"{count} of {len(good)} starts ({low:.0%} to {high:.0%})"
