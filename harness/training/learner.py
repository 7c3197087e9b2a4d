"""Models in training: a single model, or a stack of copies of a model that are computed at once.

A start is the vector of own parameters (the model's own tensors, flattened) with which training
begins. In shapes, D counts starts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

from harness.core.implementation import Missing
from harness.core.problem import Problem
from harness.model.module import Model, Stacked
from harness.model.stacks import expect_stack, stacked_losses
from harness.model.tensors import list_heads, make_tensors
from harness.pytorch.subject import Subject

if TYPE_CHECKING:
    from torch import Tensor


class Learner(Protocol):
    """The interface of a model in training: the parameters that an optimiser changes, and their
    loss.
    """

    @property
    def problem(self) -> Problem:
        """The starts and their data, inputs and targets."""

    @property
    def parameters(self) -> list[Tensor]: ...

    @property
    def module(self) -> Any:
        """The module as its user calls it; None for a stack."""

    def losses(self) -> Tensor:
        """Return the loss at the present parameters: () for a single model, (D,) for the copies of
        a stack.
        """


def describe_dropout(module: Any) -> str:
    """Return a sentence on dropout that a module in training has in use; "" if there is none."""
    from torch.nn.modules.dropout import _DropoutNd

    for name, layer in getattr(module, "named_modules", dict)():
        if isinstance(layer, _DropoutNd) and layer.p and layer.training:
            return (
                f"Layer {name} drops numbers at random in training (p = {layer.p:g}): to compare"
                " losses and gradients, let p be 0"
            )
    return ""


@dataclass(frozen=True, eq=False)
class SingleLearner:
    """A single model in training, with the parameters of one start."""

    problem: Problem
    model: Model
    inputs: list[Tensor]
    targets: list[Tensor]

    @classmethod
    def build(cls, subject: Subject, start: Problem, dtype: str, device: str) -> Self:
        """Build the model with the parameters of `start`, which has one draw.

        Raises RuntimeError if the model cannot be built.
        """
        values, inputs, targets = make_tensors(start, dtype, device)
        model = subject.live(start.formulation, dtype, device)
        if isinstance(model, Missing):
            raise RuntimeError(model.why)
        model.set([value[0] for value in values])
        return cls(start, model, [each[0] for each in inputs], [each[0] for each in targets])

    @property
    def parameters(self) -> list[Tensor]:
        return self.model.parameters

    @property
    def module(self) -> Any:
        return self.model.call

    def losses(self) -> Tensor:
        """Return the model's loss, ()."""
        heads = self.model.heads(self.problem, self.inputs)
        return self.model.loss(self.problem, heads, self.targets)


@dataclass(frozen=True, eq=False)
class StackLearner:
    """Copies of a model, one for each start, which the user's function `stacked` computes in one
    call.
    """

    problem: Problem
    stacked: Stacked
    parameters: list[Tensor]
    inputs: list[Tensor]
    targets: list[Tensor]
    module: None = None

    @classmethod
    def build(cls, stacked: Stacked, start: Problem, dtype: str, device: str) -> Self:
        """Make the parameters of all copies: one tensor (D, *shape) for each of the model's
        tensors.

        D counts starts.
        """
        values, inputs, targets = make_tensors(start, dtype, device)
        return cls(start, stacked, [value.requires_grad_() for value in values], inputs, targets)

    def losses(self) -> Tensor:
        """Return the loss of each copy, (D,)."""
        names = [block.name for block in self.problem.formulation.own.blocks]
        by_name = dict(zip(names, self.parameters, strict=True))
        heads = list_heads(self.stacked(self.inputs, by_name))
        expect_stack(heads, self.targets, "starts")
        return stacked_losses(self.problem, heads, self.targets, self.parameters)
