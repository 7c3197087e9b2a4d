"""Two models in other words: the same function passes in every dtype, a changed one is placed."""

import pytest
import torch
from torch import Tensor, nn

from harness.locating.located import locate
from harness.same.compare import GRADIENT, ByName, Compared, compare
from harness.same.placing import find_first
from harness.shadow.shadow import Shadow
from harness.shadow.watch import watch

DTYPES = [torch.float64, torch.float32, torch.bfloat16]


class Plain(nn.Module):
    """Four layers of logistic units."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(6, 6) for _ in range(4)])

    def activate(self, z: Tensor, layer: int) -> Tensor:
        return torch.sigmoid(z)

    def forward(self, x: Tensor) -> Tensor:
        for number, layer in enumerate(self.layers):
            x = self.activate(layer(x), number)
        return x


class ByTanh(Plain):
    """The same function by another formula."""

    def activate(self, z: Tensor, layer: int) -> Tensor:
        return 0.5 + 0.5 * torch.tanh(0.5 * z)


class Scaled(ByTanh):
    """The third layer is off by one part in 10^11."""

    def activate(self, z: Tensor, layer: int) -> Tensor:
        if layer == 2:
            z = z * (1 + 1e-11)
        return super().activate(z, layer)


def make_shadow(model: nn.Module, dtype: torch.dtype) -> Shadow:
    torch.manual_seed(0)
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape).bfloat16().to(dtype)
    x = torch.randn(12, 6).to(dtype).requires_grad_()

    def call() -> dict[str, Tensor]:
        output = model(x)
        named = dict(model.named_parameters())
        loss = (output**2).mean()
        slopes = torch.autograd.grad(loss, [x, *named.values()])
        gradients = {GRADIENT + name: slope for name, slope in zip(named, slopes[1:], strict=True)}
        return {"output": output, "loss": loss, "input gradient": slopes[0], **gradients}

    return Shadow(watch(call, model), str(dtype).removeprefix("torch."))


def compare_models(
    model: nn.Module, reference: nn.Module, dtype: torch.dtype
) -> tuple[list[Compared], Shadow, Shadow]:
    mine, theirs = make_shadow(model, dtype), make_shadow(reference, dtype)
    return compare(mine, theirs, ByName(), torch.Generator().manual_seed(0)), mine, theirs


@pytest.mark.parametrize("dtype", DTYPES)
def test_another_formula_is_the_same_function(dtype: torch.dtype) -> None:
    """The difference is judged with the resolution of float64, whatever the dtype."""
    compared, mine, _ = compare_models(ByTanh(), Plain(), dtype)
    assert {one.outcome for one in compared} == {"same"}
    assert all(one.resolution < 1e-9 for one in compared)
    assert all(checked.share < 1 for checked in mine.checked)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_part_in_1e11_is_found_and_placed(dtype: torch.dtype) -> None:
    """The first operation that differs is the changed one, by its line."""
    compared, mine, theirs = compare_models(Scaled(), Plain(), dtype)
    outputs = compared[0]
    assert outputs.outcome == "differs"
    (first,) = find_first(mine, theirs, outputs)
    assert first.name == "aten::mul"
    assert locate(first).source == "z = z * (1 + 1e-11)"
