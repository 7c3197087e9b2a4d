"""Layers that people port by hand, and the mistakes that they make there."""

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

from harness.core.verdict import Status, Verdict
from harness.same.case import same
from tests.conftest import Approved
from tests.same.models import DATA, Plain, judge


def ask(model: Any, reference: Any, dtype: str = "float64") -> Verdict:
    """The verdict on the function in train()."""
    case = same(model, reference, data=DATA, dtypes=[dtype], modes=["train"], draws=1)
    return judge(case)[f"{dtype} same-function-train"]


class Spectral(nn.Module):
    """A matrix divided by its largest singular value, as torch follows it."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.o = parametrizations.spectral_norm(nn.Linear(5, 5)), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Any:
        return self.o(torch.tanh(self.a(x)))


class SpectralByHand(nn.Module):
    """The same with vectors of other names, which are drawn as built."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(5, 5)), nn.Parameter(torch.randn(5))
        self.o = nn.Linear(5, 3)
        self.register_buffer("left", F.normalize(torch.randn(5), dim=0))
        self.register_buffer("right", F.normalize(torch.randn(5), dim=0))

    def measure(self, u: Tensor, v: Tensor) -> Tensor:
        return u @ self.weight @ v

    def forward(self, x: Tensor) -> Any:
        if self.training:
            with torch.no_grad():
                self.left.copy_(F.normalize(self.weight @ self.right, dim=0))
                self.right.copy_(F.normalize(self.weight.T @ self.left, dim=0))
        norm = self.measure(self.left.clone(), self.right.clone())
        return self.o(torch.tanh(x @ (self.weight / norm).T + self.bias))


class SpectralConstant(SpectralByHand):
    """Takes the singular value for a constant."""

    def measure(self, u: Tensor, v: Tensor) -> Tensor:
        return super().measure(u, v).detach()


class SpectralOnTheOtherSide(SpectralByHand):
    def measure(self, u: Tensor, v: Tensor) -> Tensor:
        return super().measure(v, u)


def test_buffers_that_calls_move_are_paired_by_their_shapes() -> None:
    """Of whatever names and numbers; what is computed from them must be the same."""
    assert ask(SpectralByHand, Spectral).status is Status.PASS
    assert ask(SpectralConstant, Spectral).status is Status.FAIL
    assert ask(SpectralOnTheOtherSide, Spectral).status is Status.FAIL


class Table(Plain):
    """A table, which no call moves, is each model's own."""

    size = 1.0

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("table", self.size * torch.linspace(0.5, 1.5, 8))

    def hidden(self, x: Tensor) -> Tensor:
        return super().hidden(x) * self.table


class OtherTable(Table):
    size = 1.001


class RenamedTable(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scales", 1.001 * torch.linspace(0.5, 1.5, 8))

    def hidden(self, x: Tensor) -> Tensor:
        return super().hidden(x) * self.scales


@pytest.mark.parametrize("model", [OtherTable, RenamedTable])
def test_constants_are_not_paired_by_their_shapes(model: Any) -> None:
    assert ask(model, Table).status is Status.FAIL


class Smooth(Plain):
    how = "none"

    def hidden(self, x: Tensor) -> Tensor:
        return F.gelu(super().hidden(x), approximate=self.how)


class SmoothByTanh(Smooth):
    how = "tanh"


def test_a_word_that_differs_is_a_likely_cause() -> None:
    assert "likely: approximate of gelu is tanh" in str(ask(SmoothByTanh, Smooth).why)


class Dropped(Plain):
    """Leaves out whole rows, few of them."""

    def keep(self, x: Tensor) -> Tensor:
        return x.new_empty(len(x), 1).bernoulli_(0.9)

    def hidden(self, x: Tensor) -> Tensor:
        return super().hidden(x) * self.keep(x)


class DroppedOtherwise(Dropped):
    def keep(self, x: Tensor) -> Tensor:
        return (torch.rand(len(x), 1) < 0.9).to(x.dtype)


class Kept(Dropped):
    def keep(self, x: Tensor) -> Tensor:
        return torch.ones(len(x), 1).to(x.dtype)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_mask_that_chance_draws_twice_is_random(dtype: str) -> None:
    """One of seven rows with 0.9 is often kept whole under two seeds."""
    for pair in ((DroppedOtherwise, Dropped), (Dropped, DroppedOtherwise)):
        assert ask(*pair, dtype).status is Status.ABSENT
    assert ask(Kept, Dropped, dtype).status is Status.FAIL


class Normed(nn.Module):
    """A layer and the norm behind it, in float32, trained a little."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.norm = nn.Linear(5, 4), nn.BatchNorm1d(4)
        for _ in range(3):
            self(torch.randn(8, 5))
        self.eval()

    def forward(self, x: Tensor) -> Any:
        return self.norm(self.a(x))


def fold(model: Normed, eps: float) -> nn.Linear:
    """The layer that computes both, in the dtype of the model."""
    norm, layer = model.norm, nn.Linear(5, 4)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight * torch.rsqrt(norm.running_var + eps)
    layer.weight = nn.Parameter((scale[:, None] * model.a.weight).detach())
    bias = scale * (model.a.bias - norm.running_mean) + norm.bias
    layer.bias = nn.Parameter(bias.detach())
    return layer


def test_a_norm_that_is_folded_in_float32_is_told_to_be_folded_in_float64(
    approved: Approved,
) -> None:
    """The roundings of its numbers are no other function, nor the same to the digits of float64."""
    torch.manual_seed(0)
    model = Normed()
    for eps, dtype, status, told in (
        (1e-5, torch.float32, Status.FAIL, True),
        (1e-3, torch.float32, Status.FAIL, False),
        (1e-3, torch.float64, Status.FAIL, False),
        (1e-5, torch.float64, Status.PASS, False),
    ):
        folded = fold(model.to(dtype), eps)
        given: dict[str, Any] = {"data": DATA, "modes": ["eval"], "parameters": "as built"}
        verdict = judge(same(folded, model, dtypes=["float64"], **given))[
            "float64 same-function-eval"
        ]
        assert verdict.status is status
        assert ("likely: a few roundings" in str(verdict.why)) is told
        if told:
            approved(verdict.why, mask_figures=True)


class Masked(nn.Module):
    """Attention to the rows before, with a mask of any lowest number, and an empty memory."""

    def __init__(self, lowest: float, scale: float = 1.0) -> None:
        super().__init__()
        self.a, self.scale = nn.Linear(4, 4), scale
        self.register_buffer("mask", torch.full((3, 3), lowest).triu(1))
        self.register_buffer("memory", torch.empty(0, 3, 4))

    def forward(self, x: Tensor) -> Any:
        x = torch.cat([self.get_buffer("memory"), x])
        scores = self.scale * self.a(x) @ x.mT
        return torch.softmax(scores + self.get_buffer("mask"), -1) @ x


@pytest.mark.parametrize("lowest", [float("-inf"), -1e9, -1e4])
def test_a_mask_explains_no_difference(lowest: float) -> None:
    """Its numbers are constants, and no results that were rounded."""
    models = partial(Masked, lowest, 1.1), partial(Masked, lowest)
    given: dict[str, Any] = {"modes": ["eval"], "parameters": "as built", "dtypes": ["float64"]}
    verdict = judge(same(*models, data=(2, 3, 4), **given))["float64 same-function-eval"]
    assert verdict.status is Status.FAIL
    assert "few roundings" not in str(verdict.why)


class Words(nn.Module):
    """The gradient of its table is sparse, or not."""

    def __init__(self, sparse: bool, scale: float = 1.0) -> None:
        super().__init__()
        self.embed, self.scale = nn.Embedding(9, 4, sparse=sparse), scale

    def forward(self, words: Tensor) -> Tensor:
        return torch.tanh(self.scale * self.embed(words))


def test_sparse_gradients_are_compared_as_dense_ones() -> None:
    words = torch.randint(9, (3, 4), generator=torch.Generator().manual_seed(0))
    for mine, theirs, scale, status in (
        (True, False, 1.0, Status.PASS),
        (False, True, 1.0, Status.PASS),
        (True, True, 1.0, Status.PASS),
        (True, False, 1.001, Status.FAIL),
    ):
        pair = partial(Words, mine, scale), partial(Words, theirs)
        found = judge(same(*pair, data=words, dtypes=["float64"]))
        assert found["float64 same-function-train"].status is status


class Aligned(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(5, 4)

    def forward(self, x: Tensor) -> Tensor:
        lengths = torch.tensor([6, 6]), torch.tensor([2, 2])
        return F.ctc_loss(self.a(x).log_softmax(-1), torch.tensor([[1, 2], [3, 1]]), *lengths)


def test_an_operation_without_a_derivative_is_named(approved: Approved) -> None:
    case = same(Aligned, Aligned, data=(6, 2, 5), dtypes=["float64"], modes=["train"])
    verdict = judge(case)["float64 same-function-train"]
    approved(verdict.why)
