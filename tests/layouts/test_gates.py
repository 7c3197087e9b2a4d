"""Gates of an LSTM and a GRU: orders, biases and layers are found; exchanged gates fail."""

from typing import Any

import pytest

from harness.core.verdict import Status
from tests.conftest import Approved
from tests.layouts import recurrent as m
from tests.layouts.support import expect_found, find, judge_eval, read_advice

KERAS, IOFG, IGFO, IFOG, GIFO = map(m.keras, ("ifgo", "iofg", "igfo", "ifog", "gifo"))
LSTMS = (KERAS, IOFG, IGFO, IFOG, GIFO, m.ByGate, m.ByWord)
PORTS = [(m.Torchs, other) for other in LSTMS] + [(one, m.Torchs) for one in LSTMS]
PORTS += [(m.Torchs, m.Own), (m.ByWord, m.ByGate), (m.ByGate, KERAS)]
PORTS += [(m.TorchsGru, m.KerasGru), (m.KerasGru, m.TorchsGru), (m.GruSteps, m.TorchsGru)]


@pytest.mark.parametrize(("model", "reference"), PORTS)
def test_gates_are_found(model: Any, reference: Any) -> None:
    """In other orders, with one bias or two, and with layers of their own."""
    expect_found(model, reference, m.DATA)


def test_the_order_of_gates_is_said() -> None:
    """And whose it is, if that can be known."""
    assert "Theirs stores the gates in the order i, o, f, g" in expect_found(m.Torchs, IOFG, m.DATA)
    assert "Mine stores the gates in the order i, o, f, g" in expect_found(IOFG, m.Torchs, m.DATA)
    assert "Mine stores the gates in the order i, g, f, o" in expect_found(IGFO, m.Torchs, m.DATA)
    assert "Theirs stores the gates in the order z, r, n" in expect_found(
        m.TorchsGru, m.KerasGru, m.DATA
    )


@pytest.mark.parametrize("order", ["figo", "iogf"])
def test_exchanged_gates_of_an_lstm_fail(order: str) -> None:
    """No framework has such an order; the line that would excuse it is given, and does."""
    pair = m.keras(order), m.Torchs
    found = judge_eval(*pair, m.DATA)
    assert found.status is Status.FAIL
    assert f"the gates i, f, g, o of Torchs are taken as {', '.join(order)}" in found.why
    assert judge_eval(*pair, m.DATA, read_advice(found.why)).status is Status.PASS


NAMED = {
    (m.ByGateWrong, m.Torchs): "the gates i, f, g, o of Theirs are taken as f, i, g, o",
    (m.Torchs, m.ByGateWrong): "cat(W_f.weight, W_i.weight, W_c.weight, W_o.weight) along 0",
    (m.ByGateWrong, m.ByGate): "W_i.weight = W_f.weight",
    (m.Torchs, m.ByWordWrong): "cat(input_gate.weight[:, 0:4], output_gate.weight[:, 0:4]",
    (m.ByWordWrong, m.Torchs): "output_gate.weight = cat(rnn.weight_ih_l0[6:12], ",
    (m.ByWordWrong, m.ByGate): "output_gate.weight = cat(W_f.weight, U_f.weight) along 1",
    (m.OwnOtherOrder, m.Torchs): "Mine or Theirs stores the gates in the order i, f, o, g",
    (m.OwnOtherOrder, m.Own): "Mine or Theirs stores the gates in the order i, f, o, g",
    (m.GruWrong, m.TorchsGru): "are taken in the order 2, 1, 3",
    (m.TorchsGru, m.GruWrong): "are taken in the order 2, 1, 3",
    (m.GruWrong, m.GruSteps): "are taken in the order 2, 1, 3",
}


@pytest.mark.parametrize("pair", NAMED)
def test_exchanged_gates_are_no_map_and_are_named(
    pair: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the names of gates, by torch's own order, or by no name at all."""
    monkeypatch.setattr("harness.mapping.searching.SECONDS_AFTER", 0.0)
    assert NAMED[pair] in find(*pair, m.DATA).against_names


def test_a_model_with_exchanged_gates_fails() -> None:
    """The sentence on them is the likely cause."""
    found = judge_eval(m.GruWrong, m.GruSteps, m.DATA)
    assert found.status is Status.FAIL
    assert "likely: the outputs agree if the thirds of fused tensors of GruSteps" in found.why


def test_the_sentences_on_gates(approved: Approved) -> None:
    """Found and assumed, or found and refused."""
    assumed = find(m.Torchs, IOFG, m.DATA)
    exchanged = find(m.keras("figo"), m.Torchs, m.DATA)
    named = find(m.ByGateWrong, m.ByGate, m.DATA)
    update = find(m.GruWrong, m.TorchsGru, m.DATA)
    maps = assumed, exchanged, named, update
    approved([each.against_names or each.remark for each in maps], mask_figures=False)
