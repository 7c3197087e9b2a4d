"""If no map makes the outputs agree, the one is taken that a porter would have meant."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.core.verdict import Status
from harness.mapping import searching
from harness.mapping.trying import Trier
from tests.conftest import Approved
from tests.layouts.support import find, judge_eval

ROWS = (2, 3, 8)


class Reference(nn.Module):
    """Attention with an output beside q, k and v, then a gated layer."""

    def __init__(self) -> None:
        super().__init__()
        self.q_proj, self.k_proj = nn.Linear(8, 8, bias=False), nn.Linear(8, 8, bias=False)
        self.v_proj, self.o_proj = nn.Linear(8, 8, bias=False), nn.Linear(8, 8, bias=False)
        self.gate_proj, self.up_proj = nn.Linear(8, 12, bias=False), nn.Linear(8, 12, bias=False)
        self.down_proj = nn.Linear(12, 8, bias=False)

    def forward(self, x: Tensor) -> Any:
        q, k, v = self.q_proj(x), self.k_proj(x), self.v_proj(x)
        x = self.o_proj(nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True))
        return self.down_proj(nn.functional.silu(self.gate_proj(x)) * self.up_proj(x))


class Fused(nn.Module):
    """Both in fused matrices; the mask is forgotten."""

    causal = False

    def __init__(self) -> None:
        super().__init__()
        self.wqkv, self.wo = nn.Linear(8, 24, bias=False), nn.Linear(8, 8, bias=False)
        self.w13, self.w2 = nn.Linear(8, 24, bias=False), nn.Linear(12, 8, bias=False)

    def forward(self, x: Tensor) -> Any:
        q, k, v = self.wqkv(x).chunk(3, -1)
        mixed = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        gate, up = self.w13(self.wo(mixed)).chunk(2, -1)
        return self.w2(self.gated(gate, up))

    def gated(self, gate: Tensor, up: Tensor) -> Tensor:
        return nn.functional.silu(gate) * up


class GateForUp(Fused):
    """A right mask; gate and up are exchanged, which a map can excuse."""

    causal = True

    def gated(self, gate: Tensor, up: Tensor) -> Tensor:
        return gate * nn.functional.silu(up)


class Layers(nn.Module):
    """A norm between two layers, declared last; its shapes are those of parts of biases."""

    def __init__(self) -> None:
        super().__init__()
        self.linear1, self.linear2 = nn.Linear(8, 16), nn.Linear(16, 8)
        self.norm1, self.norm2 = nn.LayerNorm(8), nn.LayerNorm(8)

    def forward(self, x: Tensor) -> Any:
        return self.norm2(self.linear2(torch.relu(self.linear1(self.norm1(x)))))


class NormsFirst(nn.Module):
    """Other names, norms declared first, and another activation."""

    def __init__(self) -> None:
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(8), nn.LayerNorm(8)
        self.fc1, self.fc2 = nn.Linear(8, 16), nn.Linear(16, 8)

    def forward(self, x: Tensor) -> Any:
        return self.ln2(self.fc2(torch.tanh(self.fc1(self.ln1(x)))))


class NotFinite(NormsFirst):
    def forward(self, x: Tensor) -> Any:
        return super().forward(x) / (x > 0)


class Torchs(nn.Module):
    """An LSTM as torch has it: gates i, f, g, o."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(8, 6, batch_first=True)

    def forward(self, x: Tensor) -> Any:
        return self.rnn(x)[0][:, -1]


class OutputThird(nn.Module):
    """An LSTM with gates i, f, o, g; a bias of the forget gate is added twice."""

    def __init__(self) -> None:
        super().__init__()
        self.w, self.u = nn.Linear(8, 24, bias=False), nn.Linear(6, 24)

    def forward(self, x: Tensor) -> Any:
        h = c = x.new_zeros(len(x), 6)
        for t in range(x.shape[1]):
            i, f, o, g = (self.w(x[:, t]) + self.u(h)).chunk(4, dim=1)
            c = torch.sigmoid(f + 1) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
        return h


def test_gates_are_in_the_order_in_which_most_numbers_agree() -> None:
    """No name tells the order; up to the mistake all numbers are the reference's."""
    mapping = find(OutputThird, Torchs, ROWS)
    assert mapping.fallback
    assert mapping.parts is not None
    assert "[[0, 1, 3, 2]]" in mapping.parts["w.weight"].text


class KerasNames(NormsFirst):
    """The scale and shift of norms are called gamma and beta."""

    def __init__(self) -> None:
        super().__init__()
        self.ln1, self.ln2 = GammaBeta(), GammaBeta()


class GammaBeta(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gamma, self.beta = nn.Parameter(torch.ones(8)), nn.Parameter(torch.zeros(8))

    def forward(self, x: Tensor) -> Any:
        return nn.functional.layer_norm(x, (8,), self.gamma, self.beta)


def test_roles_and_gates_are_joined_in_order() -> None:
    """The output of attention beside q, k and v hides no role."""
    mapping = find(Fused, Reference, ROWS)
    assert mapping.fallback
    assert "cat(q_proj.weight, k_proj.weight, v_proj.weight)" in mapping.text
    assert "cat(gate_proj.weight, up_proj.weight)" in mapping.text


def test_whole_layers_come_before_parts_of_biases(approved: Approved) -> None:
    mapping = find(NormsFirst, Layers, ROWS)
    approved([mapping.text, mapping.fallback], mask_figures=True)


def test_a_join_against_the_order_of_declaration_is_said(approved: Approved) -> None:
    """It may hide that a gate is exchanged with what it multiplies."""
    mapping = find(GateForUp, Reference, ROWS)
    assert not mapping.fallback
    approved([mapping.text, mapping.remark], mask_figures=False)


@pytest.mark.parametrize("model", [NormsFirst, KerasNames])
def test_a_search_ends_soon_after_a_plausible_map(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time that the rest may take is that of a few maps."""
    monkeypatch.setattr(searching, "SECONDS_PLAUSIBLE", 0.0)
    monkeypatch.setattr(searching, "TRIES_PLAUSIBLE", 0)
    calls: list[str] = []
    measure = Trier.measure

    def count(self: Trier, mapping: Any) -> float:
        calls.append("")
        return measure(self, mapping)

    monkeypatch.setattr(Trier, "measure", count)
    find(model, Layers, ROWS)
    assert len(calls) < 5


def test_numbers_that_are_not_finite_fail() -> None:
    """Whatever the map."""
    verdict = judge_eval(NotFinite, Layers, ROWS)
    assert verdict.status is Status.FAIL
    assert "output is not finite in" in verdict.why


def test_zeros_tell_no_map(approved: Approved) -> None:
    verdict = judge_eval(NormsFirst, Layers, torch.zeros(2, 3, 8))
    assert verdict.status is Status.BROKEN
    approved(verdict.why)
