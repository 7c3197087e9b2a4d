"""A backward pass that is written by hand is compared with the derivative of its forward pass."""

from typing import Any

import pytest
import torch
from torch import Tensor

from harness.locating.own_backward import list_wrong_backwards
from harness.shadow.shadow import Shadow
from harness.shadow.watch import watch


class Cube(torch.autograd.Function):
    """x^3 w, with the right gradients."""

    @staticmethod
    def forward(context: Any, x: Tensor, w: Tensor) -> Tensor:
        context.save_for_backward(x, w)
        return x * x * x * w

    @staticmethod
    def backward(context: Any, g: Tensor) -> tuple[Tensor, ...]:
        x, w = context.saved_tensors
        return g * 3 * x * x * w, (g * x**3).sum(0)


class WrongCube(Cube):
    @staticmethod
    def backward(context: Any, g: Tensor) -> tuple[Tensor, ...]:
        x, w = context.saved_tensors
        return g * 3 * x * x * w, (g * x**3 * (1 + 1e-9)).sum(0)


class Forgotten(Cube):
    @staticmethod
    def backward(context: Any, g: Tensor) -> tuple[Any, ...]:
        x, w = context.saved_tensors
        return g * 3 * x * x * w, None


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(("function", "wrong"), [(Cube, 0), (WrongCube, 1), (Forgotten, 1)])
def test_a_wrong_backward_is_found(
    function: type[torch.autograd.Function], wrong: int, dtype: torch.dtype
) -> None:
    """A gradient that is off by a part in 10^9, or missing, is no derivative of its forward."""
    x = torch.linspace(-1, 2, 12, dtype=dtype).reshape(4, 3).requires_grad_()
    w = torch.tensor([0.5, 1.25, -2.0], dtype=dtype, requires_grad=True)

    def call() -> dict[str, Tensor]:
        loss = (function.apply(x, w) ** 2).sum()
        return {"loss": loss, "gradient of x": torch.autograd.grad(loss, x, retain_graph=True)[0]}

    shadow = Shadow(watch(call), str(dtype).removeprefix("torch."))
    assert len(list_wrong_backwards(shadow)) == wrong
