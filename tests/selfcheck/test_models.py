"""The audit of models at random: no right one is told to be wrong, and faults are found."""

from __future__ import annotations

import random

import pytest
import torch
from torch import Tensor

from harness.same.compare import ByName, compare
from tests.conftest import Approved
from tests.selfcheck import model_cost, model_faults, models
from tests.selfcheck.zoo.dense import Dense
from tests.selfcheck.zoo.draw import DTYPES, FAMILIES, draw
from tests.selfcheck.zoo.net import list_blocks, rewrite


def test_right_models_raise_no_alarm() -> None:
    """By other formulas, in every family and dtype; most of their tensors are judged."""
    audit = models.audit_models(7, range(3, 13))
    assert audit.alarms == []
    assert not audit.unruled
    assert set(audit.families) == set(FAMILIES)
    assert set(audit.tallies) == set(DTYPES)
    tensors = sum(tally.tensors for tally in audit.tallies.values())
    unjudged = sum(tally.unjudged["same function"] for tally in audit.tallies.values())
    assert unjudged < 0.2 * tensors


def test_a_wrong_formula_is_an_alarm(monkeypatch: pytest.MonkeyPatch, approved: Approved) -> None:
    """A formula that is off by 1e-9 is told, with the answer, the model and its formulas."""

    def off(self: Dense, x: Tensor) -> Tensor:
        return self.add_bias(x @ self.weight.t()) * (1 + 1e-9)

    monkeypatch.setattr(Dense, "multiply_and_add", off)
    audit = models.audit_models(7, [3], "mlp", "float32")
    wrong = {part for part, _ in audit.alarms}
    assert wrong == {"same function"}
    approved(models.report(audit, 1.0), mask_figures=True)


def test_the_same_number_draws_the_same_model() -> None:
    """An alarm can be looked at again."""
    one, again = draw(3, 5), draw(3, 5)
    assert one.label == again.label
    assert torch.equal(one.inputs, again.inputs)
    pairs = zip(one.net.parameters(), again.net.parameters(), strict=True)
    assert all(torch.equal(*pair) for pair in pairs)


def test_models_are_rewritten() -> None:
    """Many blocks compute by another formula than torch's own."""
    changed, blocks = 0, 0
    for number in range(8):
        example = draw(7, number)
        right = list_blocks(example.net)
        for name, block in list_blocks(rewrite(example, random.Random(number))[0]).items():
            changed += block.style != right[name].style
            blocks += 1
    assert changed > blocks / 3


def test_faults_are_found(approved: Approved) -> None:
    """Of all kinds; the layer is named of those in weights and kernels."""
    faults = model_faults.plant_faults(7, range(4))
    assert not faults.raised
    assert not [one for one in faults.missed if one.startswith("NOT FOUND")]
    for kind in ("weight", "kernel"):
        counts = faults.names[kind]
        assert counts.planted == 4
        assert counts.named == 4 - counts.without_effect - counts.unjudged
    approved(model_faults.report(faults, 1.0), mask_figures=True)


def test_an_ill_conditioned_variance_is_told() -> None:
    """E[x^2] - E[x]^2 of numbers far from 0 is the same function, and many bits worse."""
    example, wrong = model_faults.draw_moments(1)
    shadows = models.make_shadow(example, wrong), models.make_shadow(example, example.net)
    output = compare(*shadows, ByName(), torch.Generator().manual_seed(0))[0]
    assert output.outcome == "same"
    assert output.bits_worse > models.MOST_WORSE


def test_costs_are_measured() -> None:
    """A comparison costs more than what it compares, and has no cost of another order."""
    ratio, seconds = model_cost.measure_dual_head(3, 8)
    assert 1 < ratio.middle < 200
    assert 0 < seconds.low <= seconds.high
