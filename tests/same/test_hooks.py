"""A hook that changes a gradient is named by its own line."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.core.verdict import Status
from harness.same.case import same
from tests.same.models import DATA, Plain, judge


class LeakyHead(Plain):
    def leak(self, h: Tensor) -> Tensor:
        return nn.functional.leaky_relu(h, 0.1)

    def forward(self, x: Tensor) -> Any:
        return self.o(self.leak(self.hidden(x)))


class LeakyByMask(LeakyHead):
    """Its mask needs no gradient, so that nothing is cut off."""

    def leak(self, h: Tensor) -> Tensor:
        mask = (h.detach() > 0).to(h.dtype)
        return h * mask + 0.1 * h * (1 - mask)


class HookedTensor(LeakyByMask):
    def leak(self, h: Tensor) -> Tensor:
        leaked = super().leak(h)
        if leaked.requires_grad:
            leaked.register_hook(lambda slope: slope.clamp(-0.1, 0.1))
        return leaked


class HookedLayer(LeakyByMask):
    def __init__(self) -> None:
        super().__init__()
        self.b.register_full_backward_hook(lambda part, slopes, more: (0.9 * slopes[0],))


class Residual(Plain):
    """A hook bends a gradient of which a residual carries a part."""

    def carry(self, h: Tensor) -> Tensor:
        return h

    def hidden(self, x: Tensor) -> Tensor:
        h = torch.tanh(self.a(x))
        if h.requires_grad:
            h.register_hook(lambda slope: torch.sin(slope))
        return torch.tanh(self.b(h)) + self.carry(h)


class ResidualCutOff(Residual):
    def carry(self, h: Tensor) -> Tensor:
        return h.detach()


HOOKED = [
    (HookedTensor, LeakyHead, "slope.clamp(-0.1, 0.1)"),
    (HookedLayer, LeakyHead, "0.9 * slopes[0]"),
    (ResidualCutOff, Residual, "h.detach()"),
]


@pytest.mark.parametrize(("model", "reference", "line"), HOOKED)
def test_a_hook_is_named_and_not_a_detach_that_cuts_nothing(
    model: Any, reference: Any, line: str
) -> None:
    """By its own line; if both have the hook, what is cut off is named."""
    case = same(model, reference, data=DATA, dtypes=["float64"], modes=["train"], draws=1)
    verdict = judge(case)["float64 same-function-train"]
    assert verdict.status is Status.FAIL
    named = next(one for one in str(verdict.why).splitlines() if "first operation" in one)
    assert line in named
