"""If no map of parameters makes outputs agree, the likeliest one is shown, and the wrong line."""

import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.core.verdict import Status, Verdict
from harness.same.case import same
from tests.conftest import Approved
from tests.same.models import judge


def read_map(verdict: Verdict) -> str:
    """The line with the whole map, of which the sentence shows the first expressions."""
    finding = verdict.finding
    assert finding is not None
    return next(hint.write for hint in finding.hints if hint.cause.startswith("parameters"))


class Fused(nn.Module):
    """One matrix for queries, keys and values; the bias of a norm has the size of a part of its."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.norm = nn.Linear(4, 12), nn.LayerNorm(4)

    def forward(self, x: Tensor) -> Any:
        q, k, v = self.inner(self.norm(x)).chunk(3, dim=-1)
        return torch.softmax(q * k / 2.0, dim=-1) * v


class Apart(nn.Module):
    """Three matrices; the scale of the softmax is wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.norm_a = nn.LayerNorm(4)
        self.q, self.k, self.v = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Any:
        x = self.norm_a(x)
        scores = self.q(x) * self.k(x) / 2.5
        return torch.softmax(scores, dim=-1) * self.v(x)


def test_the_wrong_line_is_named_although_no_map_agrees(approved: Approved) -> None:
    """In the order of declaration the norm would take parts of the large bias."""
    case = same(Apart, Fused, data=(6, 4), dtypes=["float64"], modes=["eval"])
    found = judge(case)["float64 same-function-eval"]
    assert found.status is Status.FAIL
    assert '"norm_a.weight": s["norm.weight"], "norm_a.bias": s["norm.bias"]' in read_map(found)
    assert "q.weight = inner.weight[0:4]" in found.why
    assert "scores = self.q(x) * self.k(x) / 2.5" in found.why
    approved(re.sub(r"\d+ maps", "# maps", found.why), mask_figures=True)


class First(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(4, 5), nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Any:
        return self.two(torch.tanh(self.one(x)))


class Renamed(nn.Module):
    """Other names for the same shapes, and another activation."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(4, 5), nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Any:
        return self.outer(torch.sigmoid(self.inner(x)))


def test_the_order_of_declaration_is_taken_if_all_shapes_agree(approved: Approved) -> None:
    """Of two models that differ in names, and in one operation."""
    case = same(Renamed, First, data=(6, 4), dtypes=["float64"], modes=["eval"])
    found = judge(case)["float64 same-function-eval"]
    approved(re.sub(r"\d+ maps", "# maps", found.why), mask_figures=True)


class Recurrent(nn.Module):
    """torch's GRU or LSTM."""

    def __init__(self, kind: Any) -> None:
        super().__init__()
        self.rnn = kind(4, 6, batch_first=True)

    def forward(self, x: Tensor) -> Any:
        return self.rnn(x)[0]


class Gru(nn.Module):
    """The same step by step, in two layers for inputs and state."""

    def __init__(self) -> None:
        super().__init__()
        self.wi, self.wh = nn.Linear(4, 18), nn.Linear(6, 18)

    def forward(self, x: Tensor) -> Any:
        h = x.new_zeros(len(x), 6)
        found = []
        for row in x.unbind(1):
            h = self.step(h, self.wi(row).chunk(3, -1), self.wh(h).chunk(3, -1))
            found.append(h)
        return torch.stack(found, 1)

    def step(self, h: Tensor, given: Any, own: Any) -> Tensor:
        (r, z, n), (rh, zh, nh) = given, own
        n = torch.tanh(n + torch.sigmoid(r + rh) * nh)
        z = torch.sigmoid(z + zh)
        return (1 - z) * n + z * h


class Early(Gru):
    """The reset gate takes the numbers before the product: a mistake."""

    def step(self, h: Tensor, given: Any, own: Any) -> Tensor:
        (r, z, n), (rh, zh, _) = given, own
        h_n = nn.functional.linear(torch.sigmoid(r + rh) * h, *(each[12:] for each in self.w()))
        n = torch.tanh(n + h_n)
        z = torch.sigmoid(z + zh)
        return (1 - z) * n + z * h

    def w(self) -> tuple[Tensor, Tensor]:
        return self.wh.weight, self.wh.bias


class Swapped(Gru):
    """The update gate is its complement."""

    def step(self, h: Tensor, given: Any, own: Any) -> Tensor:
        (r, z, n), (rh, zh, nh) = given, own
        n = torch.tanh(n + torch.sigmoid(r + rh) * nh)
        z = torch.sigmoid(z + zh)
        return z * n + (1 - z) * h


class OtherBias(Gru):
    """The bias of the inputs is reset, and that of the state is not."""

    def forward(self, x: Tensor) -> Any:
        h = x.new_zeros(len(x), 6)
        found = []
        for row in x.unbind(1):
            given = row @ self.wi.weight.T + self.wh.bias
            own = h @ self.wh.weight.T + self.wi.bias
            h = self.step(h, given.chunk(3, -1), own.chunk(3, -1))
            found.append(h)
        return torch.stack(found, 1)


def build_gru() -> nn.Module:
    return Recurrent(nn.GRU)


def ask_gru(model: Any) -> Any:
    case = same(model, build_gru, data=(3, 2, 4), dtypes=["float64"], modes=["eval"])
    return judge(case)["float64 same-function-eval"]


def test_a_right_gru_passes() -> None:
    """So that what is wrong below is nothing but the mistake."""
    assert ask_gru(Gru).status is Status.PASS


LINES = {Early: "n = torch.tanh(n + h_n)", Swapped: "return z * n + (1 - z) * h"}


@pytest.mark.parametrize("model", LINES)
def test_a_bias_goes_with_its_weight_although_no_map_agrees(model: Any) -> None:
    """By chance other biases give nearer outputs; then every layer would seem wrong."""
    verdict = ask_gru(model)
    assert '"wi.bias": s["rnn.bias_ih_l0"]' in read_map(verdict)
    assert '"wh.bias": s["rnn.bias_hh_l0"]' in read_map(verdict)
    assert verdict.finding.first_operations[0].source == LINES[model]


def test_biases_that_a_mistake_exchanges_do_not_pass(approved: Approved) -> None:
    """A map exists with which both are the same, but no bias would be that of its weight."""
    verdict = ask_gru(OtherBias)
    assert verdict.status is Status.FAIL
    approved(re.sub(r"\d+ maps", "# maps", verdict.why), mask_figures=True)
    meant = same(
        OtherBias,
        build_gru,
        data=(3, 2, 4),
        parameters={"wi.bias": "rnn.bias_hh_l0", "wh.bias": "rnn.bias_ih_l0"},
        dtypes=["float64"],
        modes=["eval"],
    )
    assert judge(meant)["float64 same-function-eval"].status is Status.PASS


class AllApart(Fused):
    """Three products added, so that nothing is symmetric."""

    def forward(self, x: Tensor) -> Any:
        q, k, v = self.inner(self.norm(x)).chunk(3, dim=-1)
        return torch.softmax(q.sinh() * k / 2.0, dim=-1) * v


class WrongRows(Apart):
    """The bias of the queries is added to the keys, and the other way round."""

    def forward(self, x: Tensor) -> Any:
        x = self.norm_a(x)
        q, k = x @ self.q.weight.T + self.k.bias, x @ self.k.weight.T + self.q.bias
        return torch.softmax(q.sinh() * k / 2.0, dim=-1) * self.v(x)


def test_rows_of_a_bias_go_with_the_rows_of_its_weight() -> None:
    """One matrix of all three on the other side: the rows of its bias are exchanged."""
    case = same(WrongRows, AllApart, data=(6, 4), dtypes=["float64"], modes=["eval"])
    verdict = judge(case)["float64 same-function-eval"]
    assert verdict.status is Status.FAIL
    assert "q.bias = inner.bias[4:8] beside q.weight = inner.weight[0:4]" in verdict.why
