"""Operations that gather numbers from many places stay within the bounds of their rules."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from harness.rules.registry import RULES
from harness.shadow.shadow import Shadow
from harness.shadow.watch import Watched, watch
from tests.kernels.evaluations import ALL

DTYPES = ("float64", "float32", "bfloat16", "float16")
LACKING = ("average 3", "cdist")  # the CPU has no kernels of narrow dtypes


def is_ours(name: str) -> bool:
    """Has an operation a rule of this room?"""
    found = RULES.get(name)
    return found is not None and found.__module__.startswith("harness.kernels")


def observe(name: str, dtype: str) -> Watched:
    """Watch an evaluation and its gradients by inputs and parameters."""
    torch.manual_seed(1)
    held = getattr(torch, dtype)
    module = ALL[name].make().to(held)
    inputs = [torch.randn(shape).to(held).requires_grad_() for shape in ALL[name].shapes]
    weights: list[Tensor] = []

    def call() -> dict[str, Tensor]:
        output = module(*inputs)
        if not weights:
            weights.append(torch.randn(output.shape).to(held))
        leaves = [*inputs, *module.parameters()]
        slopes = torch.autograd.grad(output, leaves, weights[0], allow_unused=True)
        named = {f"gradient {i}": slope for i, slope in enumerate(slopes) if slope is not None}
        return {"output": output} | named

    call()
    return watch(call, module)


@pytest.mark.filterwarnings("ignore:index_reduce", "ignore:LSTM with projections")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", list(ALL))
def test_an_evaluation_is_within_its_bounds(name: str, dtype: str) -> None:
    """Each operation is within its own bound, and each answer within reach of its shadow."""
    if dtype.endswith("16") and name.startswith(LACKING):
        pytest.skip("the CPU has no such kernel")
    watched = observe(name, dtype)
    shadow = Shadow(watched, dtype)
    for one in shadow.checked:
        assert one.ruled, one.operation.name
        if is_ours(one.operation.functional):
            assert one.share < 1
    for answer in watched.answers:
        found = shadow.read(answer)
        apart = float((found - watched.observed(answer).double()).sum().detach())
        assert abs(apart) <= shadow.reach([found.sum()])[0].as_run
