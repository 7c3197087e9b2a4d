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

    from harness.shadow.shadow import Shadow


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
    return Shadow(watch(call, module), model.dtype)
