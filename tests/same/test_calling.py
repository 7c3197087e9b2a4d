"""Models are called as in use too: without gradients, with frozen parameters, with plain inputs."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.core.verdict import Status
from harness.same.case import same
from tests.conftest import Approved
from tests.same.models import DATA, Plain, judge

EVAL: dict[str, Any] = {"dtypes": ["float64"], "modes": ["eval"]}
FUNCTION = "float64 same-function-eval"
ROWS = (3, 4, 8)


def ask(model: Any, reference: Any, data: Any = DATA, **more: Any) -> Any:
    """The verdict on the function in eval()."""
    return judge(same(model, reference, data=data, **{**EVAL, **more}))[FUNCTION]


class Layer(nn.TransformerEncoderLayer):
    """torch's layer."""

    def __init__(self) -> None:
        super().__init__(8, 2, 16, dropout=0.0, batch_first=True)


class Doubled(Layer):
    """An override, which torch's fast path leaves out."""

    def _ff_block(self, x: Tensor) -> Tensor:
        return 2 * super()._ff_block(x)


class DoubledByHand(Layer):
    """The same without the fast path, which wants one input more."""

    def forward(self, src: Tensor, **more: Any) -> Tensor:
        x = self.norm1(src + self._sa_block(src, None, None))
        return self.norm2(x + 2 * self._ff_block(x))


class OnlyInUse(Plain):
    """Another function where no gradients are asked for."""

    def hidden(self, x: Tensor) -> Tensor:
        h = super().hidden(x)
        return h if torch.is_grad_enabled() else h.clamp(-0.5, 0.5)


class RaisesInUse(Plain):
    def hidden(self, x: Tensor) -> Tensor:
        h = super().hidden(x)
        if not h.requires_grad:
            raise ValueError("no graph")
        return h


class Saving(torch.autograd.Function):
    """A product whose backward pass leaves out the weight's gradient if the input needs none."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return x @ weight.T

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Any:  # type: ignore[override]
        x, weight = ctx.saved_tensors
        if not ctx.needs_input_grad[0]:
            return None, None
        return slope @ weight, slope.T @ x


class BySaving(Plain):
    def forward(self, x: Tensor) -> Any:
        h = torch.tanh(Saving.apply(x, self.a.weight) + self.a.bias)
        return self.o(torch.tanh(self.b(h)))


class ScaledWhenFrozen(Plain):
    def hidden(self, x: Tensor) -> Tensor:
        h = super().hidden(x)
        return h if self.a.weight.requires_grad else 2 * h


WRONG = [
    (Doubled, DoubledByHand, ROWS),
    (DoubledByHand, Doubled, ROWS),
    (OnlyInUse, Plain, DATA),
    (Plain, OnlyInUse, DATA),
    (RaisesInUse, Plain, DATA),
    (BySaving, Plain, DATA),
    (ScaledWhenFrozen, Plain, DATA),
]


@pytest.mark.parametrize(("model", "reference", "data"), WRONG)
def test_a_difference_without_gradients_is_found(
    model: Any, reference: Any, data: Any, approved: Approved
) -> None:
    """It is told which way of calling shows it, and which model moves."""
    verdict = ask(model, reference, data)
    assert verdict.status is Status.FAIL
    approved(verdict.why, mask_figures=True)


RIGHT = [
    (Layer, Layer, ROWS),
    (Doubled, Doubled, ROWS),
    (OnlyInUse, OnlyInUse, DATA),
    (BySaving, BySaving, DATA),
    (RaisesInUse, RaisesInUse, DATA),
    (Plain, RaisesInUse, DATA),
    (ScaledWhenFrozen, ScaledWhenFrozen, DATA),
]


@pytest.mark.parametrize(("model", "reference", "data"), RIGHT)
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_what_both_do_in_use_is_the_same(model: Any, reference: Any, data: Any, dtype: str) -> None:
    """Fast paths round otherwise; what both leave out is no difference of them."""
    verdicts = judge(same(model, reference, data=data, dtypes=[dtype], modes=["eval"]))
    assert {verdict.status for verdict in verdicts.values()} <= {Status.PASS, Status.VACUOUS}
    assert verdicts[f"{dtype} same-function-eval"].status is Status.PASS
