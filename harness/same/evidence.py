"""What all questions of a setting have shown, summed up for each answer and operation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from harness.core.finding import Located
from harness.same.asking import Asked, Outside
from harness.same.compare import GRADIENT, WIDEST, Compared

SMALL = 1e-9  # of the largest gradient: what is allowed for a smaller one tells that it is 0
UNPAIRED = ("shape", "only here")  # outcomes of answers that have no counterpart
BOUNDED = ("same", "differs", "too wide")  # outcomes of answers that have bounds


@dataclass(frozen=True, eq=False)
class Shown:
    """One answer in all questions: the comparison that says most, and the question of it."""

    answer: str
    compared: Compared
    asked: Asked


@dataclass(frozen=True, eq=False)
class Evidence:
    """The questions that were asked in a setting, and what came of them."""

    asked: Sequence[Asked]

    @property
    def broken(self) -> str:
        """Why there are no answers; "" if there are."""
        return next((each.broken for each in self.asked if each.broken), "")

    @property
    def random(self) -> str:
        """Why random numbers prevent a comparison; "" if they do not."""
        return next((each.random for each in self.asked if each.random), "")

    @property
    def missing(self) -> str:
        """Why the randomness of the two is certainly not the same; "" if it may be."""
        return next((each.missing for each in self.asked if each.missing), "")

    def list_names(self) -> list[str]:
        """Return the names of all answers, in order."""
        names: dict[str, None] = {}
        for asked in self.asked:
            names |= dict.fromkeys(one.answer for one in asked.compared)
        return list(names)

    def failures(self) -> list[Shown]:
        """Return the answers that differ, in any way, in some question: the first question of
        each.
        """
        return [shown for name in self.list_names() if (shown := self._find_failure(name))]

    def _find_failure(self, name: str) -> Shown | None:
        for asked in self.asked:
            for one in asked.compared:
                if one.answer == name and is_failure(one):
                    return Shown(name, one, asked)
        return None

    def judged(self) -> list[Shown]:
        """Return the answers that some question has judged to be the same: the one that used most
        of its bound.
        """
        found = []
        for name in self.list_names():
            same = [
                Shown(name, one, asked)
                for asked in self.asked
                for one in asked.compared
                if one.answer == name and one.outcome == "same"
            ]
            if same:
                found.append(max(same, key=lambda shown: shown.compared.factor))
        return found

    def left(self) -> Shown | None:
        """Return the first answer of which nothing is known, since numbers leave torch."""
        for asked in self.asked:
            for one in asked.compared:
                if one.outcome == "left torch":
                    return Shown(one.answer, one, asked)
        return None

    def unjudged(self) -> dict[str, str]:
        """Return the outcome of each answer that no question has judged."""
        judged = {shown.answer for shown in self.judged()}
        return {
            one.answer: one.outcome
            for asked in self.asked
            for one in asked.compared
            if one.answer not in judged
        }

    def zeros(self) -> list[str]:
        """Return the gradients that are 0 but for rounding wherever their bounds are too wide."""
        found: dict[str, bool] = {}
        for asked in self.asked:
            gradients = [one for one in asked.compared if one.answer.startswith("gradient ")]
            largest = max((one.size for one in gradients), default=0.0)
            for one in gradients:
                if one.outcome == "too wide":
                    small = one.size * one.resolution < SMALL * largest
                    found[one.answer] = found.get(one.answer, True) and small
        return [name for name, small in found.items() if small]

    def unruled(self) -> list[Located]:
        """Return the operations without a rule, one of each kind."""
        found: dict[str, Located] = {}
        for asked in self.asked:
            for each in asked.unruled:
                found.setdefault(each.operation, each)
        return list(found.values())

    def outside(self) -> tuple[Outside, Asked] | None:
        """Return the operation furthest outside its own bound, and its question."""
        worst = [(each.outside[0], each) for each in self.asked if each.outside]
        return max(worst, key=lambda one: one[0].share) if worst else None

    def wrong_backwards(self) -> list[str]:
        """Return the subject's own functions whose backward pass is not their derivative."""
        return list(dict.fromkeys(each for asked in self.asked for each in asked.backwards))

    def worst_run(self) -> Shown | None:
        """Return the answer that, as it ran, uses most of what its operations may lose, among those
        whose bound is narrow enough to judge: to first order, a wide bound is none. An answer that
        is not finite, and whose shadow is, is judged by any bound.
        """
        every = [one for name in self.list_names() for one in self._list_compared(name)]
        judged = [one for one in every if is_judged_as_run(one.compared)]
        return max(judged or every, key=lambda shown: shown.compared.run_factor, default=None)

    def find_lost(self) -> tuple[float, Shown] | None:
        """Return the answer that loses most bits by operations in a narrower dtype, and the bits:
        the median of the questions.
        """
        return self._find_bits(lambda one: one.bits_lost)

    def find_worse(self) -> tuple[float, Shown] | None:
        """Return the answer that loses most bits beyond what the reference's operations lose, and
        the bits: the median of the questions.
        """
        return self._find_bits(lambda one: one.bits_worse)

    def _find_bits(self, count: Callable[[Compared], float]) -> tuple[float, Shown] | None:
        found: list[tuple[float, Shown]] = []
        for name in self.list_names():
            shown = self._list_compared(name)
            if shown:
                middle = median(count(each.compared) for each in shown)
                found.append((middle, max(shown, key=lambda each: count(each.compared))))
        return max(found, key=lambda one: one[0], default=None)

    def _list_compared(self, name: str) -> list[Shown]:
        """Return the comparisons of an answer that have bounds."""
        return [
            Shown(one.answer, one, asked)
            for asked in self.asked
            for one in asked.compared
            if one.answer == name and one.outcome in BOUNDED and not math.isnan(one.actual)
        ]


def is_judged_as_run(one: Compared) -> bool:
    """Is an answer as it ran judged: by a narrow bound, or since it is not finite?"""
    return one.run_resolution <= WIDEST or math.isinf(one.run_factor)


def is_failure(one: Compared) -> bool:
    """Does an answer of two models differ?"""
    if one.outcome == "not finite":
        return one.factor > 0
    return one.outcome == "differs" or one.outcome in UNPAIRED


def count_answers(names: Sequence[str]) -> str:
    """Return answers in words: outputs by name, and how many gradients there are."""
    gradients = [name for name in names if name.startswith(GRADIENT)]
    others = [name for name in names if not name.startswith(GRADIENT)]
    if len(gradients) > 1:
        others.append(f"gradients by {len(gradients)} parameters")
    else:
        others += gradients
    return " and ".join([", ".join(others[:-1]), others[-1]] if len(others) > 1 else others)
