"""Evaluates two models at the same parameters and data, in a dtype on a device, and compares their
answers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from torch import Tensor

from harness.evaluating.built import round_state
from harness.evaluating.state import State
from harness.evaluating.ways import list_ways
from harness.locating.causes import list_causes
from harness.locating.constants import find_tables, hold_tables, list_rounded, list_stored
from harness.locating.losing import find_endless
from harness.locating.own_backward import list_wrong_backwards
from harness.mapping.models import Models
from harness.matching.calling import Call, Called, Caller, is_outside
from harness.matching.compare import Compared
from harness.matching.dropping import Dropping, compare_dropouts
from harness.matching.folded import drop_folded
from harness.matching.fused import compare_as_run
from harness.matching.kinds import list_held
from harness.matching.observing import (
    describe_function,
    describe_infinite,
    find_leaving,
    find_swapped,
    list_outside,
    list_unruled,
    locate_first,
)
from harness.matching.placing import Tracer
from harness.matching.points import list_asks
from harness.matching.respondent import Ask, Respondent, Setting, compare_draws, digest_answers
from harness.matching.result import AS_BUILT, Result, Written
from harness.model.compiled import COMPILER
from harness.model.errors import raised, words_of
from harness.shadow.shadow import Shadow
from harness.waiting.progress import Say, silent


class _Unanswered(Exception):
    """Raised if two models cannot be compared in an evaluation; `result` says why."""

    def __init__(self, result: Result) -> None:
        super().__init__()
        self.result = result


class Asker:
    """Evaluates both models in a setting: a dtype, a device and a mode (train() or eval()).

    `known` has the results of the mode that was judged before. A result is used again if both
    models compute the same numbers in this mode, bit by bit, by the same operations. `say` gets
    progress messages. With `calls_only`, nothing is compared where no way of calling moves a bit.
    """

    def __init__(
        self,
        models: Models,
        setting: Setting,
        known: Sequence[Result] = (),
        say: Say = silent,
        calls_only: bool = False,
    ) -> None:
        self.models, self.setting, self.known = models, setting, known
        self.calls_only = calls_only
        self.tracer = Tracer(say)
        self.turn = object()  # a new key: compilations are counted from 0 in each setting
        self.made = models.subject.builder.make(setting.dtype, setting.device)
        self.made_reference = models.reference.builder.make(setting.dtype_reference, setting.device)

    def ask(self, ask: Ask) -> Result:
        """Return the result at one point; an error of a model is part of it."""
        models, setting = self.models, self.setting
        theirs = Respondent(
            models, models.reference, self.made_reference, setting.dtype_reference, setting
        )
        mine = Respondent(models, models.subject, self.made, setting.dtype, setting)
        asked = theirs
        try:
            state = round_state(ask.state, setting.dtypes)
            if ask.before is not None:  # buffers go on from there
                names = models.reference.tensors.parameters
                state = {name: each for name, each in state.items() if name in names}
            theirs.prepare(ask, state, models.reference.built)
            stored = theirs.stored
            theirs.state = {**theirs.start, **theirs.exact}
            asked = mine
            built = models.mapping.convert(models.reference.built)
            mine.prepare(ask, models.mapping.convert(stored), built)
        except Exception as error:  # a user's model may raise anything
            return Result(ask, broken=f"{asked.side.builder.name} {raised(error)}")
        try:
            with COMPILER.asking(self.turn):
                return self._ask(ask, mine, theirs, stored)
        except _Unanswered as ended:
            return ended.result

    def _ask(self, ask: Ask, mine: Respondent, theirs: Respondent, stored: State) -> Result:
        """Return the result at one point, for models that are set to it; `stored` are the
        reference's tensors. Raises _Unanswered.
        """
        setting = self.setting
        ran, looked, dropping = self._meet(ask, mine, theirs)
        ways = list_ways(setting.mode, 1 if ask.alone else ask.seed)
        called = Called(mine, ask, ways, ran), Called(theirs, ask, ways, looked)
        moving = [way for way in ways if any(each.moves(way) for each in called)]
        if self.calls_only and not moving:
            return Result(ask)
        digest = mine.digest + theirs.digest + digest_answers(ran)
        for result in self.known:
            if result.ask.seed == ask.seed and result.digest == digest and not moving:
                return result
        result = self._compare(ask, mine, theirs, stored, ran, Caller(*called, moving))
        return replace(
            result,
            digest=digest,
            dropping=dropping,
            written=find_written(ask, mine, theirs),
            written_theirs=find_written(ask, theirs, mine),
        )

    def _meet(
        self, ask: Ask, mine: Respondent, theirs: Respondent
    ) -> tuple[Mapping[str, Tensor], Mapping[str, Tensor], Dropping | None]:
        """Return the answers of both models, `mine` and `theirs`, and how many numbers their
        dropouts decide on, if dropout is switched off so that they can be compared.

        Raises _Unanswered if they cannot be compared.
        """
        ran, looked = self._look(ask, mine, theirs)
        dropping = None
        random, missing = compare_draws(mine, theirs, ask)
        if missing:
            raise _Unanswered(Result(ask, missing=missing))
        if random:
            dropping = compare_dropouts(mine.dropped, theirs.dropped)
            mine.dropout = theirs.dropout = False
            ran, looked = self._look(ask, mine, theirs)
            if any(compare_draws(mine, theirs, ask)):  # it is no dropout of torch
                raise _Unanswered(Result(ask, random=random))
        if after := [name for name in mine.written if name in theirs.written]:
            mine.after = theirs.after = after
            ran, looked = self._look(ask, mine, theirs)
        return ran, looked, dropping

    def _look(
        self, ask: Ask, mine: Respondent, theirs: Respondent
    ) -> tuple[Mapping[str, Tensor], Mapping[str, Tensor]]:
        """Return the subject's answers of a run without recording, and the reference's answers.

        Afterwards both models have noted the random numbers that they draw. Raises _Unanswered if a
        model raises.
        """
        again = ", when it was called again, so something is kept between calls"
        ran = self._try(ask, mine, partial(mine.run, ask))  # the first call of a new module
        looked = self._try(ask, theirs, partial(theirs.look, ask))
        self._try(ask, mine, partial(mine.look, ask), again)
        return ran, looked

    def _try(
        self, ask: Ask, one: Respondent, call: Callable[[], Mapping[str, Tensor]], more: str = ""
    ) -> Mapping[str, Tensor]:
        """Return the answers of a call; raise _Unanswered, with `more` to say, if it raises."""
        try:
            return call()
        except Exception as error:  # a user's model may raise anything
            said = f"{one.side.builder.name} {raised(error)}{more}"
            raise _Unanswered(Result(ask, broken=said)) from error

    def _follow(self, ask: Ask, one: Respondent) -> Shadow:
        """Return the shadow of a model; raise _Unanswered, with the model's name, if there is
        none.
        """
        try:
            return one.shadow(ask)
        except Exception as error:
            why = raised(error).removeprefix("raised Unwatched: ")
            said = f"the operations of {one.side.builder.name} cannot be followed: {why}"
            raise _Unanswered(Result(ask, broken=said)) from error

    def _compare(
        self,
        ask: Ask,
        mine: Respondent,
        theirs: Respondent,
        stored: State,
        ran: Mapping[str, Tensor],
        caller: Caller,
    ) -> Result:
        """Compare the evaluations of both models, `mine` of the subject and `theirs` of the
        reference.

        `stored` are the reference's tensors at the start, by name, and `ran` the subject's answers
        of a run without recording. `caller` compares the models in other ways of calling.
        """
        subject, reference = self._follow(ask, mine), self._follow(ask, theirs)
        for one, other in ((subject, reference), (reference, subject)):
            if one.loses_digits:
                one.forgive(find_tables(one, other).operations)
        carry = self.models.mapping.at(stored)
        both = subject, reference, carry, ask.seed, lambda: mine.run(ask), ran
        try:
            compared, fused = compare_as_run(*both)
        except RuntimeError as error:  # of torch: an operation has no derivative
            said = (
                f"rounding cannot be followed to the answers: {words_of(error)}; compare the"
                " numbers that go into this operation"
            )
            return Result(ask, broken=said)
        rounded, apart = False, list_differing(compared)
        if apart and self._allow_rounded(subject, reference, mine, theirs):
            rerun, _ = compare_as_run(*both)
            rounded = list_differing(rerun) < apart
            if rounded:  # rounding a constant is no work of the operations, whose bits are counted
                compared = [
                    replace(one, bits_worse=before.bits_worse, worse_in=before.worse_in)
                    for one, before in zip(rerun, compared, strict=True)
                ]
        buffers = self.models.reference.tensors.buffers
        compared = drop_folded(compared, buffers, subject, reference, carry)
        calls: Sequence[Call] = ()
        if not any(one.outcome == "differs" or is_outside(one) for one in compared):
            calls = caller.list_calls(subject, reference, carry)
        name = theirs.side.builder.name
        differing = [
            one
            for one in compared
            if one.outcome == "differs"
            or (one.outcome == "not finite" and one.factor)
            or _is_lacking(one, subject, reference)
        ]
        if differing:
            subject, reference = hold_tables(subject, reference)
        found = self.tracer.find(subject, reference, differing)
        first = {
            answer: locate_first(subject, reference, operations, name)
            for answer, operations in found.items()
        }
        begins = next(iter(found.values()), ())
        is_endless = any(math.isinf(one.run_factor) for one in compared)
        return Result(
            ask,
            compared,
            first,
            list_outside(subject),
            list_unruled(subject, reference),
            find_swapped(subject, reference, compared),
            draws=len(mine.drawn),
            left=find_leaving(subject, reference),
            endless=find_endless(subject) if is_endless else None,
            backwards=[describe_function(each) for each in list_wrong_backwards(subject)],
            not_finite=describe_infinite(mine, theirs, ran, reference),
            fused=fused,
            rounded=rounded,
            causes=list_causes(subject, reference, begins, name),
            calls=calls,
            held=list_held(subject, reference),
            by_storing=bool(differing) and self._is_by_storing(both, mine, theirs),
        )

    def _is_by_storing(self, both: Any, mine: Respondent, theirs: Respondent) -> bool:
        """Would rounding to float32 the numbers that both models hold explain the difference? They
        must be compared as built; `both` are the arguments of a comparison.
        """
        if self.models.given.parameters != AS_BUILT:
            return False
        for shadow, one in zip(both[:2], (mine, theirs), strict=True):
            shadow.allow_rounded(list_stored(shadow, one.module))
        return not list_differing(compare_as_run(*both)[0])

    def _allow_rounded(
        self, subject: Shadow, reference: Shadow, mine: Respondent, theirs: Respondent
    ) -> bool:
        """Allow constants of both models to be rounded to their dtype; return whether there are
        any.
        """
        own = list_rounded(subject, reference, mine.module)
        own |= find_tables(subject, reference).errors
        others = list_rounded(reference, subject, theirs.module)
        others |= find_tables(reference, subject).errors
        subject.allow_rounded(own)
        reference.allow_rounded(others)
        return bool(own or others)


def list_differing(compared: Sequence[Compared]) -> set[str]:
    """Return the names of the answers that differ."""
    return {one.answer for one in compared if one.outcome == "differs"}


def list_calls_in_float64(models: Models, setting: Setting) -> list[Call]:
    """Return the ways of calling in which both models differ in float64, at the first two points:
    narrower dtypes hide a difference that is less than they may lose.
    """
    wide = replace(setting, dtype="float64", dtype_reference="float64")
    asker = Asker(models, wide, calls_only=True)
    return [call for ask in list_asks(models)[:2] for call in asker.ask(ask).calls]


def find_written(ask: Ask, one: Respondent, other: Respondent) -> Written | None:
    """Return the inputs into which one model writes, and the other does not; None if there are
    none.
    """
    names = [name for name in one.written if name not in other.written]
    return Written(names, one.find_writing(ask)) if names else None


def _is_lacking(one: Compared, subject: Shadow, reference: Shadow) -> bool:
    """Is an answer a gradient that the subject does not have, because it is cut off?"""
    known = subject.watched.answers, reference.watched.answers
    return one.outcome == "shape" and one.answer not in known[0] and one.answer in known[1]
