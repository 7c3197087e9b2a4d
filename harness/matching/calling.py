"""Compares two models in the other ways of calling them, such as under torch.no_grad().

In each way a model should give the answers of the usual call. Where they move beyond rounding,
both models must move alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch

from harness.evaluating.ways import INFERENCE, WITHOUT_GRADIENTS, Way
from harness.mapping.fallback import list_shapes
from harness.matching.carry import ByName, Carry, Tensors, pull_gradients
from harness.matching.compare import Compared, is_judged_as_run
from harness.matching.fused import are_equal, compare_as_run
from harness.matching.respondent import Ask, Respondent
from harness.model.errors import raised
from harness.shadow.replay import widen
from harness.shadow.shadow import Shadow
from harness.shadow.unfused import unfused


@dataclass(frozen=True, eq=False)
class Call:
    """A way of calling two models in which their answers differ.

    `where` is the index of the element of `answer` that differs most. `actual` and `expected` are
    its two values, and `usual` both values in the usual call. `factor` is the difference divided by
    the rounding bound in `dtype`. If the subject does not answer, `said` is a verb with its object
    for the subject, and `other` one for the reference. `is_fused` says that the difference vanishes
    with torch's fused kernels and fast paths switched off.
    """

    way: Way
    answer: str = ""
    where: tuple[int, ...] = ()
    actual: float = 0.0
    expected: float = 0.0
    usual: tuple[float, ...] = ()
    factor: float = 0.0
    dtype: str = ""
    said: str = ""
    other: str = "answers"
    is_fused: bool = False

    @property
    def allowed(self) -> float:
        """The difference that rounding allows."""
        return abs(self.actual - self.expected) / self.factor


class Called:
    """The answers of a model in several ways of calling, by way.

    `errors` has the errors that it raised, and `usual` its answers in the usual call. `unsteady`
    are the ways without gradients in which a second call gives other answers.
    """

    def __init__(self, one: Respondent, ask: Ask, ways: Sequence[Way], usual: Tensors) -> None:
        self.one, self.ask, self.usual = one, ask, usual
        self.answers: dict[Way, Tensors] = {}
        self.errors: dict[Way, str] = {}
        self.unsteady: set[Way] = set()
        for way in ways:
            self.call(way)
        if WITHOUT_GRADIENTS in self.answers and self._is_unsteady():
            self.unsteady.add(WITHOUT_GRADIENTS)
            self.errors[INFERENCE] = "gives other answers when it is called again"

    def call(self, way: Way) -> None:
        """Note the answers of a call in a way, or its error."""
        try:
            self.answers[way] = self.run(way)
        except Exception as error:  # a user's model may raise anything
            self.errors[way] = raised(error)

    def _is_unsteady(self) -> bool:
        """Does a second call without gradients give other answers? A call in inference mode counts
        as the second one if its answers are the same.
        """
        first = self.answers[WITHOUT_GRADIENTS]
        if INFERENCE in self.answers and are_equal(self.answers[INFERENCE], first):
            return False
        try:
            return not are_equal(self.run(WITHOUT_GRADIENTS), first)
        except Exception as error:  # a user's model may raise anything
            self.errors[WITHOUT_GRADIENTS] = raised(error)
            return False

    def run(self, way: Way) -> Tensors:
        """Return the answers of one more call in a way."""
        return self.one.run_in_way(self.ask, way, self.usual)

    def moves(self, way: Way) -> bool:
        """Does a way of calling change any bit of the answers, or raise an error? An error in
        inference mode does not count.
        """
        if way in self.errors or way in self.unsteady:
            return way != INFERENCE
        return not are_equal(self.answers[way], self.usual)

    def list_outputs(self, way: Way) -> str:
        """Return the names and shapes of all answers in a way but gradients, as text."""
        outputs = {
            name: tuple(tensor.shape)
            for name, tensor in self.answers[way].items()
            if not name.startswith("gradient ")
        }
        return list_shapes(outputs)

    def find_shift(self, shadow: Shadow, way: Way, answers: Tensors) -> Tensors:
        """Return by how much the answers in a way of calling are off those of the model's shadow
        (its evaluation in float64), by name, where that is more than rounding.
        """
        if are_equal(answers, self.usual):
            return {}
        run = partial(self.run, way)
        compared, _ = compare_as_run(shadow, shadow, ByName(), self.ask.seed, run, answers)
        return {
            one.answer: widen(answers[one.answer]) - shadow.read(one.answer).detach()
            for one in compared
            if is_outside(one)
        }


def is_outside(one: Compared) -> bool:
    """Is an answer, as the model ran, outside its rounding bound, and is that judged?"""
    return one.run_factor > 1 and is_judged_as_run(one)


class Caller:
    """Compares the answers of two models, `mine` of the subject and `theirs` of the reference, in
    the `ways` of calling that move them.
    """

    def __init__(self, mine: Called, theirs: Called, ways: Sequence[Way]) -> None:
        self.mine, self.theirs, self.ways = mine, theirs, ways

    def list_calls(self, subject: Shadow, reference: Shadow, carry: Carry) -> list[Call]:
        """Return the ways in which the answers differ, each with the answer that differs most.

        `subject` and `reference` are the models' shadows (evaluations repeated in float64), and
        `carry` is the derivative of the map of parameters.
        """
        self.subject, self.reference, self.carry = subject, reference, carry
        return [call for way in self.ways for call in self._compare(way)]

    def _compare(self, way: Way) -> list[Call]:
        """Return how the answers differ in a way; if it has parts, in the first of them that shows
        a difference. If the reference's answers move in the way, only its parts are compared.
        """
        moves = way in self.theirs.errors or self.theirs.moves(way)
        calls = [] if moves and way.parts else self._compare_once(way)
        if calls or moves:
            for part in way.parts:
                self.mine.call(part)
                self.theirs.call(part)
                if found := self._compare_once(part):
                    return found
        return calls

    def _compare_once(self, way: Way) -> list[Call]:
        if way in self.theirs.errors:  # the reference cannot be called so
            return []
        if way in self.mine.errors:
            return [] if way == INFERENCE else [Call(way, said=self.mine.errors[way])]
        mine, theirs = self.mine.list_outputs(way), self.theirs.list_outputs(way)
        if mine != theirs:
            return [Call(way, said=f"gives {mine}", other=f"gives {theirs}")]
        if way in self.mine.unsteady:
            steady = way not in self.theirs.unsteady
            said, other = "gives other answers when it is called again", "gives the same"
            return [Call(way, said=said, other=other)] if steady else []
        if not self._have_usual_outputs(way):
            return []
        answers = self.mine.answers[way]
        outside = self._list_outside(way, answers, self.theirs.answers[way])
        if not outside or not are_equal(self.mine.run(way), answers):
            return []
        with unfused():
            is_fused = not self._list_outside(way, self.mine.run(way), self.theirs.run(way))
        worst = max(outside, key=lambda one: one.run_factor)
        return [self._describe(way, worst, is_fused)]

    def _have_usual_outputs(self, way: Way) -> bool:
        """Do the models give the same outputs, by name and shape, as in the usual call?"""
        usual, answers = self.theirs.usual, self.theirs.answers[way]
        return usual.keys() == answers.keys() and all(
            usual[name].shape == each.shape for name, each in answers.items()
        )

    def _list_outside(self, way: Way, answers: Tensors, expected: Tensors) -> list[Compared]:
        """Return the answers of the subject that are further from those `expected` of the
        reference than rounding explains.
        """
        shift = self.theirs.find_shift(self.reference, way, expected)
        if shift and way.frozen not in ("none", "all"):
            return []  # the subject need not have frozen the same parameters
        both = self.subject, self.reference, self.carry, self.mine.ask.seed
        compared, _ = compare_as_run(*both, partial(self.mine.run, way), answers, shift)
        return [one for one in compared if is_outside(one)]

    def _describe(self, way: Way, worst: Compared, is_fused: bool) -> Call:
        name = worst.answer
        mine = pull_gradients(self.carry, self.mine.answers[way])[name].double()
        theirs = self.theirs.answers[way][name].double()
        furthest = abs(mine - theirs).nan_to_num(math.inf).argmax()
        place = tuple(int(each) for each in torch.unravel_index(furthest, mine.shape))
        usual = pull_gradients(self.carry, self.mine.usual)[name], self.theirs.usual[name]
        return Call(
            way,
            name,
            place,
            float(mine[place]),
            float(theirs[place]),
            tuple(float(each.detach()[place]) for each in usual),
            worst.run_factor,
            self.subject.dtype,
            is_fused=is_fused,
        )
