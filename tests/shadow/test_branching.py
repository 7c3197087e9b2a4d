"""Where a model and its shadow take different branches, the difference is part of the bound."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from harness.shadow.shadow import Shadow
from harness.shadow.watch import watch

WAYS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "a mask": lambda z: z * (z > 0),
    "where": lambda z: torch.where(z > 0, z, torch.zeros_like(z)),
    "an index": lambda z: torch.stack([torch.zeros_like(z), z])[(z > 0).long(), 0],
}


@pytest.mark.parametrize("way", WAYS)
def test_a_branch_near_a_kink_is_no_mismatch(way: str) -> None:
    """A sum that float32 rounds to the other side of 0 has another slope, and is within reach."""
    x = torch.tensor([1.0, 2.0**-30, -1.0]).requires_grad_()
    w = torch.tensor([1.0, 1.0, 1.0])

    def call() -> dict[str, Tensor]:
        z = ((x * w)[0] + (x * w)[1]) + (x * w)[2]  # 2^-30, which float32 rounds to 0
        h = WAYS[way](z.reshape(1))
        return {"gradient of x": torch.autograd.grad(h.sum(), x)[0]}

    shadow = Shadow(watch(call), "float32")
    found, number = shadow.watched.observed("gradient of x"), shadow.read("gradient of x").sum()
    apart = abs(float(found.double().sum() - number.detach()))
    assert apart == pytest.approx(3)  # the slope is 0 in float32, 1 in exact arithmetic
    assert apart <= shadow.reach([number])[0].as_run


BENDS: dict[str, Callable[[Tensor], Tensor]] = {
    "softplus": nn.functional.softplus,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "silu": nn.functional.silu,
    "gelu": nn.functional.gelu,
    "mish": nn.functional.mish,
    "log sigmoid": nn.functional.logsigmoid,
    "softmax": lambda z: torch.softmax(torch.cat([z, torch.zeros_like(z)]), 0)[:1],
    "log softmax": lambda z: torch.log_softmax(torch.cat([z, torch.zeros_like(z)]), 0)[:1],
}


@pytest.mark.parametrize("way", BENDS)
def test_a_bend_within_the_error_is_no_mismatch(way: str) -> None:
    """A sum of large numbers that bfloat16 rounds to 0 instead of -50 has another slope."""
    x = torch.tensor([2.0**15, -50.0, -(2.0**15)], dtype=torch.bfloat16).requires_grad_()

    def call() -> dict[str, Tensor]:
        z = (x[0] + x[1]) + x[2]
        return {"gradient of x": torch.autograd.grad(BENDS[way](z.reshape(1)).sum(), x)[0]}

    shadow = Shadow(watch(call), "bfloat16")
    found, number = shadow.watched.observed("gradient of x"), shadow.read("gradient of x").sum()
    apart = abs(float(found.double().sum() - number.detach()))
    assert apart > 0.2
    assert apart <= shadow.reach([number])[0].as_run


def test_branches_hide_no_lost_precision() -> None:
    """Of a cast inside a chain of ReLU all bits are counted, and the cast is named: the numbers
    behind it differ by its rounding, not by another branch.
    """
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(16, generator=generator, dtype=torch.float64).requires_grad_()

    def call() -> dict[str, Tensor]:
        h = x.float().double()
        for _ in range(8):
            h = torch.relu(1.1 * h)
        return {"output": h}

    shadow = Shadow(watch(call), "float64")
    reach = shadow.reach([shadow.read("output").sum()])[0]
    assert reach.as_run / reach.as_declared > 2**20
    assert [operation.name for _, operation in reach.lost] == ["aten::_to_copy"]


def test_the_cast_that_moves_a_branch_is_named() -> None:
    """Where the shadow's ReLU is 0, so is the derivative by the cast; but the run takes the other
    branch.
    """
    x = torch.tensor([1 + 2.0**-8 + 2.0**-12], requires_grad=True)

    def call() -> dict[str, Tensor]:
        return {"output": torch.relu(x.bfloat16().float() - (1 + 2.0**-8 + 2.0**-11))}

    shadow = Shadow(watch(call), "float32")
    (reach,) = shadow.reach([shadow.read("output")])
    assert reach.as_run > 1e3 * reach.as_declared
    assert [operation.name for _, operation in reach.lost] == ["aten::_to_copy"]
