"""The arithmetic that goes on from what an implementation has itself computed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import Contract
from harness.arithmetic.bounded import BoundedArithmetic
from harness.arithmetic.staged import Replaced, StagedArithmetic, before
from harness.core.contract import Bounded
from tests.conftest import Approved


def staged(*own: float) -> StagedArithmetic:
    """One draw of one row."""
    return StagedArithmetic(Contract("bfloat16"), 2, np.array([[own]]))


def bounded(*values: tuple[float, float]) -> Bounded:
    """Values and bounds, one draw of one row."""
    value, error = np.array(values).T
    return Bounded(value[None, None], error[None, None])


def test_a_number_of_its_own_takes_the_place_of_what_was_derived() -> None:
    """The one within the bound; of several the interval that holds them; of none nothing is
    taken.
    """
    m, derived = staged(1.05, 1.95, 2.05, 9.0), bounded((1, 0.1), (2, 0.1), (3, 0.1))
    found = m.stored(derived)
    assert found.value.ravel() == pytest.approx([1.05, 2.0, 3.0])
    assert found.error.ravel() == pytest.approx([0.0, 0.05, 0.1])
    assert found.error[0, 0, 0] == 0
    assert before(found) is not found
    assert (before(found).value.ravel() == [1, 2, 3]).all()
    assert (m.found, m.asked, m.missing) == (2, 3, [])


def test_a_number_on_its_bound_is_within_it() -> None:
    """And one beyond it is not."""
    m = staged(1.5, 3.5000001)
    assert m.stored(bounded((1, 0.5), (3, 0.5))).value.ravel().tolist() == [1.5, 3.0]


def test_a_column_is_of_all_draws_and_rows() -> None:
    """One that is outside in a single place is not taken; which column it is may differ from unit
    to unit.
    """
    right, wrong = [[1.0, 2.0], [3.0, 4.0]], [[1.0, 2.0], [3.0, 9.0]]
    own = np.stack([np.array(wrong), np.array(right)], axis=-1)
    m = StagedArithmetic(Contract(), 2, own)
    value = np.stack([np.array(right) + 0.01, np.array(wrong) - 0.01], axis=-1)
    found = m.stored(Bounded(value, np.full(value.shape, 0.1)))
    assert np.array_equal(found.value, own[..., ::-1])
    assert not found.error.any()


@given(st.lists(st.floats(-4, 4), min_size=1, max_size=6), st.floats(-4, 4), st.floats(0, 1))
def test_what_takes_its_place_holds_every_candidate(
    own: list[float], value: float, error: float
) -> None:
    """Whichever of the numbers within the bound an implementation goes on from, it is in the
    interval.
    """
    found = staged(*own).stored(bounded((value, error)))
    for number in own:
        if abs(number - value) <= error:
            assert abs(number - found.value[0, 0, 0]) <= found.error[0, 0, 0]


def test_the_interval_is_rounded_outwards() -> None:
    """By more than float64 may lose when its half is taken, and where its middle is one of its
    ends.
    """
    assert staged(1.0, 1.5).stored(bounded((1.2, 0.5))).error > 0.25 * (1 + 1e-10)
    ends = 1.0, 1 + 2.0**-52
    found = staged(*ends).stored(bounded((1, 0.5)))
    assert max(abs(end - found.value) for end in ends) <= found.error


def test_without_anything_seen_it_is_bounded_arithmetic(approved: Approved) -> None:
    """Column for column; the activations that were not seen are missed by name, in order."""
    z, m = bounded((0.3, 1e-3), (-0.7, 1e-3)), staged(9.0)
    for a, b in zip(
        BoundedArithmetic(Contract("bfloat16"), 2).act("tanh", z), m.act("tanh", z), strict=True
    ):
        assert a is not None
        assert b is not None
        assert np.array_equal(a.value, b.value)
        assert np.array_equal(a.error, b.error)
    assert (m.found, m.asked) == (0, 4)
    approved(m.missing)


def test_an_activation_is_of_its_own_argument() -> None:
    """What it may be off by is then its own rounding alone; its own result goes on."""
    m = staged(1.01, float(np.tanh(1.01)) + 2e-3)
    h, slope = m.act("tanh", bounded((1.0, 0.02)))
    alone, its_slope = BoundedArithmetic(Contract("bfloat16"), 2).act("tanh", bounded((1.01, 0.0)))
    assert slope is not None
    assert its_slope is not None
    assert (h.value, h.error) == (m.own[..., 1:], 0)
    assert np.array_equal(before(h).error, alone.error)
    assert (slope.value, slope.error) == (its_slope.value, its_slope.error)


def test_what_is_no_row_of_numbers_is_left_as_it_is() -> None:
    """A block of parameters, a vector, other rows than were seen; and what was replaced is not
    replaced again.
    """
    m = staged(1.0)
    for x in (Bounded(np.ones(1), np.ones(1)), Bounded(np.ones((1, 2, 1)), np.ones((1, 2, 1)))):
        assert m.stored(x).value is x.value
        assert not isinstance(m.stored(x), Replaced)
    once = m.stored(bounded((1.2, 0.5)))
    assert isinstance(once, Replaced)
    asked = m.asked
    assert m._replace_columns(once) is once
    assert m.asked == asked
    assert before(bounded((1, 0))).value == 1


@pytest.mark.parametrize("size", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_number_of_its_own_that_is_subnormal_may_be_read_as_0(sign: float, size: float) -> None:
    """As products of matrices do on CPUs that multiply bfloat16; a normal one is what it is."""
    own = sign * size * Contract("bfloat16").tiny
    found = staged(own).stored(bounded((own, 4e-38)))
    assert found.error == (pytest.approx(abs(own) / 2) if size < 1 else 0)
    assert found.value == (own / 2 if size < 1 else own)
