"""Evaluates a built PyTorch model on a device, draw by draw: as users call it and as they train it.

A draw is one problem of a stack. A head is one output tensor of the model, a group one input
tensor, and a block one parameter tensor. The own parameters are the model's own tensors, flattened
to one vector (P,). In shapes, D counts draws, R rows, I inputs, O outputs, and P own parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from harness.core.contract import Array
from harness.core.implementation import Missing, Observation
from harness.core.numpy_errors import users
from harness.core.problem import QUANTITIES, Problem
from harness.core.verdict import Status
from harness.pytorch.devices import held_in
from harness.pytorch.errors import MOST_SAID, WrongAnswer, raised
from harness.pytorch.intermediates import Stages
from harness.pytorch.losses import check_loss, compute_gradients, copy_gradient, squared_error
from harness.pytorch.modes import describe_modes, have_same_numbers
from harness.pytorch.tensors import (
    describe_shape,
    list_heads,
    make_tensors,
    split_columns,
    to_array,
    to_plain,
)
from harness.text.harmless import class_name, shown

if TYPE_CHECKING:
    import torch

UserLoss = Callable[[Any, Any], Any]
FORWARD = QUANTITIES[0]
# every sixteenth draw is asked as training asks: backward() on inputs that need no gradient
AS_TRAINED = 16


class Draw(NamedTuple):
    """One draw of a problem as tensors: own parameters by block, inputs by group, targets by head.

    `number` is its position in the stack. With `as_trained`, the model is called in its other modes
    too (no_grad, eval), and its gradient is computed by backward().
    """

    number: int
    values: list[torch.Tensor]
    inputs: list[torch.Tensor]
    targets: list[torch.Tensor]
    as_trained: bool


class Repeat(NamedTuple):
    """The outputs of a repeated call that differ from the first call's outputs.

    `mode` describes the repeated call, `draw` is the number of the draw, and `heads` are the
    outputs.
    """

    mode: str
    draw: int
    heads: list[torch.Tensor]


class Answers:
    """Collects a model's answers, draw by draw: tensors by quantity, reasons for missing
    quantities, and repeated calls with other outputs.
    """

    def __init__(self) -> None:
        self.tensors: dict[str, list[list[torch.Tensor]]] = {name: [] for name in QUANTITIES}
        self.missing: dict[str, Missing] = {}
        self.repeats: list[Repeat] = []

    def first_missing(self) -> Missing | None:
        """Return the reason why a quantity has no answer; None if all quantities have one.

        If several have none, the first in the order of QUANTITIES counts.
        """
        for quantity in QUANTITIES:
            if quantity in self.missing:
                return self.missing[quantity]
        return None


@dataclass(frozen=True, eq=False)
class Model:
    """A built model on a device.

    `call` takes the inputs and returns the outputs. `parameters` are the model's tensors in the
    order of `Subject.own`. `user_loss` is the user's own loss function, or None.
    """

    call: Callable[..., Any]
    parameters: list[torch.Tensor]
    user_loss: UserLoss | None
    dtype: str
    device: str

    @users()
    def observe(self, problem: Problem, stagewise: bool = False) -> Observation:
        """Evaluate outputs, loss and gradients at each draw; the gradient is by own parameters (D,
        P).

        Errors that the model raises, outputs of a wrong shape, changed inputs or parameters, and
        different outputs in a repeated call become part of the observation.

        With `stagewise` the model is evaluated a second time to record its intermediate results.
        These are used only if the second evaluation gives the same answers: recording may run other
        code (`torch.compile` steps aside).
        """
        observation = self._observe(problem, stagewise)
        if not stagewise or observation.missing is not None:
            return observation
        stages = Stages(problem.rows)
        watched = self._observe(problem, stagewise, stages.record)
        if watched.missing is None and _have_same_values(observation, watched):
            return replace(observation, seen=stages.columns())
        return observation

    def _observe(
        self, problem: Problem, as_trained: bool, watched: Callable[[], Any] = nullcontext
    ) -> Observation:
        """Evaluate each draw once, inside the context `watched()`.

        Every sixteenth draw is evaluated as training does, see Draw; with `as_trained` every draw
        is.
        """
        values, inputs, targets = make_tensors(problem, self.dtype, self.device)
        draws = zip(_unbind(values), _unbind(inputs), _unbind(targets), strict=True)
        answers = Answers()
        for number, (of_values, of_inputs, of_targets) in enumerate(draws):
            each = as_trained or number % AS_TRAINED == 0
            draw = Draw(number, of_values, of_inputs, of_targets, each)
            with watched():
                self._ask(problem, draw, answers)
            if FORWARD in answers.missing:
                break
        return self._collect(problem, answers)

    def _ask(self, problem: Problem, draw: Draw, answers: Answers) -> None:
        """Evaluate one draw and add each quantity to `answers`, until one raises an error."""
        tensors = self._evaluate(problem, draw, answers.repeats)
        for quantity in QUANTITIES:
            try:
                answers.tensors[quantity].append(next(tensors))
            except Exception as error:  # whatever a user's model raises is its answer
                answers.missing.setdefault(quantity, self._missing(error, problem))
                return

    def _collect(self, problem: Problem, answers: Answers) -> Observation:
        """Make the observation: stack each quantity that has an answer at every draw.

        Other quantities are left out, and the reason for the first of them is kept.
        """
        by_row = (problem.draws, problem.rows, -1)
        shapes: tuple[tuple[int, ...], ...] = by_row, (problem.draws,), (problem.draws, -1), by_row
        arrays: dict[str, Array] = {}
        for quantity, shape in zip(QUANTITIES, shapes, strict=True):
            draws = answers.tensors[quantity]
            if len(draws) != problem.draws:
                continue
            try:
                arrays[quantity] = _stack(draws, shape)
            except Exception as error:  # numbers that cannot be read, as on the meta device
                answers.missing.setdefault(quantity, self._missing(error, problem))
        missing = answers.first_missing()
        others: dict[str, Array] = {}
        if missing is None:
            for mode, draw, heads in answers.repeats:
                if mode not in others:
                    others[mode] = arrays[FORWARD].copy()
                others[mode][draw] = to_array(heads, problem.rows, -1)
        return Observation(arrays, missing, by_own=True, others=others)

    def _missing(self, error: Exception, problem: Problem) -> Missing:
        status = Status.FAIL if type(error) is WrongAnswer else Status.BROKEN
        why = raised(error)
        if class_name(error) == "OutOfMemoryError":
            own = problem.formulation.own.size
            why += f" (with {problem.rows} rows, {own} parameters, {self.dtype})"
        return Missing(status, why)

    def _evaluate(
        self, problem: Problem, draw: Draw, repeats: list[Repeat]
    ) -> Iterator[list[torch.Tensor]]:
        """Yield each quantity at one draw, in the order of QUANTITIES.

        Outputs of repeated calls that differ from the first outputs are added to `repeats`.
        """
        inputs, targets = draw.inputs, draw.targets
        self.set(draw.values)
        if draw.as_trained:
            for mode, heads in self._repeat(problem, draw):
                repeats.append(Repeat(mode, draw.number, heads))
        for x in inputs:
            x.requires_grad_()
        heads = self.heads(problem, inputs)
        yield [head.detach().clone() for head in heads]
        loss = self.loss(problem, heads, targets)
        yield [loss.detach().clone()]
        gradients = compute_gradients(loss, [*self.parameters, *inputs])
        count = len(self.parameters)
        if draw.as_trained:
            yield self._trained_gradient(problem, [x.detach() for x in inputs], targets)
        else:
            yield gradients[:count]
        yield gradients[count:]

    def set(self, values: Sequence[torch.Tensor]) -> None:
        """Copy these values into the model's parameters."""
        import torch

        with torch.no_grad():
            torch._foreach_copy_(self.parameters, list(values))

    def heads(self, problem: Problem, inputs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Call the model and return one tensor (R, O) for each head.

        Raises WrongAnswer for outputs of a wrong shape or dtype.
        """
        heads = list_heads(self._call(inputs))
        shapes = [describe_shape(head) for head in heads]
        expected = [str((problem.rows, width)) for width in problem.formulation.network.outputs]
        if shapes != expected:
            same = sorted(shapes) == sorted(expected)
            mistake = "the heads are in another order" if same else "one row an input row"
            found = f"{' and '.join(shapes) or 'none'}, expected {' and '.join(expected)}"
            raise WrongAnswer(f"gave outputs of shapes {found}: {mistake}")
        dtype = self.parameters[0].dtype
        for head in heads:
            if head.is_complex() or head.dtype.itemsize < dtype.itemsize:
                raise WrongAnswer(
                    f"gave outputs of {head.dtype}, expected {dtype}: something inside is of that"
                    " dtype"
                )
        return heads

    def _call(self, inputs: Sequence[torch.Tensor]) -> Any:
        """Call the model. If it rejects the number of arguments, the TypeError says how it was
        called.
        """
        try:
            return self.call(*inputs)
        except TypeError as error:
            text = shown(error, MOST_SAID, str)
            if "positional argument" not in text:
                raise
            names = ["x"]
            if len(inputs) > 1:
                names = [f"x{number + 1}" for number in range(len(inputs))]
            raise TypeError(
                f"{text}: the network's inputs are {len(inputs)},"
                f" so it is called as module({', '.join(names)})"
            ) from error

    def loss(
        self, problem: Problem, heads: list[torch.Tensor], targets: Sequence[torch.Tensor]
    ) -> torch.Tensor:
        """Return the user's own loss, or the problem's squared error if the user has given none.

        Raises WrongAnswer unless the loss is a single real number.
        """
        loss: Any
        if self.user_loss is None:
            loss = squared_error(problem, heads, targets, self.parameters)
        elif len(heads) == 1:
            loss = self.user_loss(heads[0], targets[0])
        else:
            loss = self.user_loss(heads, list(targets))
        return check_loss(loss)

    def loss_slopes(self, problem: Problem, outputs: Array) -> Array | None:
        """Return the derivatives of the loss by the outputs, at these outputs (D, R, O), in the
        model's dtype.

        Return None if the loss has no derivative, raises an error, or depends on the parameters
        directly.
        """
        import torch

        kind = held_in(self.dtype)
        given = torch.tensor(outputs, dtype=kind, device=self.device)
        targets = torch.tensor(problem.targets, dtype=kind, device=self.device)
        draws = []
        for output, target in zip(given, targets, strict=True):
            slopes = self._slopes_at(problem, output, target)
            if slopes is None:
                return None
            draws.append(slopes)
        return np.asarray(torch.stack(draws).double().cpu().numpy())

    def _slopes_at(
        self, problem: Problem, output: torch.Tensor, target: torch.Tensor
    ) -> torch.Tensor | None:
        """Return the derivatives of the loss by the outputs (R, O) of one draw; None as in
        `loss_slopes`.
        """
        import torch

        widths = problem.formulation.network.outputs
        heads = [head.requires_grad_() for head in split_columns(output, widths)]
        free = [parameter for parameter in self.parameters if parameter.requires_grad]
        try:
            loss = self.loss(problem, heads, split_columns(target, widths))
            slopes = torch.autograd.grad(loss, [*heads, *free], allow_unused=True)
        except Exception:  # whatever a user's loss raises of tensors that no model gave
            return None
        if any(slope is not None for slope in slopes[len(heads) :]):
            return None
        columns = []
        for head, slope in zip(heads, slopes, strict=False):
            columns.append(torch.zeros_like(head) if slope is None else slope)
        return torch.cat(columns, -1)

    def _repeat(self, problem: Problem, draw: Draw) -> Iterator[tuple[str, list[torch.Tensor]]]:
        """Call the model again in other modes; yield the mode and outputs of each call with other
        outputs.

        PyTorch may round differently under no_grad. Raises WrongAnswer if a call changes the inputs
        or the parameters.
        """
        import torch

        before = [x.clone() for x in draw.inputs]
        heads = self.heads(problem, draw.inputs)
        own = [to_plain(parameter) for parameter in self.parameters]
        _expect_unchanged("inputs", draw.inputs, before)
        _expect_unchanged("own parameters", own, draw.values)
        module: Any = self.call
        for evaluating, mode in describe_modes(module).items():
            with torch.no_grad(), ExitStack() as afterwards:
                if evaluating:
                    afterwards.callback(module.eval().train)
                again = self.heads(problem, draw.inputs)
            if not have_same_numbers(heads, again):
                yield mode, again

    def _trained_gradient(
        self, problem: Problem, inputs: Sequence[torch.Tensor], targets: Sequence[torch.Tensor]
    ) -> list[torch.Tensor]:
        """Return the gradient that a training loop reads: the tensors' `grad` after loss.backward()
        and its hooks.

        The inputs need no gradient here, as in training.
        """
        for parameter in self.parameters:
            parameter.grad = None
        loss = self.loss(problem, self.heads(problem, inputs), targets)
        if loss.requires_grad:
            loss.backward()  # type: ignore[no-untyped-call]
        return [copy_gradient(parameter, parameter.grad) for parameter in self.parameters]


def _unbind(stacks: Sequence[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
    """Yield a list of tensors for each draw: one tensor from each stack (D, ...)."""
    for parts in zip(*(stack.unbind() for stack in stacks), strict=True):
        yield list(parts)


def _stack(draws: Sequence[Sequence[torch.Tensor]], shape: tuple[int, ...]) -> Array:
    """Join the tensors of all draws into one array of this shape.

    Each draw is a list of tensors: one for each block, group or head. They are joined along the
    last axis.
    """
    import torch

    stacks = [torch.stack(parts) for parts in zip(*draws, strict=True)]
    return to_array(stacks, *shape)


def _have_same_values(first: Observation, second: Observation) -> bool:
    """Does the second observation have the same numbers for each answer of the first? NaN equals
    NaN.
    """
    return all(
        np.array_equal(answer, second.values[name], equal_nan=True)
        for name, answer in first.values.items()
    )


def _expect_unchanged(
    what: str, now: Sequence[torch.Tensor], before: Sequence[torch.Tensor]
) -> None:
    """Raise WrongAnswer if a call changed the tensors; `what` is their name in the message."""
    import torch

    if not all(map(torch.equal, now, before)):
        raise WrongAnswer(
            f"changed its {what} when it was called, expected it to leave them as they are"
        )
