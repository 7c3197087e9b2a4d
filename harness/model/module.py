"""A built PyTorch model on a device: its outputs, its loss and the slopes of its loss.

A head is one output tensor of the model. In shapes, D counts draws (problems of a stack), R rows
and O outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.core.contract import Array
from harness.core.implementation import Missing
from harness.core.problem import Problem
from harness.model.devices import held_in
from harness.model.errors import MOST_SAID, WrongAnswer, raised, status_of
from harness.model.losses import check_loss, compute_loss
from harness.model.tensors import describe_shape, list_heads, split_columns
from harness.text.harmless import class_name, shown

if TYPE_CHECKING:
    from torch import Tensor

EXPORT = 'export it for any number of rows, dynamic_shapes=({0: torch.export.Dim("rows")},)'
UserLoss = Callable[[Any, Any], Any]
# from inputs (D, R, I) and parameters by name (D, *shape) to outputs (D, R, O) by head
Stacked = Callable[[Sequence[Any], Mapping[str, Any]], Any]


class Heads(list["Tensor"]):
    """A model's outputs, one tensor (R, O) for each head. `flat` says that the model returned (R,),
    without the axis of outputs.

    R counts rows and O outputs.
    """

    flat = False

    @classmethod
    def of(cls, outputs: Any, rows: int, widths: tuple[int, ...]) -> Heads:
        """Return a model's outputs as one tensor for each head; a single output (R,) becomes (R,
        1).

        `rows` is R, and `widths` are the expected numbers O of outputs of each head. R counts rows.
        """
        import torch

        heads = cls(list_heads(outputs))
        if len(heads) == 1 and widths == (1,) and type(heads[0]) is torch.Tensor:
            heads.flat = heads[0].shape == (rows,)
        if heads.flat:
            heads[0] = heads[0].unsqueeze(-1)
        return heads


@dataclass(frozen=True, eq=False)
class Model:
    """A built model on a device.

    `call` takes the inputs and returns the outputs. `parameters` are the model's tensors, in the
    order of the layout that `Subject.own` returns. `user_loss` is the user's own loss function, or
    None. `turns` counts the draws (single problems) that have been evaluated. `stacked` computes D
    copies of the model in one call; None if each draw is evaluated alone.
    """

    call: Callable[..., Any]
    parameters: list[Tensor]
    user_loss: UserLoss | None
    dtype: str
    device: str
    turns: Iterator[int] = field(default_factory=count)
    stacked: Stacked | None = None

    def describe_error(self, error: Exception, problem: Problem) -> Missing:
        """Return the `Missing` (why an answer is missing) for an error that the model raised."""
        status = status_of(error)
        why = raised(error)
        if class_name(error) == "OutOfMemoryError":
            own = problem.formulation.own.size
            why += f" (with {problem.rows} rows, {own} parameters, {self.dtype})"
        if "Guard failed" in why:
            why += f": {EXPORT}"
        return Missing(status, why)

    def set(self, values: Sequence[Tensor], numbers: Sequence[int] | None = None) -> None:
        """Copy these values into the model's parameters, one tensor each; with `numbers`, only into
        the parameters at these positions.
        """
        import torch

        parameters, values = self.parameters, list(values)
        if numbers is not None:
            parameters = [parameters[number] for number in numbers]
            values = [values[number] for number in numbers]
        with torch.no_grad():
            torch._foreach_copy_(parameters, values)

    def heads(self, problem: Problem, inputs: Sequence[Tensor]) -> Heads:
        """Call the model on the input tensors, and return one tensor (R, O) for each head.

        R counts rows and O outputs. Raises WrongAnswer for outputs of a wrong shape or dtype.
        """
        widths = problem.network.outputs
        heads = Heads.of(self._call(inputs), problem.rows, widths)
        self._expect_shapes(problem, heads)
        dtype = self.parameters[0].dtype
        for head in heads:
            if head.is_complex() or head.dtype.itemsize < dtype.itemsize:
                raise WrongAnswer(
                    f"gave outputs of {head.dtype}, expected {dtype}: something inside is of that"
                    " dtype"
                )
        return heads

    def _expect_shapes(self, problem: Problem, heads: Sequence[Any]) -> None:
        """Raise WrongAnswer unless each head is a tensor (R, O).

        R counts rows and O outputs.
        """
        import torch

        rows, widths = problem.rows, problem.network.outputs
        if len(heads) == len(widths) and all(
            type(head) is torch.Tensor and head.shape == (rows, width)
            for head, width in zip(heads, widths, strict=True)
        ):
            return
        shapes = [describe_shape(head) for head in heads]
        expected = [str((rows, width)) for width in widths]
        if shapes != expected:
            same = sorted(shapes) == sorted(expected)
            mistake = "the heads are in another order" if same else "one row an input row"
            message = f"{' and '.join(shapes) or 'none'}, expected {' and '.join(expected)}"
            raise WrongAnswer(f"gave outputs of shapes {message}: {mistake}")

    def _call(self, inputs: Sequence[Tensor]) -> Any:
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

    def loss(self, problem: Problem, heads: list[Tensor], targets: Sequence[Tensor]) -> Tensor:
        """Return the user's own loss, or the problem's loss if the user has given none.

        Raises WrongAnswer unless the loss is a single real number.
        """
        loss: Any
        if self.user_loss is None:
            loss = compute_loss(problem, heads, targets, self.parameters)
        else:
            outputs, expected = self.for_user(problem, heads, targets)
            loss = self.user_loss(outputs, expected)
        return check_loss(loss)

    def for_user(
        self, problem: Problem, heads: Sequence[Tensor], targets: Sequence[Tensor]
    ) -> tuple[Any, Any]:
        """Return outputs and targets in the form in which a user's own loss takes them: tensors if
        there is one head, else lists of tensors.

        Both are (R,) if the model returned that. Targets that are labels are the numbers of the
        classes, (R,). R counts rows.
        """
        expected = list(targets)
        if problem.loss.targets == "labels":
            for number, error in enumerate(problem.loss.errors(len(expected))):
                if error == "softmax":
                    expected[number] = expected[number].argmax(-1)
        if len(heads) > 1:
            return list(heads), expected
        if getattr(heads, "flat", False):
            return heads[0].squeeze(-1), expected[0].squeeze(-1)
        return heads[0], expected[0]

    def loss_slopes(self, problem: Problem, outputs: Array) -> Array | None:
        """Return the derivatives of the loss by the outputs, at the given outputs; both are (D, R,
        O). They are computed in the model's dtype.

        Return None if the loss has no derivative, raises an error, or depends on the parameters
        directly. D counts draws (problems of a stack), R rows and O outputs.
        """
        import torch

        kind = held_in(self.dtype)
        leaf = torch.tensor(outputs, dtype=kind, device=self.device)
        targets = torch.tensor(problem.targets, dtype=kind, device=self.device)
        draws = []
        for output, target in zip(leaf, targets, strict=True):
            slopes = self._slopes_at(problem, output, target)
            if slopes is None:
                return None
            draws.append(slopes)
        return np.asarray(torch.stack(draws).double().cpu().numpy())

    def _slopes_at(self, problem: Problem, output: Tensor, target: Tensor) -> Tensor | None:
        """Return the derivatives of the loss by the outputs (R, O) of one draw (one problem of a
        stack), in the same shape; None in the cases that `loss_slopes` names.

        R counts rows and O outputs.
        """
        import torch

        widths = problem.network.outputs
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
