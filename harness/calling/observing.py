"""Evaluates a built PyTorch model draw by draw: as users call it and as they train it.

A draw is one problem of a stack. A head is one output tensor of the model, a group one input
tensor, and a block one parameter tensor. In shapes, D counts draws, R rows, I inputs, O outputs,
and P own parameters.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from harness.calling.answers import Draw, DrawAnswers, StackAnswers, Tensors
from harness.calling.earlier import IN_LAYOUT, IN_STACK, VARIATIONS, EarlierCalls
from harness.calling.layouts import GRADIENT, choose_layout, describe_layout, hand_on, lay_out
from harness.calling.modes import describe_modes, have_same_numbers, hold_eval_mode
from harness.calling.variations import Variations, choose_parameters
from harness.core.implementation import Missing, Observation
from harness.core.numpy_errors import users
from harness.core.problem import QUANTITIES, Problem
from harness.core.verdict import Status
from harness.model.compiled import is_compiled
from harness.model.errors import WrongAnswer
from harness.model.intermediates import Stages
from harness.model.losses import compute_gradients, copy_gradients
from harness.model.module import Model
from harness.model.stacks import ask_stack
from harness.model.tensors import make_tensors

if TYPE_CHECKING:
    from torch import Tensor

FORWARD = QUANTITIES[0]
# every twelfth draw is asked as training asks: backward() on inputs that need no gradient
AS_TRAINED = 12
# of a model that is asked in stacks, every sixteenth draw is asked alone
ALONE = 16
# calls that show whether a model is random, if it answers otherwise in eval()
AGAIN = 8
NO_STACK = "cannot be asked a stack of draws in one call: it {}; leave out `stacked`"
STACKED_WORDS = "where a stack of draws was asked in one call, expected the same as alone"


@users()
def observe(
    model: Model, problem: Problem, stagewise: bool = False, without: Collection[str] = ()
) -> Observation:
    """Return a model's outputs, loss and gradients at each draw (single problem) of a stack of D
    draws.

    The gradient is by own parameters: the model's own P parameters (D, P). Errors that the model
    raises, outputs of a wrong shape, changed inputs or parameters, and different answers in a
    repeated call become part of the observation. With `stagewise` the model is evaluated a second
    time to record its intermediate results. They are used only if both evaluations give the same
    answers: recording may run other code (torch.compile is bypassed).

    `without` names conditions (CONDITIONS: layouts, earlier calls) under which the model is not
    called; VARIATIONS stands for the further modes.
    """
    observation = _observe(model, problem, stagewise, without)
    if not stagewise or observation.missing is not None:
        return observation
    stages = Stages(problem.rows)
    watched = _observe(model, problem, stagewise, without, stages)
    if watched.missing is None and _have_same_values(observation, watched):
        return replace(observation, seen=stages.columns())
    return observation


def _observe(
    model: Model,
    problem: Problem,
    stagewise: bool,
    without: Collection[str],
    stages: Stages | None = None,
) -> Observation:
    """Evaluate each draw once. With `stages`, record the model's intermediate results there, and
    call it in no further mode.

    Every twelfth draw is evaluated as in training, see Draw; with `stagewise` every draw is. With
    `stagewise` all draws are contiguous, since all must run the same operations. `without` names
    conditions under which the model is not called. If the model computes stacks of draws, one draw
    of sixteen is evaluated alone, and all draws in one call; with `stagewise` each draw is
    evaluated alone.
    """
    import torch

    in_stack = problem.draws > 1 and model.stacked is not None
    in_stack = in_stack and not stagewise and IN_STACK not in without
    step = ALONE if in_stack else 1
    tensors = make_tensors(problem, model.dtype, model.device)
    values, inputs, targets = ([stack[::step] for stack in stacks] for stacks in tensors)
    room = [torch.empty_like(stack) for stack in (*values, *inputs)]
    stacks = (values, inputs, targets, room)
    draws = list(zip(*map(_unbind, stacks), strict=True))
    varied = stages is None and not is_compiled(model) and VARIATIONS not in without
    laid_out = varied and not stagewise and IN_LAYOUT not in without
    same_rows = np.zeros(problem.draws, dtype=bool)
    if laid_out and problem.rows > 1:
        same_rows = (problem.inputs == problem.inputs[:, :1]).all(axis=(1, 2))
    shape = problem.rows, max(problem.network.inputs)
    rough = _is_rough(problem)
    observer = _Observer(model, problem, without, stagewise, stages, step)
    for place, (of_values, of_inputs, of_targets, for_gradients) in enumerate(draws):
        number = place * step
        turn = next(model.turns) if varied and rough else None
        as_trained = stagewise or (place if turn is None else turn) % AS_TRAINED == 0
        neighbours = draws[place - 1][1]
        layout = ""
        if laid_out:
            layout = choose_layout(problem.kind, place, shape, bool(same_rows[number]))
        of_draw = of_values, of_inputs, of_targets, neighbours, for_gradients
        draw = Draw(number, *of_draw, as_trained, layout, turn)
        with stages.record() if stages else nullcontext():
            observer.ask(draw)
        if FORWARD in observer.answers.missing:
            return observer.answers.observation()
    if in_stack:
        if is_compiled(model):
            return Observation({}, Missing(Status.BROKEN, NO_STACK.format("is compiled")))
        try:
            stack = ask_stack(model, problem, *tensors)
        except Exception as error:  # whatever a user's model or torch.vmap raises
            return Observation({}, _describe_refusal(model, problem, error))
        observer.answers.add_stack(IN_STACK, STACKED_WORDS, stack)
    return observer.answers.observation()


def _describe_refusal(model: Model, problem: Problem, error: Exception) -> Missing:
    """Return the `Missing` (why an answer is missing) for a model that raised an error in the call
    for a stack of draws.
    """
    missing = model.describe_error(error, problem)
    if missing.status is not Status.BROKEN:
        return missing
    return replace(missing, why=NO_STACK.format(missing.why))


class _Observer:
    """Evaluates a model at the draws of a problem.

    With `stages`, the model's operations are recorded, and it is called in no other mode.
    """

    def __init__(
        self,
        model: Model,
        problem: Problem,
        without: Collection[str],
        stagewise: bool,
        stages: Stages | None,
        step: int,
    ) -> None:
        self.model, self.problem = model, problem
        self.without, self.stagewise, self.stages = without, stagewise, stages
        self.answers = StackAnswers(model, problem, step)

    def ask(self, draw: Draw) -> None:
        """Evaluate one draw. If the model raises an error in the draw's memory layout, use a
        contiguous one.
        """
        answers = self._ask(draw)
        if draw.layout and answers.error is not None:
            self.model.set([-value for value in draw.values])  # other parameters, as before
            contiguous = self._ask(draw._replace(layout=""))
            if contiguous.error is None and type(answers.error) is WrongAnswer:
                answers.error = WrongAnswer(f"{answers.error}, {describe_layout(draw.layout)}")
            elif contiguous.error is None:
                answers = contiguous
        self.answers.add(draw.number, answers)

    def _ask(self, draw: Draw) -> DrawAnswers:
        """Return the answers at one draw: each quantity, until one raises an error."""
        answers = DrawAnswers()
        tensors = self._evaluate(draw, answers)
        for quantity in QUANTITIES:
            try:
                answers.tensors[quantity] = next(tensors)
            except Exception as error:  # whatever a user's model raises is its answer
                answers.failed, answers.error = quantity, error
                break
        return answers

    def _evaluate(self, draw: Draw, answers: DrawAnswers) -> Iterator[Sequence[Tensor]]:
        """Yield the tensors of each quantity at one draw, in the order of QUANTITIES.

        The results of further calls are added to `answers`.
        """
        model, problem = self.model, self.problem
        if draw.layout not in ("", GRADIENT):
            draw = self._lay_out(draw, answers)
        earlier = EarlierCalls(model, problem, draw, answers, self.without)
        kept = earlier.call(in_place=draw.as_trained and not self.stages)
        for x in draw.inputs:
            x.requires_grad_()
        heads = model.heads(problem, draw.inputs)
        if self.stages:
            self.stages.end_model()
        if draw.layout == GRADIENT and hand_on(heads):
            answers.asked.add(GRADIENT)
            answers.conditions[IN_LAYOUT] = describe_layout(GRADIENT)
        first: dict[str, Sequence[Tensor]] = {}
        first[FORWARD] = [head.detach().clone() for head in heads]
        if draw.as_trained and not self.stages:
            self._call_again(draw, answers, first)
        if draw.turn is not None:
            earlier.expect_kept(kept)
        yield first[FORWARD]
        loss = model.loss(problem, heads, draw.targets)
        first["loss"] = [loss.detach().clone()]
        yield first["loss"]
        variables = [*model.parameters, *draw.inputs]
        gradients = compute_gradients(loss, variables, draw.room)
        gradient, by_inputs = gradients[: len(draw.values)], gradients[len(draw.values) :]
        first["gradient"], first["input_gradient"] = gradient, by_inputs
        if draw.as_trained:
            gradient = self._trained_gradient(draw, answers)
        if choose_parameters(draw.turn, len(model.parameters)):
            variations = Variations(model, problem, draw, answers, first, self.stagewise)
            variations.ask(gradient)
        yield gradient
        yield by_inputs

    def _lay_out(self, draw: Draw, answers: DrawAnswers) -> Draw:
        """Return a copy of the draw whose inputs have its memory layout, and also its targets if
        the loss is the user's own code.
        """
        inputs = [lay_out(x, draw.layout) for x in draw.inputs]
        targets = draw.targets
        if self.model.user_loss is not None:
            targets = [lay_out(target, draw.layout) for target in targets]
        if not all(x.is_contiguous() for x in [*inputs, *targets]):
            answers.asked.add(draw.layout)
            answers.conditions[IN_LAYOUT] = describe_layout(draw.layout)
        return draw._replace(inputs=inputs, targets=targets)

    def _call_again(self, draw: Draw, answers: DrawAnswers, first: Tensors) -> None:
        """Call the model again in other modes, and add outputs that differ from `first` to
        `answers`.

        They need not be wrong: PyTorch may round differently under no_grad.
        """
        inputs = [x.detach() for x in draw.inputs]
        modes = describe_modes(self.model.call)
        for is_evaluating, when in modes.items():
            repeated = self._repeat(inputs, is_evaluating)
            answers.asked.add("eval()" if is_evaluating else "torch.no_grad()")
            if is_evaluating and not have_same_numbers(first[FORWARD], repeated):
                self._expect_no_chance(inputs, answers, first, modes[False])
            answers.compare(when, first, {FORWARD: repeated})
        if draw.turn is not None and draw.turn // AS_TRAINED % 2 == 0:
            self._infer(inputs, answers, first)

    def _repeat(self, inputs: Sequence[Tensor], is_evaluating: bool = False) -> Sequence[Tensor]:
        """Return the outputs of a repeated call under no_grad, in the present mode or in eval()."""
        import torch

        with torch.no_grad(), ExitStack() as afterwards:
            if is_evaluating:
                afterwards.enter_context(hold_eval_mode(self.model.call))
            return self.model.heads(self.problem, inputs)

    def _expect_no_chance(
        self, inputs: Sequence[Tensor], answers: DrawAnswers, first: Tensors, when: str
    ) -> None:
        """Call the model several times in its present mode, and add outputs that differ from
        `first` to `answers`.

        A dropout of a few numbers may draw the same ones twice. Then eval() would be blamed for a
        model that is random in each mode.
        """
        for _ in range(AGAIN):
            answers.compare(when, first, {FORWARD: self._repeat(inputs)})

    def _infer(self, inputs: Sequence[Tensor], answers: DrawAnswers, first: Tensors) -> None:
        """Call the model in inference mode, and add outputs that differ from `first` to `answers`.

        A model that raises an error in this mode is not compared.
        """
        import torch

        when = "under torch.inference_mode(), expected the same"
        try:
            with torch.inference_mode():
                repeated = self.model.heads(self.problem, inputs)
        except WrongAnswer as error:
            raise WrongAnswer(f"{error}, {when}") from None
        except Exception:  # a model that does not support it is not asked
            return
        answers.asked.add("torch.inference_mode()")
        answers.compare(when, first, {FORWARD: [head.clone() for head in repeated]})

    def _trained_gradient(self, draw: Draw, answers: DrawAnswers) -> list[Tensor]:
        """Return the gradient that a training loop reads: the tensors' `grad` after loss.backward()
        and its hooks.

        The inputs need no gradient here, as in training.
        """
        model = self.model
        for parameter in model.parameters:
            parameter.grad = None
        heads = model.heads(self.problem, [x.detach() for x in draw.inputs])
        if draw.layout == GRADIENT:
            hand_on(heads)
        loss = model.loss(self.problem, heads, draw.targets)
        if loss.requires_grad:
            loss.backward()  # type: ignore[no-untyped-call]
        answers.asked.add("backward()")
        return copy_gradients(model.parameters, [each.grad for each in model.parameters])


def _is_rough(problem: Problem) -> bool:
    """Are a problem's numbers varied enough to show a fault of the model in a further mode?

    Exact problems are not, since their numbers are simple, nor problems in which most parameters
    are 0.
    """
    return not problem.exact and bool(2 * np.count_nonzero(problem.own) > problem.own.size)


def _unbind(stacks: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Yield a list of tensors for each draw: one tensor from each stack (D, ...)."""
    for parts in zip(*(stack.unbind() for stack in stacks), strict=True):
        yield list(parts)


def _have_same_values(first: Observation, second: Observation) -> bool:
    """Does the second observation have the same numbers for each answer of the first? NaN equals
    NaN.
    """
    return all(
        np.array_equal(answer, second.values[name], equal_nan=True)
        for name, answer in first.values.items()
    )
