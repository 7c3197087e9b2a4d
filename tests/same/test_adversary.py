"""What an adversary tried: wrong models that look right, and right ones that look wrong."""

import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from harness.core.verdict import Status
from harness.judging.cache import Cache
from harness.reproduce.models import write_models_script
from harness.reproduce.typed import Unwritten
from harness.running.trial import run
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
        if hasattr(self, "called") and x.dtype is torch.float32:
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


class Forces(Plain):
    """Differentiates itself in its forward pass, as models of forces do."""

    def forward(self, x: Tensor) -> Any:
        x = x if x.requires_grad else x.clone().requires_grad_()
        energy = super().forward(x).sum()
        return torch.autograd.grad(energy, x, create_graph=True)[0]


class ForcesByRow(Plain):
    def forward(self, x: Tensor) -> Any:
        return torch.func.vmap(torch.func.grad(lambda row: Plain.forward(self, row).sum()))(x)


class Scripted(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.o = nn.Linear(5, 8), nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.o(torch.tanh(self.b(torch.tanh(self.a(x)))))


def script() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls it old
        return torch.jit.script(Scripted())


class Constant(Plain):
    """A buffer that is no state: weights of classes, say."""

    numbers = 1.0, 2.0, 3.0

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.tensor(self.numbers))

    def forward(self, x: Tensor) -> Any:
        return super().forward(x) * self.scale


class ConstantOff(Constant):
    numbers = 1.0, 2.0, 3.001


class ConstantUnstored(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.tensor([1.0, 2.0, 3.001]), persistent=False)

    def forward(self, x: Tensor) -> Any:
        return super().forward(x) * self.scale


class Exchanged(nn.Module):
    """b and o of Square are exchanged in name, and another layer is renamed."""

    def __init__(self) -> None:
        super().__init__()
        self.b, self.o, self.other = nn.Linear(5, 5), nn.Linear(5, 5), nn.Linear(5, 5)

    def forward(self, x: Tensor) -> Any:
        return self.b(torch.tanh(self.o(torch.tanh(self.other(x)))))


class Square(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.o = nn.Linear(5, 5), nn.Linear(5, 5), nn.Linear(5, 5)

    def forward(self, x: Tensor) -> Any:
        return self.o(torch.tanh(self.b(torch.tanh(self.a(x)))))


class ByLetters(nn.Module):
    """Square with matrices W1 to W3, each with its own bias or with another's."""

    def __init__(self, order: str = "123") -> None:
        super().__init__()
        self.order = order
        for number in "123":
            self.register_parameter(f"W{number}", nn.Parameter(torch.randn(5, 5)))
            self.register_parameter(f"b{number}", nn.Parameter(torch.randn(5)))

    def forward(self, x: Tensor) -> Any:
        for number, bias in zip("123", self.order, strict=True):
            x = x @ getattr(self, f"W{number}").T + getattr(self, f"b{bias}")
            x = x if number == "3" else torch.tanh(x)
        return x


class LettersExchanged(ByLetters):
    def __init__(self) -> None:
        super().__init__("213")


class Split(nn.Module):
    """Attention with queries, keys and values apart, between norms: nine vectors of one length.

    The keys' bias acts on no output.
    """

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(5)
        self.q, self.k, self.v = nn.Linear(5, 5), nn.Linear(5, 5), nn.Linear(5, 5)
        self.proj, self.norm2, self.up = nn.Linear(5, 5), nn.LayerNorm(5), nn.Linear(5, 5)

    def forward(self, x: Tensor) -> Any:
        h = self.norm(x)
        x = x + self.proj(torch.softmax(self.q(h) @ self.k(h).T, -1) @ self.v(h))
        return x + self.up(self.norm2(x))


class FusedBlock(nn.Module):
    """The same with one layer for all three, and other names."""

    def __init__(self) -> None:
        super().__init__()
        self.ln_a, self.qkv, self.out = nn.LayerNorm(5), nn.Linear(5, 15), nn.Linear(5, 5)
        self.ln_b, self.last = nn.LayerNorm(5), nn.Linear(5, 5)

    def forward(self, x: Tensor) -> Any:
        q, k, v = self.qkv(self.ln_a(x)).chunk(3, -1)
        x = x + self.out(torch.softmax(q @ k.T, -1) @ v)
        return x + self.last(self.ln_b(x))


class Follows(Plain):
    """Each call in train() moves a frozen parameter towards another one."""

    keeps = 0.75

    def __init__(self) -> None:
        super().__init__()
        self.target = nn.Parameter(torch.ones(3, 8), requires_grad=False)

    def forward(self, x: Tensor) -> Any:
        out = super().forward(x), F.linear(self.hidden(x), self.target).detach()
        if self.training:
            self.follow()
        return out

    @torch.no_grad()
    def follow(self) -> None:
        self.target.mul_(self.keeps).add_(self.o.weight, alpha=1 - self.keeps)


class FollowsFaster(Follows):
    keeps = 0.5


class FollowsNot(Follows):
    def follow(self) -> None:
        pass


class FollowsByLerp(Follows):
    @torch.no_grad()
    def follow(self) -> None:
        self.target.data.copy_(torch.lerp(self.target, self.o.weight, 1 - self.keeps))


class Uses(Plain):
    """Keeps how large its units are in training, and how often it was called."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("usage", torch.zeros(8))
        self.register_buffer("calls", torch.tensor(0))

    def forward(self, x: Tensor) -> Any:
        if self.training:
            self.usage += self.hidden(x).detach().abs().sum(0)
            self.calls += 1
        return super().forward(x)


class UsesUncounted(Uses):
    """Lacks the counter alone."""

    def __init__(self) -> None:
        super().__init__()
        del self.calls
        self.calls = 0


class Signs(Plain):
    """Gives truth values beside its output."""

    def forward(self, x: Tensor) -> Any:
        out = super().forward(x)
        return out, out > 0


class SignsAsNumbers(Plain):
    def forward(self, x: Tensor) -> Any:
        out = super().forward(x)
        return out, (out > 0).to(out.dtype)


class InFloat64(Plain):
    """Its output is float64 whatever its own dtype is."""

    def forward(self, x: Tensor) -> Any:
        return super().forward(x) * torch.ones(3, dtype=torch.float64)


class Named(Plain):
    """Names its outputs."""

    def forward(self, x: Tensor) -> Any:
        mean, deviation = super().forward(x), F.softplus(self.o(x @ self.a.weight.T))
        return {"mean": mean, "deviation": deviation, "ratio": mean / deviation}


class NamedInOrder(Named):
    """The same in another order, and one by another name."""

    def forward(self, x: Tensor) -> Any:
        out = super().forward(x)
        return {"deviation": out["deviation"], "mean": out["mean"], "share": out["ratio"]}


class NamedExchanged(Named):
    """Exchanges two outputs; in their order all agree."""

    def forward(self, x: Tensor) -> Any:
        out = super().forward(x)
        return {"deviation": out["mean"], "mean": out["deviation"], "share": out["ratio"]}


WRONG = [
    (NamedExchanged, Named),
    (SignsAsNumbers, Signs),
    (Signs, SignsAsNumbers),
    (Plain, Uses),
    (FollowsFaster, Follows),
    (FollowsNot, Follows),
    (Exchanged, Square),
    (LettersExchanged, Square),
    (ConstantOff, Constant),
    (ConstantUnstored, Constant),
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
    dtypes = ["float32" if model is CalledOnce else "float64"]
    found = judge(same(model, reference, data=DATA, dtypes=dtypes, modes=["train"]))
    failing = [each.why for each in found.values() if each.status is not Status.PASS]
    assert failing
    assert {each.status for each in found.values()} & {Status.FAIL, Status.BROKEN}
    approved(failing[0], mask_figures=True)


def test_a_counter_that_a_port_lacks_is_said(approved: Approved) -> None:
    """It is no number of the model; statistics are, and fail (see above)."""
    found = judge(same(UsesUncounted, Uses, data=DATA, dtypes=["float64"]))
    assert {each.status for each in found.values()} == {Status.PASS}
    approved(found["float64 same-function-train"].caveat)
    assert not found["float64 same-function-eval"].caveat


def test_an_output_of_another_dtype_is_said(approved: Approved) -> None:
    """It promotes what is computed of it; a reference in another dtype is meant."""
    found = judge(same(InFloat64, Plain, data=DATA, modes=["eval"]))
    assert {each.status for each in found.values()} == {Status.PASS}
    approved(found["float32 same-function-eval"].caveat)
    assert not found["float64 same-function-eval"].caveat
    narrow = judge(same(Plain, Plain, data=DATA, dtypes=["float32"], reference_dtype="float64"))
    assert not narrow["float32 same-function-eval"].caveat


def test_outputs_that_are_paired_by_their_order_are_said(approved: Approved) -> None:
    """Names that both have are paired first, and need no word."""
    found = judge(same(NamedInOrder, Named, data=DATA, **FAST))
    approved(found["float64 same-function-train"].caveat)


def test_a_hook_of_a_module_that_is_built_is_kept() -> None:
    """A copy of a parameter has none of its hooks."""
    assert Status.FAIL in statuses(Hooked(), Plain()).values()


def test_a_constant_that_may_have_been_loaded_follows() -> None:
    """If a model is given as a module, its buffers are those of the other, as by state_dict; a
    buffer that no state_dict has is not.
    """
    assert Status.FAIL not in statuses(ConstantOff, Constant()).values()
    assert Status.FAIL in statuses(ConstantUnstored, Constant()).values()
    loaded = {"scale": "scale"}
    assert Status.FAIL not in statuses(ConstantOff, Constant, parameters=loaded).values()


def test_a_buffer_that_is_drawn_is_no_constant() -> None:
    """Models that are built in another order hold other random features."""

    class Features(Plain):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("features", torch.randn(3))

        def forward(self, x: Tensor) -> Any:
            return super().forward(x) * self.features

    class FeaturesFirst(Features):
        def __init__(self) -> None:
            torch.randn(5)
            super().__init__()

    assert set(statuses(FeaturesFirst, Features).values()) == {Status.PASS}


class ByLargest(Plain):
    def hidden(self, x: Tensor) -> Tensor:
        h = super().hidden(x)
        return h / h.detach().abs().max()


class ByNumber(Plain):
    """The largest number goes through Python."""

    more = 0.0

    def hidden(self, x: Tensor) -> Tensor:
        h = super().hidden(x)
        return h / (h.abs().max().item() + self.more)


class ByNumberOff(ByNumber):
    more = 1e-3


class TanhByNumPy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = torch.from_numpy(np.tanh(x.numpy()))
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        return slope * (1 - y * y)


class ThroughNumPy(Plain):
    def hidden(self, x: Tensor) -> Tensor:
        return TanhByNumPy.apply(self.b(torch.tanh(self.a(x))))


class InAThread(Plain):
    """Another thread's operations are not seen."""

    def hidden(self, x: Tensor) -> Tensor:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(super().hidden, x).result()


LEAVING = [(ByNumber, ByLargest), (ThroughNumPy, Plain), (InAThread, Plain)]


@pytest.mark.parametrize(("model", "reference"), LEAVING)
def test_numbers_that_leave_torch_are_not_judged_in_a_narrow_dtype(
    model: Any, reference: Any, approved: Approved
) -> None:
    """What comes back has no bounds: a difference that the dtype may lose is neither right nor
    wrong; in float64 the models are compared.
    """
    found = judge(same(model, reference, data=DATA, modes=["train"]))
    assert Status.FAIL not in {verdict.status for verdict in found.values()}
    assert found["float64 same-function-train"].status is Status.PASS
    verdict = found["float32 same-function-train"]
    assert verdict.status is Status.VACUOUS
    approved(verdict.why)


def test_a_larger_difference_of_numbers_that_leave_torch_fails() -> None:
    """They are no excuse."""
    found = statuses(ByNumberOff, ByLargest, dtypes=["float32"])
    assert found["float32 same-function-train"] is Status.FAIL


def test_names_that_mislead_may_be_meant() -> None:
    """Loading by names would make another function, so that a user must say that it is meant."""
    names = ("other", "a"), ("o", "b"), ("b", "o")
    parts = (
        (f"{mine}.{kind}", f"{of}.{kind}") for mine, of in names for kind in ("weight", "bias")
    )
    found = judge(same(Exchanged, Square, data=DATA, parameters=dict(parts), **FAST))
    assert found["float64 same-function-train"].status is Status.PASS


RIGHT = [
    (NamedInOrder, Named),
    (FollowsByLerp, Follows),
    (FusedBlock, Split),
    (ByLetters, Square),
    (ScalesApart, Scales),
    (InfiniteByMask, Infinite),
    (OtherArgument, Plain),
    (ByNothingAtAll, ByNothing),
    (ByNothing, ByNothingAtAll),
    (script, Plain),
    (Plain, script),
    (Hooked, Hooked),
    (Forces, Forces),
    (ForcesByRow, Forces),
]


@pytest.mark.parametrize(("model", "reference"), RIGHT)
def test_right_models_that_look_wrong_pass(model: Any, reference: Any) -> None:
    """Infinite outputs, other names of arguments, gradients of 0, TorchScript."""
    assert set(statuses(model, reference).values()) == {Status.PASS}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_masks_and_indices_are_repeated_in_their_own_dtype(dtype: str) -> None:
    """A right model is not told that its memory was written from outside."""
    assert set(statuses(Whole, Masked, dtypes=[dtype]).values()) == {Status.PASS}


class TiltedInEval(Plain):
    """Its fault rounds to nothing in float32: both modes give the same bits."""

    def hidden(self, x: Tensor) -> Tensor:
        return super().hidden(x) * (1 + 1e-9 * (not self.training))


def test_a_fault_of_one_mode_is_found_though_its_bits_are_those_of_the_other() -> None:
    """Evidence of another mode serves only for the same operations."""
    found = statuses(TiltedInEval, Plain, dtypes=["float32"], modes=["train", "eval"])
    assert found["float32 same-function-train"] is Status.PASS
    assert found["float32 same-function-eval"] is Status.FAIL


def test_numbers_of_other_distributions_are_drawn_once() -> None:
    """They are taken as observed, as those of dropout are."""

    class Noisy(Plain):
        def hidden(self, x: Tensor) -> Tensor:
            h = super().hidden(x)
            h = h * torch.empty_like(h).log_normal_() + torch.empty_like(h).cauchy_()
            return F.softmax(h + torch.empty_like(h).geometric_(0.3), -1)

    assert set(statuses(Noisy, Noisy).values()) == {Status.PASS}


class Normalised(Plain):
    """Has running statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(3)

    def forward(self, x: Tensor) -> Any:
        return self.norm(super().forward(x))


class CountsInEval(Normalised):
    """Moves its running mean in eval() too."""

    def forward(self, x: Tensor) -> Any:
        out = super().forward(x)
        if not self.training:
            self.norm.running_mean = self.norm.running_mean + 0.1
        return out


def test_a_buffer_that_moves_in_eval_is_found() -> None:
    """The outputs of the call itself are right; those of the next one are not."""
    found = statuses(CountsInEval, Normalised, modes=["train", "eval"])
    assert found["float64 same-function-train"] is Status.PASS
    assert found["float64 same-function-eval"] is Status.FAIL


class Leaky(Plain):
    def hidden(self, x: Tensor) -> Tensor:
        return F.leaky_relu(super().hidden(x), (1 / 8 + 1 / 3) / 2)


class RandomisedLeaky(Plain):
    """Its slope is drawn in training, and the mean of its ends in eval()."""

    def hidden(self, x: Tensor) -> Tensor:
        return F.rrelu(super().hidden(x), training=self.training)


def test_a_randomised_relu_is_leaky_in_eval() -> None:
    """Its operation leaves out arguments that have their defaults."""
    found = statuses(RandomisedLeaky, Leaky, modes=["eval"])
    assert set(found.values()) == {Status.PASS}


class ByBytes(Plain):
    """Scales whole numbers of any dtype, and the mean of a mask, before they are real numbers."""

    def forward(self, x: Tensor) -> Any:
        weight = self.a.weight
        mask = (x > 100).long()
        shares = (mask / (1 + mask.sum(1, keepdim=True))).to(weight.dtype)
        return super().forward((x / 255).to(weight.dtype)) + shares.sum(1, keepdim=True)


class ByRealNumbers(Plain):
    """The same, but in the dtype of its weights from the beginning."""

    def forward(self, x: Tensor) -> Any:
        x = x.to(self.a.weight.dtype)
        mask = (x > 100).to(x.dtype)
        return super().forward(x / 255) + mask.sum(1, keepdim=True) / (1 + mask.sum(1, True))


def test_quotients_of_whole_numbers_are_judged_in_float64() -> None:
    """They have torch's default dtype, which says nothing of the function."""
    pixels = torch.arange(35).reshape(7, 5).mul(7).to(torch.uint8)
    for pair in ((ByBytes, ByRealNumbers), (ByRealNumbers, ByBytes)):
        found = statuses(*pair, data=pixels, dtypes=["float32"])
        assert set(found.values()) == {Status.PASS}


class MaskedByFill(Plain):
    """Attends to the numbers that a mask of whole numbers marks by 1."""

    def forward(self, x: Tensor, mask: Tensor) -> Any:
        h = 5 * self.a(x)
        scores = self.b(h) @ h.transpose(1, 2)
        return self.o(self.hide(scores, mask[:, None, :]).softmax(-1) @ h)

    def hide(self, scores: Tensor, mask: Tensor) -> Tensor:
        return scores.masked_fill(mask == 0, -1e9)


class MaskedByLowest(MaskedByFill):
    """Adds 0 times the lowest number, whose slopes overflow in float64, or 1 times."""

    def hide(self, scores: Tensor, mask: Tensor) -> Tensor:
        mask = mask.to(scores.dtype)
        return scores + (1.0 - mask) * torch.finfo(scores.dtype).min


def test_slopes_by_an_exact_mask_may_overflow() -> None:
    """What is exact moves nothing, so that gradients are judged where a mask has padding."""
    mask = torch.ones(2, 7, dtype=torch.long)
    mask[0, 4:] = 0
    data = (2, 7, 5), mask
    for pair in ((MaskedByLowest, MaskedByFill), (MaskedByFill, MaskedByLowest)):
        assert set(statuses(*pair, data=data).values()) == {Status.PASS}


def fold(s: dict[str, Tensor]) -> dict[str, Tensor]:
    """The last layer with the norm folded into it."""
    scale = s["norm.weight"] / (s["norm.running_var"] + 1e-5).sqrt()
    bias = (s["o.bias"] - s["norm.running_mean"]) * scale + s["norm.bias"]
    kept = {name: each for name, each in s.items() if name[:2] in ("a.", "b.")}
    return {**kept, "o.weight": s["o.weight"] * scale[:, None], "o.bias": bias}


class Shifted(Plain):
    """Subtracts a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("shift", torch.ones(3))

    def forward(self, x: Tensor) -> Any:
        return super().forward(x) - self.shift


class ShiftTrained(Shifted):
    """Subtracts a parameter."""

    def __init__(self) -> None:
        super().__init__()
        del self.shift
        self.shift = nn.Parameter(torch.ones(3))


def test_a_norm_may_be_folded_into_a_layer() -> None:
    """Its statistics have a gradient by the converter alone; one that is trained itself fails."""
    found = statuses(Plain, Normalised, modes=["eval"], parameters=fold)
    assert set(found.values()) == {Status.PASS}
    found = statuses(ShiftTrained, Shifted, modes=["eval"])
    assert found["float64 same-function-eval"] is Status.FAIL


class MaskedByParameter(Plain):
    """Its mask is a frozen parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.mask = nn.Parameter(torch.tril(torch.ones(7, 7)), requires_grad=False)

    def forward(self, x: Tensor) -> Any:
        h = self.a(x)
        return self.o((h @ h.T).masked_fill(self.mask == 0, -torch.inf).softmax(-1) @ h)


class Causal(Plain):
    def forward(self, x: Tensor) -> Any:
        h = self.a(x)[None]
        return self.o(F.scaled_dot_product_attention(h, h, h, is_causal=True, scale=1.0))[0]


class NotCausal(Plain):
    def forward(self, x: Tensor) -> Any:
        h = self.a(x)[None]
        return self.o(F.scaled_dot_product_attention(h, h, h, scale=1.0))[0]


def test_constants_that_are_frozen_parameters_are_not_drawn() -> None:
    """A mask of random numbers masks nothing, and a right port would fail."""
    assert set(statuses(Causal, MaskedByParameter).values()) == {Status.PASS}
    assert Status.FAIL in statuses(NotCausal, MaskedByParameter).values()


def test_outputs_in_another_order_have_no_script(approved: Approved) -> None:
    """A script counts outputs as the reference does."""
    cache = Cache(same(NamedExchanged, Named, data=DATA, **FAST))
    trial = next(iter(cache.case.trials()))
    assert run(trial, cache).status is Status.FAIL
    with approved.raises(Unwritten):
        write_models_script(trial, cache)
