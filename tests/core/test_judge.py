"""Judgement alone, on numbers made up for it: what passes, what fails, and which element is called
the worst.
"""

from typing import Any

import numpy as np
import pytest

from harness.comparing.combining import contrast
from harness.comparing.judge import (
    Judgement,
    Side,
    budget,
    draws_outside,
    judge,
    judge_contrast,
    outside,
)
from harness.core.contract import Bounded
from harness.core.verdict import Status
from tests.conftest import Approved

LARGEST = float(np.finfo(np.float64).max)
EXACT = np.array([[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]])  # two draws of three elements


def side(answer: np.ndarray, value: np.ndarray, error: float | np.ndarray) -> Side:
    """An answer, the oracle's exact value, and its bound, the same for all elements or one for
    each.
    """
    return Side(
        answer, Bounded(value, np.broadcast_to(np.asarray(error, dtype=float), value.shape))
    )


def asked(
    answer: np.ndarray,
    said: np.ndarray = EXACT,
    *,
    value: np.ndarray = EXACT,
    error: float | np.ndarray = 0.25,
    reference: Bounded | None = None,
    owner: np.ndarray | None = None,
    largest: float = LARGEST,
    every_draw: bool = False,
) -> Judgement:
    """One stack: a subject entitled to `error`, against a reference whose oracle is the same but
    exact.
    """
    owner = np.zeros(value.shape[1:], dtype=np.intp) if owner is None else owner
    theirs = Side(said, reference or Bounded(value, np.zeros(value.shape)))
    return judge([side(answer, value, error)], [theirs], [owner], largest, every_draw)


def off(index: tuple[int, int], by: float) -> np.ndarray:
    """The exact answers with one of them off."""
    answer = EXACT.copy()
    answer[index] += by
    return answer


@pytest.mark.parametrize(
    ("difference", "allowed", "used"),
    [
        (0.0, 0.0, 0.0),
        (5e-324, 0.0, np.inf),
        (0.0, 1.0, 0.0),
        (-1.0, 2.0, 0.5),
        (1.0, np.inf, 0.0),
        (np.nan, 1.0, np.inf),
        (np.nan, np.inf, np.inf),
        (np.inf, 1.0, np.inf),
        (-np.inf, np.inf, np.inf),
        (1.0, np.nan, np.inf),
        (1e308, 1e-308, np.inf),
    ],
)
def test_the_budget_of_one_difference(difference: float, allowed: float, used: float) -> None:
    """0 of 0 is 0, anything of 0 is infinite, and what is not finite is never inside."""
    assert budget(np.array([difference]), np.array([allowed])) == [used]
    assert budget(np.array([difference, 0.0]), np.array([allowed, 1.0]))[0] == used


@pytest.mark.parametrize("which", ["nothing", "no draws", "no draws in one of two"])
def test_no_evidence_is_not_a_pass(which: str, approved: Approved) -> None:
    """Where there is nothing to judge, it says so."""
    empty = side(np.zeros((0, 3)), np.zeros((0, 3)), 1.0)
    whole = side(EXACT, EXACT, 1.0)
    sides = {"nothing": [], "no draws": [empty], "no draws in one of two": [whole, empty]}[which]
    with approved.raises(ValueError):
        judge(sides, sides, [np.zeros(3, dtype=np.intp)] * len(sides), LARGEST)


@pytest.mark.parametrize("who", ["subject", "reference", "reference's bound"])
def test_nothing_is_broadcast(who: str, approved: Approved) -> None:
    """(4, 1) against (4,) is an error, on whichever side."""
    column, flat = np.ones((4, 1)), np.ones(4)
    mine = side(flat if who == "subject" else column, column, 1.0)
    bounds = flat if who == "reference's bound" else column
    theirs = Side(flat if who == "reference" else column, Bounded(bounds, 0 * bounds))
    with approved.raises(ValueError):
        judge([mine], [theirs], [np.zeros(1, dtype=np.intp)], LARGEST)


def test_a_stack_more_on_one_side_is_an_error() -> None:
    """Every answer has its counterpart."""
    one = side(EXACT, EXACT, 1.0)
    with pytest.raises(ValueError, match=r"shorter|longer"):
        judge([one, one], [one], [np.zeros(3, dtype=np.intp)] * 2, LARGEST)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("error", [0.25, 1e300])
def test_what_is_not_finite_never_passes(value: float, error: float) -> None:
    """Not even where the reference says the same, or the bound is huge."""
    spoiled = off((1, 2), value)
    for answer, said in ((spoiled, EXACT), (EXACT, spoiled), (spoiled, spoiled)):
        found = asked(answer, said, error=error)
        assert found.status is Status.FAIL
        assert found.budget_used == np.inf


@pytest.mark.parametrize("stack", [0, 1])
def test_the_worst_element_is_named_by_stack_draw_and_place(stack: int) -> None:
    """Of all stacks the one that uses most, with both values and what was allowed."""
    answers = [off((0, 1), 0.1), off((0, 1), 0.1)]
    answers[stack] = off((1, 2), 0.2)
    owner = np.zeros(3, dtype=np.intp)
    found = judge(
        [side(answer, EXACT, 0.25) for answer in answers],
        [side(EXACT, EXACT, 0.0)] * 2,
        [owner] * 2,
        LARGEST,
    )
    assert (found.status, found.stack, found.index) == (Status.PASS, stack, (1, 2))
    assert (found.actual, found.expected, found.allowed) == (32.2, 32.0, 0.25)
    assert found.budget_used == pytest.approx(0.8)


def test_all_of_the_budget_may_be_used() -> None:
    """And not one unit in the last place more."""
    assert asked(off((0, 0), 0.25)).status is Status.PASS
    assert asked(off((0, 0), 0.25)).budget_used == 1
    assert asked(off((0, 0), 0.25 + 2**-52)).status is Status.FAIL


def test_what_is_called_the_worst() -> None:
    """Not finite before the largest share of a bound, and that before what must be equal and is
    not.
    """
    errors = np.array([[0.25, 0.0, 0.25], [0.25, 0.25, 0.25]])
    answer = off((0, 1), 1.0)
    assert asked(answer, error=errors).index == (0, 1)
    answer[1, 0] += 0.5
    assert asked(answer, error=errors).index == (1, 0)
    answer[1, 2] = np.nan
    assert asked(answer, error=errors).index == (1, 2)


@pytest.mark.parametrize("by", [0.5, -0.5])
def test_what_the_contracts_declare_is_subtracted_and_reported(by: float) -> None:
    """Where the oracles differ, the answers must differ so too: agreeing is then a failure."""
    declared = Bounded(EXACT + by, np.full(EXACT.shape, 0.125))
    found = asked(EXACT, EXACT + by, reference=declared)
    assert (found.status, found.budget_used) == (Status.PASS, 0.0)
    assert (found.allowed, found.contract_share) == (0.25 + 0.125 + 0.5, 0.5)
    assert asked(EXACT, EXACT, reference=declared).status is Status.FAIL


@pytest.mark.parametrize(
    ("mine", "theirs", "outside"),
    [
        (1.0, 0.0, ("subject",)),
        (-1.0, 0.0, ("subject",)),
        (0.3, 0.0, ("subject",)),
        (0.0, 1.0, ("reference",)),
        (0.0, -1.0, ("reference",)),
        (1.0, -1.0, ("subject", "reference")),
        (0.2, 0.0, ()),
    ],
)
def test_who_is_outside_his_own_bounds_is_said(
    mine: float, theirs: float, outside: tuple[str, ...]
) -> None:
    """Each is held against the oracle of his own contract."""
    assert asked(off((0, 0), mine), off((0, 0), theirs)).outside == outside


def test_who_is_outside_elsewhere_only_is_not_accused() -> None:
    """What counts is the element that is shown."""
    answer, said = off((0, 0), 0.2), off((0, 0), 1.0)
    answer[1, 1] += 0.3
    found = asked(answer, said, reference=Bounded(EXACT, np.full(EXACT.shape, 0.0625)))
    assert (found.index, found.outside, found.status) == ((0, 0), ("reference",), Status.FAIL)


def test_who_is_on_his_own_bound_is_not_accused() -> None:
    """Not of what another did, though he is outside elsewhere."""
    answer, said = off((0, 0), 0.25), off((0, 0), -1.0)
    answer[1, 1] += 0.5
    found = asked(answer, said, reference=Bounded(EXACT, np.full(EXACT.shape, 0.0625)))
    assert (found.index, found.outside, found.budget_used) == ((0, 0), ("reference",), 16.0)


def test_a_pass_is_measured_by_the_sum_of_both_bounds() -> None:
    """Also where one side is on his own."""
    found = asked(off((0, 0), 0.25), reference=Bounded(EXACT, np.full(EXACT.shape, 0.25)))
    assert (found.status, found.budget_used, found.allowed) == (Status.PASS, 0.5, 0.5)
    assert (found.tensors_outside, found.outside) == ((), ())


def test_who_is_outside_his_own_bound_fails_within_the_sum_of_both() -> None:
    """What another may differ by is not his."""
    found = asked(off((0, 0), 0.3), reference=Bounded(EXACT, np.full(EXACT.shape, 0.25)))
    assert (found.status, found.outside, found.tensors_outside) == (Status.FAIL, ("subject",), (0,))
    assert found.budget_used == pytest.approx(1.2)


def test_who_is_outside_everywhere_is_accused() -> None:
    """Though both bounds together would hold every element."""
    found = asked(EXACT + 0.3, reference=Bounded(EXACT, np.full(EXACT.shape, 0.25)))
    assert (found.status, found.outside) == (Status.FAIL, ("subject",))


def test_being_wrong_together_is_a_failure() -> None:
    """Two that agree and are both outside their own bounds fail."""
    found = asked(off((1, 0), 1.0), off((1, 0), 1.0))
    assert (found.status, found.index, found.outside) == (
        Status.FAIL,
        (1, 0),
        ("subject", "reference"),
    )


def test_the_tensors_outside_are_listed() -> None:
    """By the number of the tensor that an element belongs to, in whichever stack."""
    owner = np.array([2, 0, 2])
    found = asked(off((1, 2), 1.0), owner=owner)
    assert found.tensors_outside == (2,)
    for by, tensors in ((0.1, ()), (0.25, ()), (0.3, (2,)), (-0.3, (2,))):
        assert asked(off((1, 2), by), owner=owner).tensors_outside == tensors
    assert asked(np.add(off((1, 2), 1.0), [0.0, 1.0, 0.0]), owner=owner).tensors_outside == (0, 2)
    sides = [side(off((0, 2), 1.0), EXACT, 0.25), side(off((0, 1), 1.0), EXACT, 0.25)]
    exact = [side(EXACT, EXACT, 0.0)] * 2
    for number in (2, 3):  # whichever stack has the tensor with the largest number
        owners = [owner, np.array([0, number, 1])]
        assert judge(sides, exact, owners, LARGEST).tensors_outside == (2, number)[: number - 1]
        assert (
            judge(sides[::-1], exact, owners[::-1], LARGEST).tensors_outside
            == (2, number)[: number - 1]
        )


def test_a_tensor_that_is_0_in_every_draw_was_not_seen() -> None:
    """Then a pass would say nothing of it."""
    value = EXACT * [1, 0, 1]
    found = asked(value, value, value=value, error=0.01, owner=np.array([0, 1, 0]))
    assert (found.status, found.unseen, found.too_wide) == (Status.VACUOUS, (1,), ())
    value = EXACT * [0, 1, -1]
    found = asked(value, value, value=value, error=0.01, owner=np.array([2, 1, 0]))
    assert (found.status, found.unseen, found.too_wide) == (Status.VACUOUS, (2,), ())


@pytest.mark.parametrize("owner", [[[0, 0], [1, 1]], [[0, 1], [1, 0]], [[1, 1], [0, 0]]])
@pytest.mark.parametrize("other", [[[0, 0], [1, 1]], [[1, 0], [0, 1]]])
def test_a_tensor_is_judged_wherever_its_elements_lie(
    owner: list[list[int]], other: list[list[int]]
) -> None:
    """Also where they lie elsewhere in the next stack."""
    owners = [np.array(owner), np.array(other)]
    for unseen in (0, 1):
        values = [np.where(each == unseen, 0.0, [[[4.0, 8.0], [2.0, 1.0]]]) for each in owners]
        sides = [side(value, value, 0.01) for value in values]
        assert judge(sides, sides, owners, LARGEST).unseen == (unseen,)
        wide = [
            side(np.ones((1, 2, 2)), np.ones((1, 2, 2)), np.where(each == unseen, 0.2, 0.01))
            for each in owners
        ]
        assert judge(wide, wide, owners, LARGEST).too_wide == (unseen,)


def test_a_tensor_of_small_numbers_is_seen() -> None:
    """However small, and of either sign."""
    for size in (1e-300, -1e-300):
        assert (
            asked(EXACT * size, EXACT * size, value=EXACT * size, error=1e-302).status
            is Status.PASS
        )


def test_a_bound_beyond_a_tenth_of_its_tensor_judges_nothing() -> None:
    """Unless another draw bounds it more narrowly."""
    owner = np.array([0, 1, 1])
    found = asked(EXACT, error=np.array([[0.2, 0.1, 0.1], [1.0, 0.1, 0.1]]), owner=owner)
    assert (found.status, found.unseen, found.too_wide) == (Status.VACUOUS, (), (0,))
    assert (
        asked(EXACT, error=np.array([[0.2, 0.1, 0.1], [0.8, 0.1, 0.1]]), owner=owner).status
        is Status.PASS
    )


def test_one_draw_of_a_tensor_is_evidence() -> None:
    """A draw in which it is 0 neither spoils that, nor is it evidence itself, though its bound is
    0.
    """
    value, error = EXACT * [[0], [1]], np.array([[0.0] * 3, [0.1] * 3])
    assert asked(value, value, value=value, error=error).status is Status.PASS
    found = asked(value, value, value=value, error=100 * error)
    assert (found.status, found.unseen, found.too_wide) == (Status.VACUOUS, (), (0,))


def test_beyond_the_range_of_the_dtype_nothing_is_defined() -> None:
    """A draw whose exact answer is beyond it says nothing and is counted; the others decide."""
    found = asked(EXACT, error=0.01, largest=33.0)
    assert (found.status, found.undefined) == (Status.PASS, 0)
    found = asked(EXACT, error=0.01, largest=31.0)
    assert (found.status, found.undefined) == (Status.PASS, 1)
    assert asked(EXACT, error=0.01, largest=3.0).status is Status.UNDEFINED
    for spoiled in (9.0, np.nan):
        found = asked(off((1, 0), spoiled), error=0.01, largest=31.0)
        assert (found.status, found.undefined, found.budget_used, found.tensors_outside) == (
            Status.PASS,
            1,
            0.0,
            (),
        )
    found = asked(off((0, 0), 9.0), error=0.01, largest=31.0)
    assert (found.status, found.index, found.outside) == (Status.FAIL, (0, 0), ("subject",))
    assert asked(EXACT, error=np.inf).status is Status.UNDEFINED


def test_what_is_outside_where_nothing_is_defined_changes_nothing_elsewhere() -> None:
    """Elsewhere a pass is measured by both bounds' sum, as ever."""
    answer = off((0, 1), 0.125)
    answer[1, 0] += 9.0
    found = asked(
        answer, error=0.125, reference=Bounded(EXACT, np.full(EXACT.shape, 0.125)), largest=31.0
    )
    assert (found.status, found.budget_used, found.index) == (Status.PASS, 0.5, (0, 1))
    assert found.undefined == 1


def test_the_range_of_the_dtype_ends_with_its_largest_number() -> None:
    """On both sides of 0, bounds included, and even if one element only is beyond."""
    errors = np.full(EXACT.shape, 0.01)
    errors[1, 0] = np.inf
    assert asked(EXACT, error=1.0, largest=33.0).status is Status.PASS
    assert asked(EXACT, error=1.0, largest=32.9).undefined == 1
    assert asked(EXACT, error=np.array([2.0, 2.0, 1.0]), largest=33.0).undefined == 0
    assert asked(-EXACT, -EXACT, value=-EXACT, error=0.01, largest=31.0).undefined == 1
    found = asked(EXACT, error=errors, owner=np.array([0, 1, 2]))
    assert (found.status, found.undefined) == (Status.PASS, 1)


def test_an_undefined_reference_leaves_the_own_oracle_to_judge() -> None:
    """R's censored loss has no gradient where all probabilities are 0; a right port has one."""
    errors = np.zeros(EXACT.shape)
    errors[1, 0] = np.inf
    said = off((1, 0), np.nan)
    found = asked(EXACT, said, error=0.01, reference=Bounded(said, errors))
    assert (found.status, found.undefined, found.budget_used) == (Status.PASS, 1, 0.0)
    found = asked(off((1, 2), 0.1), said, error=0.01, reference=Bounded(said, errors))
    assert (found.status, found.outside) == (Status.FAIL, ("subject",))


def test_draws_that_either_side_leaves_out_are_counted_together() -> None:
    """One is beyond the range, another undefined for the reference; the third decides."""
    value = np.array([[8.0, 64.0], [1.0, 2.0], [1.0, 3.0]])
    said = value.copy()
    said[1, 0] = np.inf
    errors = np.zeros(value.shape)
    how: dict[str, Any] = {"value": value, "error": 0.01, "largest": 32.0}
    found = asked(value, said, reference=Bounded(said, errors), **how)
    assert (found.status, found.undefined) == (Status.PASS, 2)
    wrong = value.copy()
    wrong[2, 1] += 1.0
    found = asked(wrong, said, reference=Bounded(said, errors), **how)
    assert (found.status, found.undefined) == (Status.FAIL, 2)


def test_every_draw_may_be_asked_for() -> None:
    """Then a draw beyond the range makes the status UNDEFINED, unless another fails."""
    how: dict[str, Any] = {"error": 0.01, "largest": 31.0, "every_draw": True}
    assert asked(EXACT, **how).status is Status.UNDEFINED
    assert asked(off((0, 0), 9.0), **how).status is Status.FAIL
    assert asked(EXACT, error=0.01, largest=33.0, every_draw=True).status is Status.PASS
    mine, theirs = side(EXACT, EXACT, 0.01), Side(EXACT, Bounded(EXACT, np.zeros(EXACT.shape)))
    by_default = judge([mine], [theirs], [np.zeros(3, dtype=np.intp)], 31.0)
    assert by_default.status is Status.PASS
    assert Judgement(Status.PASS, 0.0, 0, (), 0.0, 0.0, 0.0, 0.0).undefined == 0


def test_a_draw_beyond_the_range_is_no_evidence() -> None:
    """Though its bound is narrow: a tensor that only such a draw shows is not judged."""
    value = np.array([[0.0, 1.0, 1.0], [8.0, 16.0, 32.0]])
    found = asked(value, value, value=value, error=0.01, largest=31.0, owner=np.array([0, 1, 1]))
    assert (found.status, found.too_wide) == (Status.UNDEFINED, (0,))


def test_a_failure_is_no_less_one_for_a_wide_bound() -> None:
    """FAIL comes before VACUOUS."""
    assert asked(off((0, 0), 999.0), error=99.0).status is Status.FAIL
    assert asked(EXACT, error=99.0).status is Status.VACUOUS


# a draw, four rows, two outputs
OUTPUTS = np.array([[[1.0, 5.0], [2.0, 3.0], [4.0, 2.0], [5.0, 1.0]]])


def test_a_contrast_is_a_combination_of_rows() -> None:
    """Its bound is the sum of the rows' bounds by the sizes of the coefficients, and a little for
    adding them up.
    """
    found = contrast(side(OUTPUTS, OUTPUTS, 0.25), (1, -1, -2, 0))
    assert found.value.tolist() == [[-9.0, -2.0]]
    assert (found.error >= 1.0).all()
    assert found.error == pytest.approx(1.0, rel=1e-12)
    for outputs in (OUTPUTS, -OUTPUTS):
        alone = contrast(side(outputs, outputs, 0.0), (1, -1, -2, 0))
        assert alone.error.tolist() == [
            [4 * 2.0**-53 * (1 + 2 + 2 * 4), 4 * 2.0**-53 * (5 + 3 + 2 * 2)]
        ]


def test_a_contrast_on_logits_undoes_the_logistic() -> None:
    """Its bound holds what the bound of the outputs lets the logits be."""
    outputs = 1 / (1 + np.exp(-OUTPUTS))
    found = contrast(side(outputs, outputs, 1e-9), (1, -1, -1, 1), on_logits=True)
    plain = contrast(side(OUTPUTS, OUTPUTS, 0.0), (1, -1, -1, 1))
    assert (abs(found.value - plain.value) <= found.error).all()
    steepest = 1e-9 / (outputs * (1 - outputs)).min(axis=1)
    assert (found.error >= steepest).all()
    assert (found.error <= 4.1 * steepest).all()


@pytest.mark.parametrize("logit", [3.0, -3.0])
def test_a_logit_alone(logit: float) -> None:
    """Its bound is the further of both ends of what the output may be, and 16 roundings of
    logarithms and their sum.
    """
    output = np.full((1, 1, 1), 1 / (1 + np.exp(-logit)))
    found = contrast(side(output, output, 0.01), (1,), on_logits=True)
    p = float(output[0, 0, 0])
    ends = [abs(np.log((p + s) / (1 - p - s)) - logit) for s in (-0.01, 0.01)]
    assert found.error == pytest.approx(max(ends), rel=1e-12)
    alone = contrast(side(output, output, 0.0), (1,), on_logits=True)
    assert alone.error == pytest.approx(2.0**-53 * (16 * (1 + 3) + 3), rel=1e-12, abs=0)


def test_a_logit_that_may_be_infinite_has_no_bound() -> None:
    """Where the output may be 0 or 1, whatever else it may be."""
    for near in (0.005, 0.995):
        output = np.full((1, 1, 1), near)
        assert contrast(side(output, output, 0.01), (1,), on_logits=True).error == np.inf


def test_a_contrast_is_never_taken_to_be_exact() -> None:
    """The harness rounds too."""
    half = np.full((1, 4, 1), 0.5)
    assert contrast(side(half, half, 0.0), (1, 0, 0, 0)).error > 0
    assert contrast(side(half, half, 0.0), (1, 0, 0, 0), on_logits=True).error > 0


def test_a_contrast_of_saturated_outputs_is_no_example() -> None:
    """A logistic output of exactly 1 has no logit: it neither passes nor warns."""
    ones = np.ones((1, 4, 1))
    found = contrast(side(ones, ones, 1e-9), (1, 0, -1, 0), on_logits=True)
    claim, example = judge_contrast(found, found)
    assert claim.status is Status.FAIL
    assert example.status is Status.FAIL


def contrasted(value: list[float], error: float) -> Bounded:
    """A contrast of one output in several draws."""
    return Bounded(np.array(value)[:, None], np.full((len(value), 1), error))


def test_a_contrast_passes_with_0_on_one_side_and_an_example_on_the_other() -> None:
    """The example shown is the largest that is beyond both bounds."""
    claim, example = judge_contrast(
        contrasted([0.0, 1e-9, 0.0], 1e-8), contrasted([0.5, -3.0, 2.0], 1e-8)
    )
    assert (claim.status, claim.index, claim.actual, claim.expected) == (
        Status.PASS,
        (1, 0),
        1e-9,
        0.0,
    )
    assert claim.budget_used == pytest.approx(0.1)
    assert (example.status, example.index, example.actual, example.expected) == (
        Status.PASS,
        (1, 0),
        1e-9,
        -3.0,
    )
    assert example.allowed == 2e-8
    _, small = judge_contrast(contrasted([0.0], 1e-8), contrasted([-2.1e-8], 1e-8))
    assert (small.status, small.expected) == (Status.PASS, -2.1e-8)
    for part in (claim, example):
        assert (part.stack, part.contract_share, part.outside) == (0, 0.0, ())


@pytest.mark.parametrize("value", [1e-8, -1e-8])
def test_a_contrast_that_is_0_within_its_bound_passes(value: float) -> None:
    """Up to the bound itself."""
    claim, _ = judge_contrast(contrasted([0.0, value], 1e-8), contrasted([1.0, 1.0], 1e-8))
    assert (claim.status, claim.budget_used) == (Status.PASS, 1.0)


@pytest.mark.parametrize("value", [1.1e-8, -1e-7, np.nan, np.inf])
def test_a_contrast_that_is_not_0_fails_the_claim(value: float) -> None:
    """In any draw."""
    claim, _ = judge_contrast(contrasted([0.0, value], 1e-8), contrasted([1.0, 1.0], 1e-8))
    assert (claim.status, claim.index) == (Status.FAIL, (1, 0))


@pytest.mark.parametrize("value", [0.0, 1.9e-8, 2e-8, -2e-8, np.nan, np.inf])
def test_a_contrast_without_an_example_fails_too(value: float) -> None:
    """Inside both bounds together, if only just, or not finite, is no example."""
    _, example = judge_contrast(contrasted([0.0], 1e-8), contrasted([value], 1e-8))
    assert example.status is Status.FAIL


@pytest.mark.parametrize(
    ("off", "largest", "expected"),
    [
        (0.5, 9.0, False),
        (0.7, 9.0, True),
        (-0.7, 9.0, True),
        (np.nan, 9.0, True),
        (0.7, 2.5, True),
        (0.7, 2.0, False),
    ],
)
def test_one_answer_is_outside_or_not(off: float, largest: float, expected: bool) -> None:
    """Beyond the bound of any element; what is beyond the dtype's range, bound included, says
    nothing.
    """
    bound = Bounded(np.array([2.0, 100.0]), np.array([0.5, 1.0]))
    assert outside(np.array([2.0 + off, 100.0]), bound, largest) is expected
    assert outside(np.array([2.0 + off, 0.0]), bound, 101.0) is True
    assert (
        outside(np.array([-100.0 - off]), Bounded(np.array([-100.0]), np.array([0.5])), largest)
        is False
    )


def test_the_draws_outside_are_marked() -> None:
    """By any one element; but not by one that is beyond the dtype's range."""
    bound = Bounded(np.full((4, 2, 3), [[[1.0], [90.0]]]), np.full((4, 2, 3), 0.5))
    answer = bound.value.copy()
    answer[1, 0, 2] += 0.6
    answer[2, 1] -= 0.6
    assert draws_outside(answer, bound, LARGEST).tolist() == [False, True, True, False]
    assert draws_outside(answer, bound, 80.0).tolist() == [False, True, False, False]
    assert draws_outside(bound.value, bound, LARGEST).tolist() == [False] * 4
