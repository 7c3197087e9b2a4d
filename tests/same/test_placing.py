"""The first operation that differs belongs to the wrong layer, though it makes no new number."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from harness.judging.cache import Cache
from harness.matching.carry import ByName
from harness.matching.compare import compare
from harness.matching.placing import find_first
from harness.running.trial import run
from harness.same.case import same
from harness.shadow.recording import Operation
from harness.shadow.shadow import Shadow
from harness.shadow.watch import watch
from tests.conftest import Approved


class Part(nn.Module):
    """A layer that computes by a function."""

    def __init__(self, compute: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.compute = compute

    def forward(self, x: Tensor) -> Tensor:
        return self.compute(x)


RIGHT: list[tuple[str, Callable[[Tensor], Tensor]]] = [
    ("residual", lambda x: x + 0.5 * torch.tanh(x)),
    ("turn", lambda x: x.view(-1, 2, 3).transpose(1, 2).reshape(-1, 6)),
    ("scale", lambda x: x * 3),
    ("sum", lambda x: x.square().sum() / 12),
]
WRONG: dict[str, Callable[[Tensor], Tensor]] = {
    "residual": lambda x: 0.5 * torch.tanh(x),
    "turn": lambda x: x.clone(),
    "scale": lambda x: x,
    "sum": lambda x: x.square().sum(),
}


class Net(nn.Module):
    """Four parts and two layers with weights, one after the other."""

    def __init__(self) -> None:
        super().__init__()
        for name, compute in RIGHT:
            setattr(self, name, Part(compute))
        self.first, self.last = nn.Linear(6, 6), nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        turned = self.turn(self.residual(torch.tanh(self.first(x))))
        return self.sum(self.last(self.scale(turned)))


@pytest.mark.parametrize("name", WRONG)
def test_a_part_that_makes_no_new_number_is_named(name: str) -> None:
    """An addend left out, another order, a factor left out, a sum for a mean."""
    torch.manual_seed(0)
    right = Net()
    wrong = copy.deepcopy(right)
    getattr(wrong, name).compute = WRONG[name]
    x = torch.randn(3, 6)
    shadows = [
        Shadow(watch(lambda net=net: {"output": net(x)}, net), "float32") for net in (wrong, right)
    ]
    (compared,) = compare(*shadows, ByName(), torch.Generator().manual_seed(0))
    assert compared.outcome == "differs"
    assert find_first(*shadows, compared)[0].layer == name


class InPlace(nn.Linear):
    """Adds its bias in place."""

    def forward(self, x: Tensor) -> Tensor:
        z = x @ self.weight.T
        z += self.bias
        return z


def test_what_is_completed_in_place_is_not_named() -> None:
    """A product to which its layer adds a bias in place is no difference; a wrong factor is."""
    torch.manual_seed(0)
    right, wrong = Net(), Net()
    wrong.last = InPlace(6, 4)
    wrong.load_state_dict(right.state_dict())
    wrong.sum.compute = lambda x: (1.000001 * x).square().sum() / 12
    x = torch.randn(3, 6)
    shadows = [
        Shadow(watch(lambda net=net: {"output": net(x)}, net), "float32") for net in (wrong, right)
    ]
    (compared,) = compare(*shadows, ByName(), torch.Generator().manual_seed(0))
    assert [operation.name for operation in find_first(*shadows, compared)] == ["aten::mul"]


def test_what_a_norm_does_not_pass_on_is_not_named() -> None:
    """A fused norm also returns the mean and the deviation; another formula of the norm does not
    compute these numbers, and is no difference.
    """
    torch.manual_seed(0)
    right, wrong = Net(), Net()
    wrong.load_state_dict(right.state_dict())
    right.residual.compute = lambda x: (
        (x - x.mean(-1, keepdim=True)) / (x.var(-1, correction=0, keepdim=True) + 1e-5).sqrt()
    )
    wrong.residual.compute = lambda x: nn.functional.layer_norm(x, (6,))
    wrong.turn.compute = lambda x: RIGHT[1][1](1.000001 * x)
    x = torch.randn(3, 6)
    shadows = [
        Shadow(watch(lambda net=net: {"output": net(x)}, net), "float32") for net in (wrong, right)
    ]
    (compared,) = compare(*shadows, ByName(), torch.Generator().manual_seed(0))
    assert [operation.name for operation in find_first(*shadows, compared)] == ["aten::mul"]


class Last(nn.Module):
    """Takes one step of a sequence by a view, in a layer of its own or in the model's forward."""

    def __init__(self, compute: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.tokens = nn.Embedding(5, 4)
        self.steps = nn.GRU(4, 3, batch_first=True)
        self.take, self.last = Part(compute), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.take(self.steps(self.tokens(x))[0]))


def place(wrong: nn.Module, right: nn.Module, *args: Tensor) -> list[Operation]:
    """Return the first operations of the first answer that differs: the output, or a gradient."""
    wrong.load_state_dict(right.state_dict())
    shadows = []
    for net in (wrong, right):

        def call(net: nn.Module = net) -> dict[str, Tensor]:
            output = net(*args)
            named = dict(net.named_parameters())
            slopes = torch.autograd.grad(
                output.square().sum(), [*named.values()], allow_unused=True
            )
            found = zip(named, slopes, strict=True)
            answers = {f"gradient of {name}": slope for name, slope in found if slope is not None}
            return {"output": output, **answers}

        shadows.append(Shadow(watch(call, net), "float32"))
    compared = compare(*shadows, ByName(), torch.Generator().manual_seed(0))
    differs = next(one for one in compared if one.outcome in ("differs", "shape", "not finite"))
    return find_first(*shadows, differs)


def test_a_wrong_view_is_named() -> None:
    """A view computes nothing, and its numbers occur in the reference: the step before the last."""
    torch.manual_seed(0)
    wrong, right = Last(lambda h: h[:, 0]), Last(lambda h: h[:, -1])
    (first,) = place(wrong, right, torch.randint(5, (3, 4)))
    assert (first.name, first.layer) == ("aten::select", "take")


class Functional(nn.Module):
    """Takes a step, and a part of a matrix, in the layer that goes on with them."""

    def __init__(self, step: int = -1, part: int = 1) -> None:
        super().__init__()
        self.w, self.u = nn.Parameter(torch.randn(3, 10)), nn.Parameter(torch.randn(5, 2))
        self.step, self.part = step, part

    def forward(self, x: Tensor) -> Tensor:
        parts = torch.tanh(x @ self.w)[:, self.step].chunk(2, -1)
        return (parts[self.part] @ self.u) * parts[0].sum()


WRONG_VIEWS = {"select": Functional(step=0), "mm": Functional(part=0)}


@pytest.mark.parametrize("name", WRONG_VIEWS)
def test_a_wrong_view_is_named_in_its_own_layer(name: str) -> None:
    """A step that the reference takes nowhere; of two parts that both take, the use is wrong."""
    (first,) = place(WRONG_VIEWS[name], Functional(), torch.randn(4, 6, 3))
    assert first.name == f"aten::{name}"


def test_wrong_rows_are_named_where_they_are_taken() -> None:
    """A table gives rows of the next tokens; the recurrent layer that reads them is right."""
    torch.manual_seed(0)
    right = Last(lambda h: h[:, -1])
    wrong = copy.deepcopy(right)
    wrong.tokens.forward = lambda x: nn.functional.embedding((x + 1) % 5, wrong.tokens.weight)  # type: ignore[method-assign]
    (first,) = place(wrong, right, torch.randint(5, (3, 4)))
    assert (first.name, first.layer) == ("aten::embedding", "tokens")


def blind(x: Tensor) -> Tensor:
    with torch.no_grad():
        return x * 3


CUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "detach": lambda x: x.detach() * 3,
    "data": lambda x: x.data * 3,
    "mul": blind,
}


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("whole", [True, False])
def test_where_a_gradient_is_cut_off_is_named(cut: str, whole: bool) -> None:
    """By detach(), `.data` or no_grad(): all of a gradient, or the part of it that takes one way;
    the layer that reads the numbers next is right.
    """
    torch.manual_seed(0)
    right = Net()
    wrong = copy.deepcopy(right)
    for net, scale in ((right, RIGHT[2][1]), (wrong, CUTS[cut])):
        net.scale.compute = scale if whole else lambda x, scale=scale: scale(x) + x.square()
    (first,) = place(wrong, right, torch.randn(3, 6))
    assert (first.name.removeprefix("aten::"), first.layer) == (
        {"data": "detach"}.get(cut, cut),
        "scale",
    )


def test_a_cut_before_numbers_are_repeated_is_named() -> None:
    """The gradient that is missing first is that of the repeated numbers, of which there are more;
    as where several heads of queries share a head of keys.
    """
    torch.manual_seed(0)
    right = Net()
    wrong = copy.deepcopy(right)
    for net, cut in ((right, lambda x: x), (wrong, Tensor.detach)):
        net.scale.compute = lambda x, cut=cut: (
            cut(x).repeat(2, 1).cos().view(2, *x.shape).mean(0) + x
        )
    (first,) = place(wrong, right, torch.randn(3, 6))
    assert (first.name, first.layer) == ("aten::detach", "scale")


def test_a_gradient_that_both_cut_off_is_no_difference() -> None:
    """Both detach the largest score; what differs is the scale after it."""
    torch.manual_seed(0)
    right = Net()
    wrong = copy.deepcopy(right)
    for net in (right, wrong):
        net.residual.compute = lambda x: (x - x.amax(-1, keepdim=True).detach()).tanh()
    wrong.scale.compute = lambda x: Halved.apply(x)
    (first,) = place(wrong, right, torch.randn(3, 6))
    assert (first.name, first.layer, first.backward) == ("aten::mul", "scale", True)


def test_a_cut_that_changes_nothing_is_not_named_beside_a_wrong_derivative() -> None:
    """It cuts off as many numbers as gradients lack that follow from the wrong one."""
    torch.manual_seed(0)
    right = Net()
    wrong = copy.deepcopy(right)
    harmless = right.residual.compute
    wrong.residual.compute = lambda x: harmless(x) + 0 * x.detach()
    wrong.scale.compute = lambda x: Halved.apply(x)
    (first,) = place(wrong, right, torch.randn(3, 6))
    assert (first.name, first.layer, first.backward) == ("aten::mul", "scale", True)


class Halved(torch.autograd.Function):
    """Three times a number, with half of its derivative."""

    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        return x * 3

    @staticmethod
    def backward(ctx: object, slope: Tensor) -> Tensor:  # type: ignore[override]
        return slope * 1.7


class Masked(nn.Module):
    """Numbers beyond the third count as -inf in a softmax over the last axis, or another one."""

    def __init__(self, axis: int) -> None:
        super().__init__()
        self.fc, self.axis = nn.Linear(6, 6), axis

    def forward(self, x: Tensor) -> Tensor:
        scores = self.fc(x).masked_fill(torch.arange(6) > 2, -torch.inf)
        return torch.softmax(scores, self.axis)


class Overflowing(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.fc, self.factor = nn.Linear(6, 6), factor

    def forward(self, x: Tensor) -> Tensor:
        return torch.log1p((self.factor * self.fc(x).square()).exp()).sqrt()


def test_the_first_operation_that_gives_nan_is_named() -> None:
    """Not the mask, which both models have."""
    (first,) = place(Masked(0), Masked(-1), torch.randn(3, 6))
    assert first.name == "aten::_softmax"


def test_the_first_operation_that_gives_infinities_is_named() -> None:
    """The reference has none."""
    (first,) = place(Overflowing(1e9), Overflowing(1.0), torch.randn(3, 6))
    assert first.name == "aten::exp"


class Rotated(nn.Module):
    """Scales two of three parts by one function."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(6, 6)

    def scale(self, x: Tensor) -> Tensor:
        return x * 3

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.fc(x).chunk(3, -1)
        q = self.scale(q)
        k = self.scale(k)
        return q.exp() + k.sin() + v.tanh()


class AllRotated(Rotated):
    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.fc(x).chunk(3, -1)
        q, k = self.scale(q), self.scale(k)
        v = self.scale(v)
        return q.exp() + k.sin() + v.tanh()


def test_the_call_of_a_function_that_several_lines_call_is_named(approved: Approved) -> None:
    """The line of the function alone would not say which call is wrong."""
    case = same(AllRotated, Rotated, data=(5, 6), dtypes=["float64"], modes=["eval"])
    approved(run(case.trials()[0], Cache(case)).why, mask_figures=True)
