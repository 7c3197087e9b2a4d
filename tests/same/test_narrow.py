"""A cast to a narrower dtype is found where it loses digits, and excused if both lose as many."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.core.verdict import Status, Verdict
from harness.judging.cache import Cache
from harness.judging.store import Same
from harness.matching.outcomes import WORSE_BITS
from harness.running.trial import run
from harness.same.case import EvidenceIn, same
from tests.conftest import Approved
from tests.same.models import judge

WIDTH = 16_384


class Wide(nn.Module):
    """A layer so wide that the worst case of float32 is larger than a rounding to float16; only its
    bias is trained.
    """

    def __init__(self) -> None:
        super().__init__()
        self.table, self.out = nn.Embedding(9, WIDTH), nn.Linear(WIDTH, 3)
        self.requires_grad_(False).out.bias.requires_grad_(True)

    def pass_on(self, h: Tensor) -> Tensor:
        return h

    def forward(self, x: Tensor) -> Any:
        return self.out(self.pass_on(torch.tanh(self.table(x))))


class ThroughFloat16(Wide):
    def pass_on(self, h: Tensor) -> Tensor:
        return h.half().float()


class ThroughBfloat16(Wide):
    def pass_on(self, h: Tensor) -> Tensor:
        return h.bfloat16().float()


class UnderAutocast(Wide):
    def pass_on(self, h: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return (h[:, :4] @ torch.eye(4)).float() @ torch.eye(4, WIDTH) + h


class NarrowMask(Wide):
    """A mask and a half, which float16 holds, and a sum of few integers in it."""

    def pass_on(self, h: Tensor) -> Tensor:
        mask = (h > 0).half()
        half = torch.full((WIDTH,), 0.5, dtype=torch.float16)
        count = (mask[:, :8] + mask[:, 8:16]).sum(1, keepdim=True)
        return h * (mask * half + half).float() + 0 * count.float()


class NarrowIntegers(Wide):
    def pass_on(self, h: Tensor) -> Tensor:
        return h + h.detach().mul(8).round().half().float() / 8


class NarrowNoise(Wide):
    """Noise that is drawn in float16."""

    def pass_on(self, h: Tensor) -> Tensor:
        return h + torch.rand(WIDTH, dtype=torch.float16).float()


class NarrowAside(Wide):
    """A cast whose numbers reach no answer, and one that only decides."""

    def pass_on(self, h: Tensor) -> Tensor:
        self.seen = h.half().mean()
        return torch.where(h.half().float().abs() > 100, 0.0, h)


class WideMean(Wide):
    """float32 in a narrower model is no loss."""

    def pass_on(self, h: Tensor) -> Tensor:
        return h - h.float().mean(-1, keepdim=True).to(h.dtype)


WIDE: dict[str, Any] = {
    "data": "integers 0..8 (2,)",
    "modes": "eval",
    "dtypes": "float32",
    "draws": 1,
}


def ask(model: Any, reference: Any, **more: Any) -> Verdict:
    """The verdict on precision."""
    found = judge(same(model, reference, **{**WIDE, **more}))
    return next(each for name, each in found.items() if "precision" in name)


@pytest.mark.parametrize("model", [ThroughFloat16, ThroughBfloat16, UnderAutocast])
def test_a_narrow_operation_in_wide_layers_is_found(model: Any, approved: Approved) -> None:
    """By its own rounding, though the bounds of the layers are larger."""
    verdict = ask(model, Wide)
    assert verdict.status is Status.FAIL
    approved(verdict.why, mask_figures=True)


def test_a_declared_narrow_operation_passes() -> None:
    assert ask(UnderAutocast, Wide, precision_lost="autocast").status is Status.PASS


@pytest.mark.parametrize("model", [NarrowMask, NarrowIntegers, NarrowNoise, NarrowAside])
def test_narrow_numbers_that_lose_nothing_pass(model: Any) -> None:
    verdict = ask(model, model)
    assert verdict.status is Status.PASS
    assert "no precision is lost" in verdict.why


def test_a_wider_dtype_inside_is_no_loss() -> None:
    verdict = ask(WideMean, WideMean, dtypes="bfloat16")
    assert verdict.status is Status.PASS
    assert "no precision is lost" in verdict.why


class Norm(nn.Module):
    """A root mean square in float32, as Llama has it."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.o = nn.Linear(5, 16), nn.Linear(16, 3)
        self.weight = nn.Parameter(torch.ones(16))

    def norm(self, h: Tensor) -> Tensor:
        kind, h = h.dtype, h.float()
        return self.weight * (h * torch.rsqrt(h.pow(2).mean(-1, keepdim=True) + 1e-6)).to(kind)

    def forward(self, x: Tensor) -> Any:
        return self.o(torch.tanh(self.norm(self.a(x))))


class NormByRoot(Norm):
    """The same with a division by a root."""

    def norm(self, h: Tensor) -> Tensor:
        y = h.to(torch.float32)
        root = torch.sqrt((y * y).sum(-1, keepdim=True) / y.shape[-1] + 1e-6)
        return self.weight * (y / root).type_as(h)


class NormByTorch(Norm):
    """Its weight is in float32 too."""

    def norm(self, h: Tensor) -> Tensor:
        weight = self.weight.float()
        return nn.functional.rms_norm(h.float(), (16,), weight, 1e-6).type_as(h)


class NormInFloat16(NormByRoot):
    def norm(self, h: Tensor) -> Tensor:
        return super().norm(h).half().to(h.dtype)


class NormInFull(Norm):
    def norm(self, h: Tensor) -> Tensor:
        return self.weight * (h * torch.rsqrt(h.pow(2).mean(-1, keepdim=True) + 1e-6))


NORMS: dict[str, Any] = {"data": (7, 5), "dtypes": "float64"}


@pytest.mark.parametrize("model", [Norm, NormByRoot, NormByTorch])
def test_both_compute_in_float32(model: Any, approved: Approved) -> None:
    """The refactor is as good as the original, and where both round is said."""
    verdict = ask(model, Norm, **NORMS)
    assert verdict.status is Status.PASS
    approved(verdict.why, mask_figures=True)


@pytest.mark.parametrize(
    ("model", "reference"),
    [(NormInFloat16, Norm), (Norm, NormInFull), (NormInFloat16, NormInFull)],
)
def test_a_model_that_loses_more_than_its_reference_fails(model: Any, reference: Any) -> None:
    assert ask(model, reference, **NORMS).status is Status.FAIL


def test_a_form_in_float32_may_lose_some_bits_more() -> None:
    """A weight that is rounded too costs its gradient more than a bit, and less than another form
    may lose.
    """
    case = same(NormByTorch, Norm, **NORMS)
    cache = Cache(case)
    for trial in case.trials():
        run(trial, cache)
    evidence = cache.get(EvidenceIn(Same(case.problems), "cpu", "float64", "eval"))
    beyond = [
        math.log2(one.narrow.share / one.narrow_theirs.share)
        for result in evidence.results
        for one in result.compared
        if one.answer == "gradient of weight"
    ]
    assert 1 < max(beyond) < WORSE_BITS


def test_only_the_reference_loses_digits() -> None:
    verdict = ask(NormInFull, Norm, **NORMS)
    assert verdict.status is Status.PASS
    assert "no precision is lost" in verdict.why


def test_the_same_cast_on_both_sides_passes() -> None:
    assert ask(ThroughFloat16, ThroughFloat16).status is Status.PASS
    assert ask(ThroughBfloat16, ThroughFloat16).status is Status.FAIL
