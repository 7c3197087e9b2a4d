"""Two models in other words: the same function passes in every dtype, a changed one is placed."""

import math

import pytest
import torch
from torch import Tensor, nn

from harness.evaluating.evaluation import GRADIENT
from harness.locating.located import locate
from harness.matching.carry import ByName
from harness.matching.compare import Compared, compare
from harness.matching.outcomes import WIDEST
from harness.matching.placing import find_first
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


class Near(nn.Module):
    """A norm of two numbers whose order turns round in bfloat16."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([0.8984375, 0.91796875]))
        self.bias = nn.Parameter(torch.tensor([0.0, -0.002]))
        self.norm = nn.LayerNorm(2, eps=1e-12)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.weight * x + self.bias)


class Away(nn.Module):
    """Adds a large number to a layer's outputs and takes it off again."""

    def __init__(self, large: float) -> None:
        super().__init__()
        self.large = large
        torch.manual_seed(0)
        self.layer = nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        return (self.layer(x) + self.large) - self.large


def watch_output(model: nn.Module, x: Tensor, dtype: torch.dtype) -> Shadow:
    model = model.to(dtype)
    name = str(dtype).removeprefix("torch.")
    return Shadow(watch(lambda: {"output": model(x.to(dtype))}, model), name)


def test_what_first_order_leaves_out_is_no_error() -> None:
    """Every operation is right, and rounding has turned the signs of the norm's outputs."""
    x = torch.tensor([[1.1171875, 1.09375]])
    mine, theirs = (watch_output(Near(), x, torch.bfloat16) for _ in range(2))
    away = abs(mine.watched.observed("output").double() - mine.read("output"))
    assert away.min() > 1.9
    (output,) = compare(mine, theirs, ByName(), torch.Generator().manual_seed(0))
    assert output.run_resolution < 0.01
    assert output.run_factor <= 1


def test_a_run_that_is_not_the_recorded_one_is_judged() -> None:
    """The recorded run's own error is no leave for another."""
    x = torch.tensor([[1.1171875, 1.09375]])
    mine, theirs = (watch_output(Near(), x, torch.bfloat16) for _ in range(2))
    ran = {"output": mine.watched.observed("output") * 1.5}
    (output,) = compare(mine, theirs, ByName(), torch.Generator().manual_seed(0), ran)
    assert output.run_factor > 1


def test_a_sum_of_zeros_and_one_number_loses_no_bits() -> None:
    """Cross entropy by one-hot targets of 1,000 classes is as precise as torch's own."""
    logits, target = torch.randn(8, 1000), torch.arange(8)
    hot = nn.functional.one_hot(target, 1000)

    class Own(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.cross_entropy(x, target)

    class ByOneHot(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return -(hot * torch.log_softmax(x, 1)).sum() / len(x)

    mine, theirs = (watch_output(model, logits, torch.float32) for model in (ByOneHot(), Own()))
    (output,) = compare(mine, theirs, ByName(), torch.Generator().manual_seed(0))
    assert output.outcome == "same"
    assert output.bits_worse < 1


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_noise_has_no_precision_to_keep(dtype: torch.dtype) -> None:
    """Where rounding may change the reference's answer by its size, no form of it is worse."""
    x = torch.randn(4, 6)
    mine, theirs = (watch_output(Away(large), x, dtype) for large in (1e6, 1e4))
    (output,) = compare(mine, theirs, ByName(), torch.Generator().manual_seed(0))
    if dtype is torch.float64:
        assert output.bits_worse > 5
    else:
        assert math.isnan(output.bits_worse)


@pytest.mark.parametrize("rows", [4, 512])
def test_an_answer_of_many_elements_is_judged_as_one_of_few(rows: int) -> None:
    """Its bound is compared with the sum of its elements' sizes: both grow with their number."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 8))
    x = torch.randn(rows, 16)
    mine, theirs = (watch_output(model, x, torch.bfloat16) for _ in range(2))
    wrong = {"output": mine.watched.observed("output") * 1.5}
    (output,) = compare(mine, theirs, ByName(), torch.Generator().manual_seed(0), wrong)
    assert output.run_resolution <= WIDEST
    assert output.run_factor > 1
