"""Calls a model once in each further mode, and compares its answers with its usual ones.

The modes are eval() with gradients, gradient accumulation, a deep copy, a loaded state_dict, a
frozen parameter, and other layouts. A mode is skipped if the model raises an error in it, or cannot
be copied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from harness.calling.answers import Draw, DrawAnswers, Tensors
from harness.calling.copies import deep_copy, save_state
from harness.calling.layouts import (
    EXPANDED,
    GRADIENT,
    LAYOUTS,
    OF_DRAWS,
    describe_layout,
    hand_on,
    lay_out,
)
from harness.calling.modes import (
    describe_modes,
    find_dropout,
    freeze_parameters,
    have_same_numbers,
    hold_eval_mode,
)
from harness.core.problem import Problem
from harness.model.errors import WrongAnswer
from harness.model.losses import compute_gradients, copy_gradients
from harness.model.module import Model

if TYPE_CHECKING:
    from torch import Tensor

FORWARD, LOSS, GRADIENTS, BY_INPUTS = "forward", "loss", "gradient", "input_gradient"
GROUPS = 4  # of parameters, that are frozen or changed one after the other
EVALUATING = "in eval() than in train(), as it was built, expected the same"
ADDING = "where two calls of backward() add up in .grad, expected twice that of one call"
SCALED = "where its loss is multiplied by -2, expected -2 times the usual one"
COPIED = "as a deep copy, expected the same"
LOADED = "after load_state_dict() has loaded its own state_dict(), expected the same"


def choose_parameters(turn: int | None, count: int) -> Sequence[int]:
    """Return the numbers of the parameters to freeze, or to change first, at one draw.

    `turn` is the number of earlier draws, and `count` the number of the model's parameters. Each of
    the first four draws has another quarter of the parameters; later draws, and `turn` None, have
    none.
    """
    if turn is None or turn >= GROUPS:
        return ()
    return range(turn, count, GROUPS)


def name_parameters(problem: Problem, numbers: Sequence[int]) -> str:
    """Return the names of a model's parameters, as "left.weight and out.bias"."""
    blocks = problem.formulation.own.blocks
    return " and ".join(blocks[number].name for number in numbers)


class Variations(NamedTuple):
    """Calls a model at one draw in further modes, and adds differing answers to `answers`.

    `first` are its answers in the ordinary call, by quantity. With `stagewise` the memory layouts
    are tried here, since all draws are contiguous.
    """

    model: Model
    problem: Problem
    draw: Draw
    answers: DrawAnswers
    first: Tensors
    stagewise: bool

    def ask(self, once: Sequence[Tensor]) -> None:
        """Call the model with a few frozen parameters and, if this is its first draw, in all modes.

        `once` is the gradient that one call of backward() leaves in .grad, by parameter. Raises
        WrongAnswer if an answer in a mode has a wrong form.
        """
        if self.draw.turn == 0:
            self._try("gradient accumulation", ADDING, partial(self._accumulate, once))
            self._try("gradient accumulation", SCALED, partial(self._scale, once))
            self._try("eval() with gradients", EVALUATING, self._evaluate)
            self._try("a deep copy", COPIED, self._copy)
            self._try("a state_dict that is loaded", LOADED, self._load)
            if self.problem.draws < OF_DRAWS or self.stagewise:
                self._ask_layouts()
            self._try(EXPANDED, describe_layout(EXPANDED), self._expand)
        few = choose_parameters(self.draw.turn, len(self.model.parameters))
        names = name_parameters(self.problem, few)
        when = f"where only {names} had requires_grad=False, expected the same of all others"
        self._try("a frozen parameter", when, partial(self._freeze, few))

    def _ask_layouts(self) -> None:
        for layout in LAYOUTS:
            self._try(layout, describe_layout(layout), partial(self._lay_out, layout))

    def _try(self, name: str, when: str, ask: Callable[[], Tensors | None]) -> None:
        """Get the answers in a mode from `ask`, and compare them with those of the ordinary call.

        `name` is the name of the mode, and `when` the end of the sentence that reports other
        answers. The mode does not count as tried if `ask` returns None or raises an error.
        """
        try:
            answers = ask()
        except WrongAnswer as error:
            raise WrongAnswer(f"{error}, {when}") from None
        except Exception:  # the model does not support this mode
            return
        if answers is not None:
            self.answers.asked.add(name)
            self.answers.compare(when, self.first, answers)

    def _heads(self, inputs: Sequence[Tensor], model: Model | None = None) -> Tensors:
        """Return the outputs for `inputs` under no_grad, of this model or of `model`."""
        import torch

        with torch.no_grad():
            return {FORWARD: (model or self.model).heads(self.problem, inputs)}

    def _answers(
        self, inputs: Sequence[Tensor], targets: Sequence[Tensor], layout: str = ""
    ) -> Tensors:
        """Return outputs, loss and all gradients, by quantity; `layout` may ask for another layout
        of the gradients by the outputs.

        The gradient by a frozen parameter is taken from the ordinary call.
        """
        model = self.model
        heads = model.heads(self.problem, inputs)
        if layout == GRADIENT:
            hand_on(heads)
        outputs = [head.detach().clone() for head in heads]
        loss = model.loss(self.problem, heads, targets)
        free = [parameter for parameter in model.parameters if parameter.requires_grad]
        gradients = iter(compute_gradients(loss, [*free, *inputs]))
        by_parameters = []
        for parameter, usual in zip(model.parameters, self.first[GRADIENTS], strict=True):
            by_parameters.append(next(gradients) if parameter.requires_grad else usual)
        return {
            FORWARD: outputs,
            LOSS: [loss.detach().clone()],
            GRADIENTS: by_parameters,
            BY_INPUTS: list(gradients),
        }

    def _evaluate(self) -> Tensors | None:
        module: Any = self.model.call
        if True not in describe_modes(module) or find_dropout(module):
            return None
        with hold_eval_mode(module):
            return self._answers(self.draw.inputs, self.draw.targets)

    def _freeze(self, few: Sequence[int]) -> Tensors | None:
        parameters = [self.model.parameters[number] for number in few]
        if not all(each.is_leaf and each.requires_grad for each in parameters):
            return None
        with freeze_parameters(parameters):
            return self._answers(self.draw.inputs, self.draw.targets)

    def _lay_out(self, layout: str) -> Tensors | None:
        """Return the answers in a memory layout; None if the inputs have no such layout, such as a
        single number.
        """
        if layout == GRADIENT:
            return self._answers(self.draw.inputs, self.draw.targets, layout)
        inputs = [lay_out(x.detach(), layout).requires_grad_() for x in self.draw.inputs]
        targets = [lay_out(target, layout) for target in self.draw.targets]
        if all(x.is_contiguous() for x in inputs):
            return None
        return self._answers(inputs, targets)

    def _expand(self) -> Tensors | None:
        """Return outputs that show an error for inputs whose rows are one row, expanded in memory.

        All rows are the draw's first row, so all rows of outputs should equal the first row of the
        ordinary outputs. The result is the ordinary outputs, but with the row that differs most as
        its first.
        """
        inputs = [x.detach()[:1].expand(x.shape) for x in self.draw.inputs]
        if all(x.is_contiguous() for x in inputs):
            return None
        outputs = []
        for head, expanded in zip(self.first[FORWARD], self._heads(inputs)[FORWARD], strict=True):
            difference = (expanded - head[:1]).abs().nan_to_num(nan=float("inf")).amax(-1)
            changed = head.clone()
            changed[0] = expanded[difference.argmax()]
            outputs.append(changed)
        return {FORWARD: outputs}

    def _accumulate(self, once: Sequence[Tensor]) -> Tensors | None:
        """Call backward() a second time, and return half of the accumulated gradient.

        Return None if twice the gradient is not finite.
        """
        import torch

        if not all(torch.isfinite(2 * gradient).all() for gradient in once):
            return None
        twice = self._call_backward(1)
        return self._compare_with(once, [gradient / 2 for gradient in twice])

    def _scale(self, once: Sequence[Tensor]) -> Tensors | None:
        """Return the gradient of -2 times the loss, divided by -2; None if it is too large."""
        import torch

        for parameter in self.model.parameters:
            parameter.grad = None
        scaled = self._call_backward(-2)
        if not all(torch.isfinite(gradient).all() for gradient in scaled):
            return None
        return self._compare_with(once, [gradient / -2 for gradient in scaled])

    def _call_backward(self, factor: int) -> list[Tensor]:
        """Call backward() on `factor` times the loss, and return the contents of .grad by
        parameter.
        """
        model = self.model
        heads = model.heads(self.problem, [x.detach() for x in self.draw.inputs])
        loss = model.loss(self.problem, heads, self.draw.targets)
        # not backward(gradient), at whose first use PyTorch imports sympy
        (loss * factor).backward()  # type: ignore[no-untyped-call]
        return copy_gradients(model.parameters, [each.grad for each in model.parameters])

    def _compare_with(self, once: Sequence[Tensor], found: Sequence[Tensor]) -> Tensors:
        """Return the gradient of the ordinary call if `found` equals `once`, else `found`.

        `once` is the gradient of one call of backward(), which may round differently from the
        ordinary call.
        """
        if have_same_numbers(found, once):
            return {GRADIENTS: self.first[GRADIENTS]}
        return {GRADIENTS: found}

    def _copy(self) -> Tensors | None:
        copied = deep_copy(self.model.call)
        if copied is None:
            return None
        return self._heads(self.draw.inputs, replace(self.model, call=copied))

    def _load(self) -> Tensors | None:
        """Save the model's state_dict, change its parameters, load the state_dict, and return its
        outputs.
        """
        module: Any = self.model.call
        state = save_state(module)
        if state is None:
            return None
        with self._restoring():
            self.model.set([-value for value in self.draw.values])
            self._heads(self.draw.inputs)
            module.load_state_dict(state)
            return self._heads(self.draw.inputs)

    @contextmanager
    def _restoring(self) -> Iterator[None]:
        try:
            yield
        finally:
            self.model.set(self.draw.values)
