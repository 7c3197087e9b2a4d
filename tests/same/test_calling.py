"""Models are called as in use too: without gradients, with frozen parameters, with plain inputs."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.core.verdict import Status
from harness.model import compiled
from harness.same.case import same
from tests.conftest import Approved
from tests.same import models as m
from tests.same.models import DATA, Plain, judge

EVAL: dict[str, Any] = {"dtypes": ["float64"], "modes": ["eval"]}
FUNCTION = "float64 same-function-eval"
ROWS = (3, 4, 8)


def ask(model: Any, reference: Any, data: Any) -> Any:
    """The verdict on the function in eval()."""
    return judge(same(model, reference, data=data, draws=1, **EVAL))[FUNCTION]


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


class ByHand(Layer):
    """torch's layer in single steps."""

    def forward(self, src: Tensor, **more: Any) -> Tensor:
        x = self.norm1(src + self._sa_block(src, None, None))
        return self.norm2(x + self._ff_block(x))


class Padded(nn.Module):
    """Its fast path gives 0 where the input is padded."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.TransformerEncoder(Layer(), 1)

    def forward(self, x: Tensor) -> Tensor:
        padding = torch.zeros(x.shape[:2], dtype=torch.bool)
        padding[0, -1] = True
        encoded: Tensor = self.encoder(x, src_key_padding_mask=padding)
        return encoded


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
    *((ByHand, Layer, ROWS, dtype) for dtype in ("float64", "float32", "bfloat16")),
    (Layer, ByHand, ROWS, "float32"),
    (Doubled, Doubled, ROWS, "float32"),
    (Padded, Padded, ROWS, "float64"),
    (OnlyInUse, OnlyInUse, DATA, "float64"),
    (BySaving, BySaving, DATA, "float64"),
    (RaisesInUse, RaisesInUse, DATA, "float64"),
    (Plain, RaisesInUse, DATA, "float64"),
    (ScaledWhenFrozen, ScaledWhenFrozen, DATA, "float64"),
]


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize(("model", "reference", "data", "dtype"), RIGHT)
def test_what_both_do_in_use_is_the_same(model: Any, reference: Any, data: Any, dtype: str) -> None:
    """Fast paths round otherwise; what both leave out is no difference of them."""
    case = same(model, reference, data=data, dtypes=[dtype], modes=["eval"], draws=1)
    found = judge(case)[f"{dtype} same-function-eval"]
    assert found.status is Status.PASS


class Twice(Plain):
    """Its later calls without gradients are those of a cache."""

    def forward(self, x: Tensor) -> Any:
        if torch.is_grad_enabled():
            return super().forward(x)
        self.called = getattr(self, "called", 0) + 1
        return super().forward(x) * self.called


class TwoOutputs(Plain):
    def forward(self, x: Tensor) -> Any:
        h = self.hidden(x)
        return self.o(h) if torch.is_grad_enabled() else (self.o(h), h)


class BackwardInForward(Plain):
    """Leaves gradients of its own in `.grad`, to which backward() adds."""

    def forward(self, x: Tensor) -> Any:
        y = super().forward(x)
        if torch.is_grad_enabled():
            y.square().sum().backward(create_graph=True)
        return y


class ScaledByZero(Plain):
    """What it adds in use has a factor of 0 as built."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.zeros(8))

    def hidden(self, x: Tensor) -> Tensor:
        h = super().hidden(x)
        return h * (1 + self.factor)


class ScaledInUse(ScaledByZero):
    def hidden(self, x: Tensor) -> Tensor:
        h = super().hidden(x)
        return h if self.a.weight.requires_grad else h + self.factor


class Smooth(Plain):
    def hidden(self, x: Tensor) -> Tensor:
        return nn.functional.gelu(super().hidden(x))


class SmoothInUse(Plain):
    """Another gelu in use, which a narrow dtype hides."""

    def hidden(self, x: Tensor) -> Tensor:
        how = "none" if torch.is_grad_enabled() else "tanh"
        return nn.functional.gelu(super().hidden(x), approximate=how)


MORE = [
    (Twice, Plain, "float64"),
    (TwoOutputs, Plain, "float64"),
    (Plain, TwoOutputs, "float64"),
    (BackwardInForward, Plain, "float64"),
    (ScaledInUse, ScaledByZero, "float64"),
    (SmoothInUse, Smooth, "bfloat16"),
]


@pytest.mark.filterwarnings("ignore:Using backward")
@pytest.mark.parametrize(("model", "reference", "dtype"), MORE)
def test_what_a_first_call_or_a_dtype_hides_is_found(
    model: Any, reference: Any, dtype: str, approved: Approved
) -> None:
    """Second calls, other outputs, `.grad`, factors of 0 as built, and bounds of bfloat16."""
    case = same(model, reference, data=DATA, draws=1, dtypes=[dtype], modes=["eval"])
    verdict = judge(case)[f"{dtype} same-function-eval"]
    assert verdict.status is Status.FAIL
    approved(verdict.why, mask_figures=True)


@pytest.mark.filterwarnings("ignore:Using backward")
@pytest.mark.parametrize("model", [Twice, TwoOutputs, BackwardInForward])
def test_what_both_hide_is_no_difference(model: Any) -> None:
    """Two models of one class are the same."""
    verdict = ask(model, model, DATA)
    assert verdict.status is Status.PASS


class Kept(torch.autograd.Function):
    """A product whose input is kept on the module."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, module: Any) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.module, module.kept = module, x.detach()
        return x @ weight.T

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Any:  # type: ignore[override]
        return slope @ ctx.saved_tensors[0], slope.T @ ctx.module.kept, None


class KeepsOnItself(Plain):
    """Right if each call has its backward() before the next one: not as two calls of one loss."""

    def forward(self, x: Tensor) -> Any:
        h = torch.tanh(Kept.apply(x, self.a.weight, self) + self.a.bias)
        return self.o(torch.tanh(self.b(h)))


class OnlyInInference(Plain):
    """Another function in inference mode alone."""

    def hidden(self, x: Tensor) -> Tensor:
        h = super().hidden(x)
        return h.clamp(-0.5, 0.5) if torch.is_inference_mode_enabled() else h


class RaisesInInference(Plain):
    def hidden(self, x: Tensor) -> Tensor:
        if torch.is_inference_mode_enabled():
            raise ValueError("no graph")
        return super().hidden(x)


class KeepsInInference(Plain):
    """What it keeps from a call in inference mode cannot be used with gradients."""

    def hidden(self, x: Tensor) -> Tensor:
        h = super().hidden(x) + 0 * getattr(self, "kept", x.new_zeros(8))
        self.kept = h.detach()[0]
        return h


class WithBias(torch.autograd.Function):
    """An affine map that takes its weight for frozen if its bias is."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return x @ weight.T + bias

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Any:  # type: ignore[override]
        x, weight = ctx.saved_tensors
        if not ctx.needs_input_grad[2]:
            return slope @ weight, None, None
        return slope @ weight, slope.T @ x, slope.sum(0)


class BiasDecides(Plain):
    def hidden(self, x: Tensor) -> Tensor:
        h = torch.tanh(self.a(x))
        return torch.tanh(WithBias.apply(h, self.b.weight, self.b.bias))


class BodyDecides(Plain):
    """Runs two layers without gradients where it is fine-tuned: the first frozen, the last not."""

    def hidden(self, x: Tensor) -> Tensor:
        tuned = self.o.weight.requires_grad and not self.a.weight.requires_grad
        with torch.set_grad_enabled(torch.is_grad_enabled() and not tuned):
            return super().hidden(x)


TRAINED = [
    (KeepsOnItself, Plain, "train"),
    (KeepsOnItself, Plain, "eval"),
    (Plain, KeepsOnItself, "train"),
    (OnlyInInference, Plain, "eval"),
    (Plain, OnlyInInference, "eval"),
    (BiasDecides, Plain, "eval"),
    (BodyDecides, Plain, "train"),
]


@pytest.mark.parametrize(("model", "reference", "mode"), TRAINED)
def test_what_two_calls_or_a_part_of_the_parameters_show_is_found(
    model: Any, reference: Any, mode: str, approved: Approved
) -> None:
    """Two calls before backward(), inference mode, some parameters frozen: it is told which."""
    case = same(model, reference, data=DATA, draws=1, dtypes=["float64"], modes=[mode])
    verdict = judge(case)[f"float64 same-function-{mode}"]
    assert verdict.status is Status.FAIL
    approved(verdict.why, mask_figures=True)


class OnlyInTraining(Plain):
    """Another function where all parameters need gradients, and the input does not."""

    def hidden(self, x: Tensor) -> Tensor:
        h = super().hidden(x)
        free = all(each.requires_grad for each in self.parameters())
        return h.clamp(-0.1, 0.1) if free and not x.requires_grad else h


ALONE = [
    (OnlyInInference, "eval", "under torch.inference_mode()"),
    (OnlyInTraining, "train", "in a training step (backward(), plain inputs)"),
]


@pytest.mark.parametrize(("model", "mode", "words"), ALONE)
def test_one_row_as_built_is_asked_in_all_ways(model: Any, mode: str, words: str) -> None:
    """There is one evaluation, since no rows can be shifted and no parameters drawn."""
    torch.manual_seed(0)
    given: dict[str, Any] = {"dtypes": ["float64"], "modes": [mode], "parameters": "as built"}
    verdict = judge(same(model, Plain, data=3 * torch.randn(1, 5), **given))
    assert f"output differs {words}" in str(verdict[f"float64 same-function-{mode}"].why)


BOTH = [
    (KeepsOnItself, KeepsOnItself),
    (OnlyInInference, OnlyInInference),
    (RaisesInInference, Plain),
    (KeepsInInference, Plain),
    (Plain, KeepsInInference),
    (BiasDecides, BiasDecides),
    (BodyDecides, BodyDecides),
    (m.Normed, m.Normed),
    (m.Frozen, m.Frozen),
    (m.Tied, m.Tied),
]


@pytest.mark.parametrize(("model", "reference"), BOTH)
def test_what_both_do_in_training_is_the_same(model: Any, reference: Any) -> None:
    """Nor is a model wrong that has no inference mode, or keeps something there."""
    verdicts = judge(same(model, reference, data=DATA, draws=1, dtypes=["float64"]))
    of_function = [verdicts[f"float64 same-function-{mode}"] for mode in ("train", "eval")]
    assert [each.status for each in of_function] == [Status.PASS] * 2


def test_a_compiled_model_may_be_compiled_anew_in_each_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Torch goes on uncompiled from some number of times on, which counts all models of a class."""
    monkeypatch.setattr(compiled, "LIMIT", 10)
    graphs = []

    def note(graph: Any, inputs: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    data = [torch.randn(7, 5), torch.randn(3, 5)]
    case = same(
        lambda: torch.compile(Plain(), backend=note), Plain, data=data, modes=["eval"], draws=1
    )
    functions = [each for name, each in judge(case).items() if "same-function" in name]
    assert [each.status for each in functions] == [Status.PASS] * 2
    assert len(graphs) > compiled.LIMIT
