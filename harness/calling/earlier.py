"""Calls a model before it is evaluated, with other numbers in the same tensors.

This detects two faults: a model that caches an answer by the identity of a tensor returns the old
answer, and a model that has one buffer for its outputs overwrites those of the earlier call.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from harness.calling.answers import Draw, DrawAnswers
from harness.calling.kept import Kept
from harness.calling.variations import choose_parameters, name_parameters
from harness.core.problem import Problem
from harness.model.errors import WrongAnswer
from harness.model.module import Model
from harness.model.tensors import to_plain

if TYPE_CHECKING:
    from torch import Tensor

# the conditions of a call, see Observation.conditions
CONDITIONS = "stack", "layout", "inputs in place", "parameters"
IN_STACK, IN_LAYOUT, IN_PLACE, FEW_PARAMETERS = CONDITIONS
VARIATIONS = "variations"  # further modes, see Variations
PLAINLY = *CONDITIONS, VARIATIONS  # left out where a model is called as few times as possible
IN_PLACE_WORDS = "after its inputs were changed in place, expected it to read them again"
OVERWRITTEN = (
    "overwrote the outputs of an earlier call when it was called again, expected outputs of its own"
    " from every call"
)


class EarlierCalls(NamedTuple):
    """Calls a model before it is evaluated at one draw.

    `answers` notes which earlier calls were made. `without` names the conditions (kinds of earlier
    calls) that are left out.
    """

    model: Model
    problem: Problem
    draw: Draw
    answers: DrawAnswers
    without: Collection[str]

    def call(self, in_place: bool) -> list[Kept]:
        """Set the model's parameters to the draw's, with earlier calls in between; return the
        outputs of these calls.

        With `in_place` the model is also called with other numbers in the memory of its inputs.
        Raises WrongAnswer if that call changes the inputs or the parameters.
        """
        model, outputs = self.model, []
        few = choose_parameters(self.draw.turn, len(model.parameters))
        if few and FEW_PARAMETERS not in self.without:
            outputs = self._change_few(few)
        else:
            model.set(self.draw.values)
        if in_place:
            outputs += self._call_in_place()
        return outputs

    def _change_few(self, few: Sequence[int]) -> list[Kept]:
        """Set the parameters numbered in `few`, call the model, then set all other parameters;
        return the outputs of the call.
        """
        import torch

        model, outputs = self.model, []
        others = [number for number in range(len(self.draw.values)) if number not in few]
        model.set(self.draw.values, few)
        with torch.no_grad(), suppress(Exception):
            outputs.append(Kept.of(model.heads(self.problem, self.draw.inputs)))
        if others:
            model.set(self.draw.values, others)
        self.answers.asked.add("parameters changed in place")
        self.answers.conditions[FEW_PARAMETERS] = (
            f"after its parameters other than {name_parameters(self.problem, few)} were changed,"
            " expected it to read them again"
        )
        return outputs

    def _call_in_place(self) -> list[Kept]:
        """Call the model with other numbers in the inputs' memory, then restore the inputs; return
        the outputs of the call.
        """
        import torch

        before = [x.clone() for x in self.draw.inputs]
        others = None if IN_PLACE in self.without else _find_others(self.draw)
        outputs = []
        if others is not None:
            torch._foreach_copy_(self.draw.inputs, others)
            self.answers.asked.add("inputs changed in place")
            self.answers.conditions[IN_PLACE] = IN_PLACE_WORDS
        with suppress(Exception):  # a model may reject these inputs; its own are still to come
            outputs = [Kept.of(self.model.heads(self.problem, self.draw.inputs))]
        own = [to_plain(parameter) for parameter in self.model.parameters]
        _expect_unchanged("inputs", self.draw.inputs, before if others is None else others)
        _expect_unchanged("own parameters", own, self.draw.values)
        if others is not None:
            torch._foreach_copy_(self.draw.inputs, before)
        return outputs

    def expect_kept(self, kept: Sequence[Kept]) -> None:
        """Raise WrongAnswer if a call overwrote the outputs of an earlier call, `kept`."""
        if not kept or not self.draw.as_trained:
            return
        others = [*self.draw.inputs, *(to_plain(parameter) for parameter in self.model.parameters)]
        if any(outputs.are_overwritten(others) for outputs in kept):
            raise WrongAnswer(OVERWRITTEN)
        self.answers.asked.add("outputs kept over later calls")


def _find_others(draw: Draw) -> list[Tensor] | None:
    """Return other inputs of the same shapes: the rows in reverse, or the inputs of another draw.

    Return None if there are none, or if an input is expanded and cannot be written to.
    """
    import torch

    if any(0 in x.stride() for x in draw.inputs):
        return None
    reverse = [x.flip(0) for x in draw.inputs]
    neighbours = [x.detach().clone() for x in draw.neighbours]
    for others in (reverse, neighbours):
        if not all(map(torch.equal, others, draw.inputs)):
            return others
    return None


def _expect_unchanged(what: str, now: Sequence[Tensor], before: Sequence[Tensor]) -> None:
    """Raise WrongAnswer if a call changed tensors from `before` to `now`.

    `what` is their name in the message.
    """
    import torch

    if not all(map(torch.equal, now, before)):
        raise WrongAnswer(
            f"changed its {what} when it was called, expected it to leave them as they are"
        )
