"""Sums up the results of all evaluations in a setting, for each answer and operation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from harness.core.finding import Located
from harness.evaluating.evaluation import GRADIENT
from harness.matching.calling import Call
from harness.matching.compare import Compared, is_judged_as_run
from harness.matching.dropping import Dropping
from harness.matching.outcomes import WIDEST
from harness.matching.result import Outside, Result, Written

SMALL = 1e-9  # of the largest gradient: what is allowed for a smaller one tells that it is 0
UNPAIRED = ("shape", "only here")  # outcomes of answers that have no counterpart
BOUNDED = ("same", "differs", "too wide")  # outcomes of answers that have bounds


@dataclass(frozen=True, eq=False)
class Shown:
    """One answer's comparison of two models, and the evaluation that it belongs to."""

    answer: str
    compared: Compared
    result: Result


@dataclass(frozen=True, eq=False)
class Evidence:
    """The results of all evaluations in a setting."""

    results: Sequence[Result]

    @property
    def broken(self) -> str:
        """The reason why there are no answers; "" if there are some."""
        return next((each.broken for each in self.results if each.broken), "")

    @property
    def random(self) -> str:
        """The reason why random numbers prevent a comparison; "" if they do not."""
        return next((each.random for each in self.results if each.random), "")

    @property
    def missing(self) -> str:
        """The reason why the randomness of both certainly differs; "" if it may be the same."""
        return next((each.missing for each in self.results if each.missing), "")

    @property
    def dropping(self) -> Dropping | None:
        """The comparison of both dropouts, if all dropout was switched off."""
        return next((each.dropping for each in self.results if each.dropping), None)

    @property
    def written(self) -> Written | None:
        """The inputs into which only the subject writes."""
        return next((each.written for each in self.results if each.written), None)

    @property
    def written_theirs(self) -> Written | None:
        """The inputs into which only the reference writes."""
        return next((each.written_theirs for each in self.results if each.written_theirs), None)

    def list_names(self) -> list[str]:
        """Return the names of all answers, in order."""
        names: dict[str, None] = {}
        for result in self.results:
            names |= dict.fromkeys(one.answer for one in result.compared)
        return list(names)

    def failures(self) -> list[Shown]:
        """Return the answers that differ in any evaluation, each with the first such evaluation."""
        return [shown for name in self.list_names() if (shown := self._find_failure(name))]

    def _find_failure(self, name: str) -> Shown | None:
        for result in self.results:
            for one in result.compared:
                if one.answer == name and is_failure(one):
                    return Shown(name, one, result)
        return None

    def judged(self) -> list[Shown]:
        """Return the answers that some evaluation shows to be the same, each with the evaluation in
        which the difference was largest relative to its bound.
        """
        judged = []
        for name in self.list_names():
            same = [
                Shown(name, one, result)
                for result in self.results
                for one in result.compared
                if one.answer == name and one.outcome == "same"
            ]
            if same:
                judged.append(max(same, key=lambda shown: shown.compared.factor))
        return judged

    def find_left(self) -> Shown | None:
        """Return the first answer that cannot be judged because numbers leave torch."""
        for result in self.results:
            for one in result.compared:
                if one.outcome == "left torch":
                    return Shown(one.answer, one, result)
        return None

    def find_call(self) -> tuple[Call, Result] | None:
        """Return the first way of calling in which the models differ, if there is one, and the
        evaluation that shows it.
        """
        found = [(call, result) for result in self.results for call in result.calls]
        return next(iter(found), None)

    def unjudged(self) -> dict[str, str]:
        """Return, by name, the outcome (a word such as "too wide") of each answer that no
        evaluation has judged.
        """
        judged = {shown.answer for shown in self.judged()}
        return {
            one.answer: one.outcome
            for result in self.results
            for one in result.compared
            if one.answer not in judged
        }

    def zeros(self) -> list[str]:
        """Return the names of gradients that are 0 within rounding in all evaluations in which
        their bounds are too wide for a comparison.
        """
        are_zero: dict[str, bool] = {}
        for result in self.results:
            gradients = [one for one in result.compared if one.answer.startswith("gradient ")]
            largest = max((one.size for one in gradients), default=0.0)
            for one in gradients:
                if one.outcome == "too wide":
                    small = one.size * one.resolution < SMALL * largest
                    are_zero[one.answer] = are_zero.get(one.answer, True) and small
        return [name for name, small in are_zero.items() if small]

    def unruled(self) -> list[Located]:
        """Return the operations for which no rounding bound is known, one of each kind."""
        by_name: dict[str, Located] = {}
        for result in self.results:
            for each in result.unruled:
                by_name.setdefault(each.operation, each)
        return list(by_name.values())

    def outside(self) -> tuple[Outside, Result] | None:
        """Return the operation furthest outside its own bound, and the evaluation that shows it."""
        worst = [(each.outside[0], each) for each in self.results if each.outside]
        return max(worst, key=lambda one: one[0].share) if worst else None

    def wrong_backwards(self) -> list[str]:
        """Return the subject's own autograd functions whose backward pass is not their
        derivative.
        """
        return list(dict.fromkeys(each for result in self.results for each in result.backwards))

    def worst_run(self) -> Shown | None:
        """Return the answer of a run in the model's own dtype whose error is largest relative to
        its bound, among answers with a narrow bound.

        A wide bound proves nothing, since bounds are of first order. An answer that is not finite,
        although its float64 repetition is, is judged by any bound.
        """
        every = [one for name in self.list_names() for one in self._list_compared(name)]
        judged = [one for one in every if is_judged_as_run(one.compared)]
        return max(judged or every, key=lambda shown: shown.compared.run_factor, default=None)

    def find_lost(self) -> tuple[float, Shown] | None:
        """Return the largest number of bits lost by operations in a narrower dtype than the claimed
        one, beyond the reference's, and the answer that loses them.

        The number is a median over the evaluations.
        """
        return self._find_bits(lambda one: one.bits_lost)

    def find_moved(self, roundoff: float) -> Shown | None:
        """Return the answer that roundings in a narrower dtype move most, or None.

        They must move it by more than `roundoff` of its size, and by much more than the reference's
        roundings do.
        """
        moved = [
            shown
            for name in self.list_names()
            for shown in self._list_compared(name)
            if shown.compared.resolution <= WIDEST  # an answer that rounding makes is left out
            and shown.compared.narrow.moves_more(shown.compared.narrow_theirs, roundoff)
        ]
        return max(moved, key=lambda shown: shown.compared.narrow.share, default=None)

    def find_alike(self, least: float, roundoff: float) -> Shown | None:
        """Return the answer that loses most digits in narrower dtypes; the reference loses as many.

        Return None if no answer may lose `least` bits or is moved by `roundoff` of its size.
        """
        alike = [
            shown
            for name in self.list_names()
            for shown in self._list_compared(name)
            if shown.compared.narrow.bits >= least or shown.compared.narrow.share > roundoff
        ]
        return max(alike, key=lambda shown: shown.compared.narrow.bits, default=None)

    def find_worse(self) -> tuple[float, Shown] | None:
        """Return the largest number of bits that the subject loses beyond the reference's loss, and
        the answer that loses them.

        The number is a median over the evaluations in which the reference's answer has a bit to
        keep; None if there is no such answer.
        """
        return self._find_bits(lambda one: one.bits_worse)

    def _find_bits(self, count: Callable[[Compared], float]) -> tuple[float, Shown] | None:
        bits_by_answer: list[tuple[float, Shown]] = []
        for name in self.list_names():
            shown = [
                each for each in self._list_compared(name) if not math.isnan(count(each.compared))
            ]
            if shown:
                middle = median(count(each.compared) for each in shown)
                bits_by_answer.append((middle, max(shown, key=lambda each: count(each.compared))))
        return max(bits_by_answer, key=lambda one: one[0], default=None)

    def _list_compared(self, name: str) -> list[Shown]:
        """Return those comparisons of an answer that have rounding bounds."""
        return [
            Shown(one.answer, one, result)
            for result in self.results
            for one in result.compared
            if one.answer == name and one.outcome in BOUNDED and not math.isnan(one.actual)
        ]


def is_failure(one: Compared) -> bool:
    """Does an answer of two models differ?"""
    if one.outcome == "not finite":
        return one.factor > 0
    return one.outcome == "differs" or one.outcome in UNPAIRED


def count_answers(names: Sequence[str]) -> str:
    """Return answers in words: the names of outputs, and the number of gradients."""
    gradients = [name for name in names if name.startswith(GRADIENT)]
    others = [name for name in names if not name.startswith(GRADIENT)]
    if len(gradients) > 1:
        others.append(f"gradients by {len(gradients)} parameters")
    else:
        others += gradients
    return " and ".join([", ".join(others[:-1]), others[-1]] if len(others) > 1 else others)
