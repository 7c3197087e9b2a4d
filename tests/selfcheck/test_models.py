"""The audit of models at random: no right one is told to be wrong, and faults are found."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from harness.matching.carry import ByName
from harness.matching.compare import compare
from tests.conftest import Approved
from tests.selfcheck import model_cost, model_faults, models
from tests.selfcheck.zoo import formulas
from tests.selfcheck.zoo.dense import Dense
from tests.selfcheck.zoo.draw import DTYPES, FAMILIES, draw
from tests.selfcheck.zoo.losses import Huber
from tests.selfcheck.zoo.net import list_blocks, rewrite


def close_gaps(text: str) -> str:
    """Return a table without the spaces that align its figures."""
    return re.sub(" +", " ", text)


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
    approved(close_gaps(models.report(audit, 1.0)), mask_figures=True)


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
    approved(close_gaps(model_faults.report(faults, 1.0)), mask_figures=True)


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


def measure_error(formula: Callable[[Tensor], Tensor], z: Tensor) -> float:
    """The largest error in float32 of a formula's first result and of its slope, relative."""
    found = []
    for dtype in (torch.float32, torch.float64):
        at = z.to(dtype).requires_grad_()
        result = formula(at).flatten()[0]
        (slope,) = torch.autograd.grad(result, at)
        found.append((result.detach().double(), slope.flatten()[0].double()))
    return max(float(abs(one - exact) / abs(exact)) for one, exact in zip(*found, strict=True))


HUBER = Huber()


@pytest.mark.parametrize(
    ("costly", "plain", "at"),
    [
        (formulas.elu_by_where, functional.elu, [-11.0]),
        (formulas.selu_by_hand, functional.selu, [-11.0]),
        (formulas.softmax_by_logsumexp, lambda z: torch.softmax(z, -1), [4e6, 4e6 + 0.25]),
        (lambda z: HUBER.by_clamp(z, z * 0), lambda z: HUBER.plain(z, z * 0), [1e-3]),
    ],
    ids=["elu", "selu", "softmax", "huber"],
)
def test_what_is_called_costly_loses_bits(
    costly: Callable[[Tensor], Tensor], plain: Callable[[Tensor], Tensor], at: list[float]
) -> None:
    """A formula is no false alarm of precision that is lost where it loses more than three bits."""
    z = torch.tensor(at)
    assert measure_error(costly, z) > 8 * max(measure_error(plain, z), torch.finfo(z.dtype).eps)
