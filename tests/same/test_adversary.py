"""What an adversary tried: wrong models that look right, and right ones that look wrong."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from harness.core.verdict import Status
from harness.same.case import same
from tests.conftest import Approved
from tests.same import models as m
from tests.same.models import DATA, Plain, judge

FAST: dict[str, Any] = {"dtypes": ["float64"], "modes": ["train"]}


def statuses(model: Any, reference: Any, **more: Any) -> dict[str, Status]:
    """The statuses of all questions, by dtype and check."""
    found = judge(same(model, reference, **{"data": DATA, **FAST, **more}))
    return {name: verdict.status for name, verdict in found.items()}


class Masked(Plain):
    def hidden(self, x: Tensor) -> Tensor:
        h = super().hidden(x)
        return torch.where(self.mask(h), h, h * 1.5)

    def mask(self, h: Tensor) -> Tensor:
        return h > 0


class MaskedByNumPy(Masked):
    """Changes its mask in NumPy's memory, which no operation of torch sees."""

    def mask(self, h: Tensor) -> Tensor:
        mask = h > 0
        mask.numpy()[:3] = True
        return mask


class ReluByNumPy(Plain):
    """Clips a copy in NumPy's memory."""

    def hidden(self, x: Tensor) -> Tensor:
        h = super().hidden(x).clone()
        h.detach().numpy()[:2] = 0
        return h


class Hooked(Plain):
    """The gradient of one weight is doubled."""

    def __init__(self) -> None:
        super().__init__()
        self.a.weight.register_hook(lambda slope: 2 * slope)


class FirstCall(Plain):
    """Its first answer is off by a billionth."""

    def forward(self, x: Tensor) -> Any:
        first = not hasattr(self, "called")
        self.called = True
        return super().forward(x) * (1 + 1e-9 * first)


class CalledOnce(Plain):
    def forward(self, x: Tensor) -> Any:
        if hasattr(self, "called"):
            raise ValueError("called twice")
        self.called = True
        return super().forward(x)


class Scales(Plain):
    """Its outputs are of very different sizes."""

    small = 1e-6

    def forward(self, x: Tensor) -> Any:
        return super().forward(x) * x.new_tensor([1e6, 1.0, self.small])


class ScalesOff(Scales):
    small = 1.000001e-6


class ScalesApart(Scales):
    def forward(self, x: Tensor) -> Any:
        first, second, third = Plain.forward(self, x).unbind(1)
        return torch.stack([first * 1e6, second, third * 1e-6], 1)


class Infinite(Plain):
    """The logits of a class that is excluded are -inf."""

    def forward(self, x: Tensor) -> Any:
        y = super().forward(x)
        return torch.cat([torch.full_like(y[:, :1], -torch.inf), y[:, 1:]], 1)


class InfiniteByMask(Plain):
    def forward(self, x: Tensor) -> Any:
        excluded = torch.tensor([True, False, False])
        h = torch.einsum("bi,oi->bo", self.hidden(x), self.o.weight) + self.o.bias
        return h.masked_fill(excluded, -torch.inf)


class InfiniteOff(InfiniteByMask):
    def forward(self, x: Tensor) -> Any:
        return super().forward(x) * (1 + 1e-9)


class InfiniteElsewhere(Infinite):
    def forward(self, x: Tensor) -> Any:
        return super().forward(x)[:, [1, 0, 2]]


class OtherArgument(Plain):
    def forward(self, inputs: Tensor) -> Any:
        return super().forward(inputs)


class ByNothing(Plain):
    """Its gradient by the inputs is 0."""

    def forward(self, x: Tensor) -> Any:
        return super().forward(x * 0)


class ByNothingAtAll(Plain):
    """It has none."""

    def forward(self, x: Tensor) -> Any:
        return super().forward(torch.zeros_like(x))


class Whole(Plain):
    """Decides by masks and indices, made in many ways."""

    def hidden(self, x: Tensor) -> Tensor:
        h = super().hidden(x)
        mask = torch.zeros_like(h, dtype=torch.bool)
        mask[torch.logical_not(h.le(0)).nonzero(as_tuple=True)] = True
        mask.logical_and_(h > 0)
        order = torch.argsort(h, 1).argsort(1)
        return torch.where(mask, torch.gather(h.sort(1).values, 1, order), h * 1.5)


class Scripted(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.o = nn.Linear(5, 8), nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.o(torch.tanh(self.b(torch.tanh(self.a(x)))))


def script() -> Any:
    return torch.jit.script(Scripted())


WRONG = [
    (MaskedByNumPy, Masked),
    (ReluByNumPy, Plain),
    (Hooked, Plain),
    (FirstCall, Plain),
    (CalledOnce, Plain),
    (ScalesOff, Scales),
    (InfiniteOff, Infinite),
    (InfiniteElsewhere, Infinite),
    (Plain, m.Detached),
    (Plain, m.Frozen),
]


@pytest.mark.parametrize(("model", "reference"), WRONG)
def test_what_an_adversary_hides_is_found(model: Any, reference: Any, approved: Approved) -> None:
    """No wrong model passes, and what is said of it is approved."""
    found = judge(same(model, reference, data=DATA, **FAST))
    failing = [each.why for each in found.values() if each.status is not Status.PASS]
    assert failing
    assert {each.status for each in found.values()} & {Status.FAIL, Status.BROKEN}
    approved(failing[0], mask_figures=True)


def test_a_hook_of_a_module_that_is_built_is_kept() -> None:
    """A copy of a parameter has none of its hooks."""
    assert Status.FAIL in statuses(Hooked(), Plain()).values()


RIGHT = [
    (ScalesApart, Scales),
    (InfiniteByMask, Infinite),
    (OtherArgument, Plain),
    (ByNothingAtAll, ByNothing),
    (ByNothing, ByNothingAtAll),
    (script, Plain),
    (Plain, script),
    (Hooked, Hooked),
]


@pytest.mark.parametrize(("model", "reference"), RIGHT)
def test_right_models_that_look_wrong_pass(model: Any, reference: Any) -> None:
    """Infinite outputs, other names of arguments, gradients of 0, TorchScript."""
    assert set(statuses(model, reference).values()) == {Status.PASS}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_masks_and_indices_are_repeated_in_their_own_dtype(dtype: str) -> None:
    """A right model is not told that its memory was written from outside."""
    assert set(statuses(Whole, Masked, dtypes=[dtype]).values()) == {Status.PASS}


def test_numbers_of_other_distributions_are_drawn_once() -> None:
    """They are taken as observed, as those of dropout are."""

    class Noisy(Plain):
        def hidden(self, x: Tensor) -> Tensor:
            h = super().hidden(x)
            h = h * torch.empty_like(h).log_normal_() + torch.empty_like(h).cauchy_()
            return F.softmax(h + torch.empty_like(h).geometric_(0.3), -1)

    assert set(statuses(Noisy, Noisy).values()) == {Status.PASS}
