"""Wrong models are found, right ones pass, and what cannot be compared is said."""

import copy
from typing import Any

import pytest

from harness.core.verdict import Status
from harness.same.case import same
from tests.conftest import Approved
from tests.same import models as m
from tests.same.models import DATA, judge

FAST: dict[str, Any] = {"dtypes": ["float64"], "modes": ["train"]}
BOTH = (7, 5), (7, 3)
FUNCTION = "float64 same-function-train"


def status_of(model: Any, reference: Any, **more: Any) -> Status:
    """The status of the question whether two models are the same function."""
    return judge(same(model, reference, **{"data": DATA, **FAST, **more}))[FUNCTION].status


RIGHT = [
    (m.Plain, m.Plain),
    (m.DroppedByFunction, m.Dropped),
    (m.Tied, m.Tied),
    (m.PairByName, m.Pair),
    (m.IdleHead, m.Plain),
    (m.Plain, m.IdleHead),
    (m.ExtraBias, m.Plain),
    (m.Plain, m.ExtraBias),
    (m.Renamed, m.Plain),
    (m.OtherOrder, m.Plain),
    (m.Folded, m.Plain),
    (m.Plain, m.Folded),
    (m.Normed, m.Normed),
    (m.Counting, m.Counting),
]


@pytest.mark.parametrize(("model", "reference"), RIGHT)
def test_the_same_function_passes(model: Any, reference: Any, approved: Approved) -> None:
    """By other names, in another order, in other shapes; what was assumed is said."""
    verdict = judge(same(model, reference, data=DATA, **FAST))[FUNCTION]
    assert verdict.status is Status.PASS
    approved([verdict.why, verdict.caveat], mask_figures=True)


WRONG = [
    (m.NoBias, m.Plain),
    (m.Plain, m.NoBias),
    (m.Scaled, m.Plain),
    (m.Plain, m.Dropped),
    (m.Dropped, m.Plain),
    (m.Untied, m.Tied),
    (m.Tied, m.Untied),
    (m.PairSwapped, m.Pair),
    (m.Plain, m.Pair),
    (m.ExtraMatrix, m.Plain),
    (m.Frozen, m.Plain),
    (m.Detached, m.Plain),
    (m.Cached, m.Plain),
    (m.NotANumber, m.Plain),
    (m.RenamedScaled, m.Plain),
    (m.WrongWiringExchanged, m.WrongWiring),
    (m.NormedSlowly, m.Normed),
    (m.Counting, m.Plain),
    (m.DroppedLess, m.Dropped),
    (m.Plain, m.Counting),
    (m.TurnedScaled, m.Turned),
]


@pytest.mark.parametrize(("model", "reference"), WRONG)
def test_another_function_fails(model: Any, reference: Any, approved: Approved) -> None:
    """And the failure says what helps."""
    verdict = judge(same(model, reference, data=DATA, **FAST))[FUNCTION]
    assert verdict.status is Status.FAIL
    approved(verdict.why, mask_figures=True)


def test_a_map_in_order_is_taken_if_none_agrees(approved: Approved) -> None:
    """So that the first operation that differs can be named."""
    verdict = judge(same(m.OneInputRelu, m.TwoInputs, **{**FAST, "data": BOTH}))[FUNCTION]
    assert verdict.status is Status.FAIL
    approved(verdict.why, mask_figures=True)


def test_where_the_function_is_not_judged_nothing_else_passes() -> None:
    """Labels and numbers that are none."""
    for model in (m.Labels, m.NotANumber):
        found = judge(same(model, model, data=DATA, **FAST))
        assert Status.PASS not in {verdict.status for verdict in found.values()}


SILENT = [
    (m.MaskedByHand, m.Dropped, Status.ABSENT),
    (m.MaskedByHandOnce, m.Dropped, Status.ABSENT),
    (m.NotANumber, m.NotANumber, Status.UNDEFINED),
    (m.Constant, m.Constant, Status.VACUOUS),
    (m.Labels, m.Labels, Status.VACUOUS),
]


@pytest.mark.parametrize(("model", "reference", "status"), SILENT)
def test_no_evidence_is_no_pass(
    model: Any, reference: Any, status: Status, approved: Approved
) -> None:
    """Random numbers in another order, numbers that are none, constants and labels."""
    verdict = judge(same(model, reference, data=DATA, **FAST))[FUNCTION]
    assert verdict.status is status
    approved(verdict.why, mask_figures=True)


def test_a_mode_that_is_ignored_is_seen() -> None:
    """Dropout that stays on in eval(), and batch norm that goes on normalising by the batch."""
    for model, reference in ((m.DroppedAlways, m.Dropped), (m.NormedAlways, m.Normed)):
        found = judge(same(model, reference, data=DATA, dtypes=["float64"]))
        assert found[FUNCTION].status is Status.PASS
        assert found["float64 same-function-eval"].status is Status.FAIL


def test_a_bias_that_is_zero_as_built_is_seen_by_its_gradient() -> None:
    """Even if no parameters are drawn."""
    assert status_of(m.NoBias, m.Plain, draws=0) is Status.FAIL
    assert status_of(m.NoBias, m.Plain, draws=1) is Status.FAIL


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_the_seeds_question_in_every_dtype(dtype: str) -> None:
    """The concatenated version of the two-matrix network is the same function."""
    found = judge(same(m.OneInput, m.TwoInputs, data=BOTH, dtypes=[dtype]))
    assert {verdict.status for verdict in found.values()} == {Status.PASS}


def test_precision_that_is_lost_is_found(approved: Approved) -> None:
    """A cast and an ill-conditioned form are the same function, with fewer bits."""
    for model in (m.Cast, m.Cancelling):
        found = judge(same(model, m.Plain, data=DATA, **FAST))
        assert found[FUNCTION].status is Status.PASS
        verdict = found["float64 precision-kept-train"]
        assert verdict.status is Status.FAIL
        approved(verdict.why, mask_figures=True)


def test_the_form_of_another_function_is_not_judged(approved: Approved) -> None:
    """A norm of numbers far from 0 loses bits, but not of the same function."""
    found = judge(same(m.FarNorm, m.Plain, data=DATA, **FAST))
    assert found[FUNCTION].status is Status.FAIL
    verdict = found["float64 precision-kept-train"]
    assert verdict.status is Status.ABSENT
    approved(verdict.why, mask_figures=True)


def test_what_is_rounded_first_is_said(approved: Approved) -> None:
    """A model in bfloat16 and its original in float32 are compared by the numbers of bfloat16."""
    original = m.Plain()
    case = same(copy.deepcopy(original).bfloat16(), original, data=DATA, parameters="as built")
    found = judge(case)
    approved(found["bfloat16 same-function-eval"].why, mask_figures=True)


def test_noise_has_no_precision_to_keep(approved: Approved) -> None:
    """Where rounding may change every answer by its size, no form is judged, and this is said."""
    found = judge(same(m.Noisy, m.Noise, data=DATA, dtypes=["float32"], modes=["train"]))
    assert found["float32 same-function-train"].status is Status.PASS
    verdict = found["float32 precision-kept-train"]
    assert verdict.status is Status.PASS
    approved(verdict.why, mask_figures=True)


def test_precision_that_is_lost_on_purpose_is_declared(approved: Approved) -> None:
    """The reason then stands in the verdict."""
    case = same(m.Cancelling, m.Plain, data=DATA, precision_lost="a demonstration", **FAST)
    verdict = judge(case)["float64 precision-kept-train"]
    assert verdict.status is Status.PASS
    assert verdict.caveat == "Precision is lost as declared: a demonstration"
    approved(verdict.why, mask_figures=True)


def test_the_other_questions_of_a_pass(approved: Approved) -> None:
    """Well computed, precision kept."""
    found = judge(same(m.Renamed, m.Plain, data=DATA, dtypes=["float32"], modes=["eval"]))
    approved([verdict.why for verdict in found.values()], mask_figures=True)
