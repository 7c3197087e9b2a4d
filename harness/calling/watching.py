"""Records a model's evaluation at one draw of a problem, operation by operation.

A draw is one problem of a stack. In shapes, R counts rows, I inputs, O outputs and P own
parameters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness.core.numpy_errors import users
from harness.core.problem import Problem
from harness.model.losses import compute_gradients
from harness.model.module import Model
from harness.model.tensors import make_tensors

if TYPE_CHECKING:
    from torch import Tensor

    from harness.shadow.recording import Run
    from harness.shadow.shadow import Shadow

MOST_NUMBERS = 2**21  # of the runs whose shadows are kept: 100 MB, each number in several arrays


class Shadows:
    """The latest shadows: the trials of a failing subject ask for those of the same draws."""

    def __init__(self) -> None:
        self._shadows: dict[tuple[int, Problem, int], tuple[Model, Shadow, int]] = {}

    def get(self, model: Model, problem: Problem, number: int) -> Shadow:
        """Return the result of `shadow_draw`, which is called on the first use."""
        key = id(model), problem, number
        found = self._shadows.pop(key, None)
        if found is None:
            shadow = shadow_draw(model, problem, number)
            run = shadow.watched.run
            found = model, shadow, sum(version.numbers.numel() for version in run.versions)
        self._shadows[key] = found  # the latest one is the last
        while sum(size for *_, size in self._shadows.values()) > MOST_NUMBERS:
            del self._shadows[next(iter(self._shadows))]
        return found[1]


@users()
def shadow_draw(model: Model, problem: Problem, number: int) -> Shadow:
    """Return the shadow of a model's evaluation at one draw: its own operations, recorded and
    repeated in float64, with bounds on their rounding errors.

    `number` is the draw's position in the problem. The shadow's answers are forward (R, O), loss
    (), gradient (P,) by own parameters and input_gradient (R, I). Raises the model's errors, and
    Unwatched for tensors that cannot be followed.
    """
    import torch

    from harness.shadow.shadow import Shadow
    from harness.shadow.watch import watch

    draw = np.arange(problem.draws) == number
    stacks = make_tensors(problem.part(draw), model.dtype, model.device)
    values, inputs, targets = ([stack[0] for stack in each] for each in stacks)
    model.set(values)
    for x in inputs:
        x.requires_grad_()

    def call() -> dict[str, Tensor]:
        heads = model.heads(problem, inputs)
        loss = model.loss(problem, heads, targets)
        slopes = compute_gradients(loss, [*model.parameters, *inputs])
        by_own, by_inputs = slopes[: len(values)], slopes[len(values) :]
        return {
            "forward": torch.cat(list(heads), 1),
            "loss": loss,
            "gradient": torch.cat([slope.reshape(-1) for slope in by_own]),
            "input_gradient": torch.cat(list(by_inputs), 1),
        }

    module = model.call if isinstance(model.call, torch.nn.Module) else None
    watched = watch(call, module)
    _copy_leaves(watched.run)
    return Shadow(watched, model.dtype)


def _copy_leaves(run: Run) -> None:
    """Copy the arrays that no operation has computed: the model's next call overwrites them."""
    computed = {
        place.version
        for operation in run.operations
        for place in operation.results
        if place is not None
    }
    for number, version in enumerate(run.versions):
        if number not in computed:
            version.numbers = version.numbers.clone()
