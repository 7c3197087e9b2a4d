"""Logarithms, softmax and their relatives, each by itself: its bound is the one that was derived,
and no arithmetic loses a shape, a mask or an exact number.
"""

import math
from math import inf
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.arithmetic.bounded import BoundedArithmetic
from harness.arithmetic.grid import NEVER, GridArithmetic
from harness.arithmetic.logit_rows import LogitRows
from harness.arithmetic.plain import Plain
from harness.arithmetic.staged import Replaced, StagedArithmetic
from harness.core.contract import Bounded, Contract
from tests.conftest import Approved

seeded = settings(derandomize=True, deadline=None, database=None)
CONTRACTS = {
    "float64": Contract(),
    "float32": Contract("float32"),
    "bfloat16": Contract("bfloat16"),
    "float16": Contract("float16"),
    "float16, exp within 1 ulp": Contract("float16", exp_ulp=1.0),
}
EVERY = pytest.mark.parametrize("contract", CONTRACTS.values(), ids=CONTRACTS)


def known(values: Any, errors: Any = 0.0) -> Bounded:
    """Numbers of one row, known to within errors."""
    value = np.array(values, dtype=float)[None, None]
    return Bounded(value, np.broadcast_to(np.asarray(errors, dtype=float), value.shape))


def expect(found: Bounded, value: Any, error: Any) -> None:
    """The value, and the error with a little on top: a factor of about 1 + 1e-9, and no more."""
    values, errors = np.broadcast_arrays(np.asarray(value, float), np.asarray(error, float))
    np.testing.assert_allclose(found.value.ravel(), values.ravel(), rtol=1e-14, atol=0)
    for has, needs in zip(found.error.ravel(), errors.ravel(), strict=True):
        if needs in (0, inf):
            assert has == needs
        else:
            assert 0.5e-9 < has / needs - 1 < 1.5e-9, (has, needs)


class Row:
    """What the derivation says of one row of logits, class by class, in scalars."""

    def __init__(self, contract: Contract, z: list[float], e: list[float]) -> None:
        self.z, self.e, self.tiny = z, e, contract.tiny
        self.u = contract.roundoff + 2.0**-53
        self.k = 2 * contract.exp_ulp
        self.slack = 1 / max(1 - (self.k + 4) * self.u, self.u)
        self.most = max(a + b for a, b in zip(z, e, strict=True))
        self.least = max(a - b for a, b in zip(z, e, strict=True))
        powers = [math.exp(a - max(z)) for a in z]
        self.lse = max(z) + math.log(sum(powers))
        self.p = [power / sum(powers) for power in powers]
        grown = sum(p * math.exp(b) for p, b in zip(self.p, e, strict=True))
        self.moved_sum = min(math.log(grown), max(e))
        self.size = abs(self.lse) + self.moved_sum
        self.L = min(math.log(len(z)), self.lse + self.moved_sum - self.least)
        sixteen = contract.bits < 24
        summing = (2.0**-24 if sixteen else contract.roundoff) + 2.0**-53
        in_sum = len(z) * (summing + contract.tiny) + 2 * self.u * sixteen
        self.in_sum = self.u * (math.log(len(z)) + self.k) - math.log1p(-in_sum)
        self.unshifted = self.k * min(self.size, math.log(contract.largest))

    def rounding_of_sum(self) -> float:
        """Of logsumexp, shifted or not."""
        form = max(self.size + self.k * self.L, self.unshifted)
        return self.slack * (self.u * form + self.in_sum)

    def rounding_of_log(self, i: int) -> float:
        """Of log-softmax: from z - m, from logsumexp, or not shifted."""
        gap = self.most - self.z[i] + self.e[i]
        form = max(gap + self.k * self.L, self.size + self.k * self.L, self.unshifted)
        return self.slack * (self.u * (form + gap + self.L) + self.in_sum)

    def rounding_of_softmax(self, i: int) -> float:
        """And of an exponential, or of a quotient."""
        return self.rounding_of_log(i) + self.slack * self.u * (self.k + 2)

    def moves(self, i: int) -> tuple[float, float]:
        """The largest and the smallest logarithm of softmax, less that of p."""
        found = []
        for sign in (1, -1):
            others = sum(
                p * math.exp(-sign * b)
                for j, (p, b) in enumerate(zip(self.p, self.e, strict=True))
                if j != i
            )
            own = self.p[i] * math.exp(sign * self.e[i])
            found.append(sign * self.e[i] - math.log(own + others))
        return found[0], found[1]

    def of_softmax(self, i: int) -> float:
        """The error of softmax."""
        (rise, fall), rounding = self.moves(i), self.rounding_of_softmax(i)
        top, bottom = min(self.p[i] * math.exp(rise), 1.0), self.p[i] * math.exp(fall)
        above = top * math.exp(rounding) - self.p[i]
        return max(above, self.p[i] - bottom * math.exp(-rounding)) + self.tiny

    def of_log_softmax(self, i: int) -> float:
        """The error of log-softmax."""
        move = max(abs(each) for each in self.moves(i))
        return move + self.rounding_of_log(i) + 4 * self.tiny


ROWS: dict[str, tuple[list[float], list[float]]] = {
    "two": ([0.5, -0.25], [0.0, 0.0]),
    "far from 0": ([40.5, 40.25, 39.0], [0.0, 0.0, 0.0]),
    "far below 0": ([-40.5, -40.25, -39.0], [0.0, 0.0, 0.0]),
    "tied": ([1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0]),
    "spread": ([1.0, -3.0, 4.0, -2.5, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0]),
    "alone": ([-3.0], [0.25]),
    "near": ([1.0, -3.0, 4.0, -2.5, 0.0], [0.1, 0.2, 0.05, 0.0, 0.3]),
    "near and tied": ([2.0, 2.0, 2.0], [0.5, 0.25, 0.5]),
    "one is not known": ([2.0, -1.0, 1.5], [0.0, 4.0, 0.0]),
    "the largest is not known": ([5.0, -1.0, 1.5], [2.0, 0.0, 0.0]),
}


@EVERY
@pytest.mark.parametrize("name", ROWS)
def test_softmax_and_its_relatives_are_bounded_as_derived(name: str, contract: Contract) -> None:
    """Class by class, by the largest of the forms."""
    m, (z, e) = BoundedArithmetic(contract), ROWS[name]
    row, classes = Row(contract, z, e), range(len(z))
    p, logs, lse = m.softmax(known(z, e)), m.log_softmax(known(z, e)), m.logsumexp(known(z, e))
    assert p.value.shape == logs.value.shape == (1, 1, len(z))
    needs = [
        [row.of_softmax(i) for i in classes],
        [row.of_log_softmax(i) for i in classes],
        [row.moved_sum + row.rounding_of_sum() + 4 * row.tiny],
    ]
    for found, need in zip((p, logs, lse), needs, strict=True):
        has = found.error.ravel()
        if contract.bits == 53:
            # the second derivation is computed in float64 too, and rounds by parts of its bound
            assert has == pytest.approx(need, rel=0.02, abs=1e-12 if any(e) else 5e-16)
        elif not np.isfinite(need).all():
            assert (has == inf).all()
        else:
            assert (has / need - 1 > 0.5e-9).all()
            assert (has / need - 1 < (1e-6 if any(e) else 1.5e-9)).all()
    # the values: two computations in float64, of at most ten roundings each
    np.testing.assert_allclose(p.value.ravel(), row.p, rtol=1e-14)
    np.testing.assert_allclose(lse.value.ravel(), [row.lse], rtol=1e-14)
    np.testing.assert_allclose(logs.value.ravel(), np.array(z) - row.lse, rtol=1e-13, atol=1e-14)


def test_nothing_is_known_of_softmax_if_a_logit_is_hardly_known() -> None:
    """Beyond 16 softmax is anything from 0 to 1, and its logarithm moves by both errors; up to 16
    the bound is that of the derivation.
    """
    m, z = BoundedArithmetic(Contract()), [0.0, 1.0, -1.0]
    for e in (16.5, inf):
        errors = [0.0, 0.25, e]
        p, logs, lse = (f(known(z, errors)) for f in (m.softmax, m.log_softmax, m.logsumexp))
        most = np.maximum(p.value, 1 - p.value)
        assert (p.error > most).all()
        if e < inf:  # 2e-9: a bound is rounded outwards by 1e-9, up to twice
            assert p.error == pytest.approx(most, rel=2e-9)
            assert logs.error.ravel() == pytest.approx(np.array(errors) + e, rel=2e-9)
        assert lse.error.ravel() == pytest.approx([e], rel=2e-9)
    row = Row(Contract(), z, [0.0, 0.25, 16.0])
    found = m.log_softmax(known(z, row.e)).error.ravel()
    assert found == pytest.approx([row.of_log_softmax(i) for i in range(3)], rel=1e-6)
    assert (found < np.array(row.e) + 16).all()


@pytest.mark.parametrize("distance", [38.0, 60.0, 200.0, 700.0])
@pytest.mark.parametrize("e", [1e-12, 0.25])
def test_moves_are_not_lost_where_1_less_p_is(distance: float, e: float) -> None:
    """Of a class that has all of the sum but 1e-17 the share by which softmax rises or falls is
    small, and never below the right one.
    """
    rows = LogitRows(known([0.0, -distance, -distance - 1], e), Contract())
    rest = math.exp(-distance) + math.exp(-distance - 1)
    grown, shrunk = math.expm1(e), -math.expm1(-e)
    lost = 2.0**-40  # of each sum over other classes and of 1 - p
    for share, (own, others) in (
        (rows.rise, (grown, shrunk)),
        (rows.fall, (shrunk, grown)),
    ):
        needs = (rest + lost) * (own + others)
        if share is rows.rise:
            needs /= 1 + grown
        else:
            needs /= 1 - shrunk
        assert share[0, 0, 0] == pytest.approx(needs, rel=1e-3, abs=0)
        assert share[0, 0, 0] >= rest * 2 * e * 0.99


def test_softmax_is_exactly_0_where_no_number_is_so_small() -> None:
    """In float64 from a distance of 746 on, in float32 of 105, whatever the logits' errors, and in
    sixteen bits never; a little nearer it may be anything up to the smallest normal number.
    """
    for dtype, limit in (
        ("float64", 746.003),
        ("float32", 104.842),
        ("float16", 18.198),
        ("bfloat16", 93.751),
    ):
        m, tiny = BoundedArithmetic(Contract(dtype)), Contract(dtype).tiny
        for beyond, e in ((0.1, 0.0), (0.35, 0.125), (0.0, 0.0), (0.2, 0.125)):
            p = m.softmax(known([0.0, -limit - beyond], e))
            vanishes = beyond > 2 * e and not dtype.endswith("16")
            assert m.is_zero(p)[0, 0].tolist() == [False, vanishes]
            assert vanishes or tiny <= p.error[0, 0, 1] < 1.01 * tiny


@seeded
@given(st.data())
def test_classes_that_take_no_part_change_nothing(data: st.DataObject) -> None:
    """Softmax and logsumexp of some classes are those of a row without the others, which may be
    anything; softmax is exactly 0 there.
    """
    width = data.draw(st.integers(1, 6))
    lists = st.lists(st.floats(-20, 20), min_size=width, max_size=width)
    z = np.array(data.draw(lists))
    e = np.array(data.draw(st.lists(st.floats(0, 3), min_size=width, max_size=width)))
    among = np.array(data.draw(st.lists(st.booleans(), min_size=width, max_size=width)))
    m = BoundedArithmetic(Contract("float16"))
    other = np.where(among, z, data.draw(st.sampled_from([0.0, 1e5, -1e5, inf, -inf, np.nan])))
    wide = known(other, np.where(among, e, data.draw(st.sampled_from([0.0, 5.0, inf]))))
    p, lse = m.softmax(wide, among[None, None]), m.logsumexp(wide, among[None, None])
    assert not p.value[0, 0, ~among].any()
    assert not p.error[0, 0, ~among].any()
    if not among.any():
        assert (lse.value, lse.error) == (-inf, 0)
        return
    some = known(z[among], e[among])
    np.testing.assert_array_equal(p.error[0, 0, among], m.softmax(some).error[0, 0])
    np.testing.assert_allclose(p.value[0, 0, among], m.softmax(some).value[0, 0], rtol=1e-15)
    np.testing.assert_allclose(lse.value, m.logsumexp(some).value, rtol=1e-15)
    np.testing.assert_array_equal(lse.error, m.logsumexp(some).error)


def test_too_many_classes_for_a_dtype_have_no_bound() -> None:
    """The exponentials of 17,000 classes may all be lost in float16, but not those of 16,000."""
    m = BoundedArithmetic(Contract("float16"))
    for count, bounded in ((16_000, True), (17_000, False)):
        zeros = known(np.zeros(count))
        assert np.isfinite(m.softmax(zeros).error).all() == bounded
        assert np.isfinite(m.logsumexp(zeros).error).all() == bounded


def test_an_exp_that_says_nothing_bounds_nothing() -> None:
    """Products of errors are then not small."""
    m = BoundedArithmetic(Contract("float16", exp_ulp=2000.0))
    assert (m.log_softmax(known([0.0, 1.0])).error > 1000).all()
    assert (m.softplus(known([0.0, 1.0])).error > 1000).all()


@EVERY
def test_a_logarithm(contract: Contract) -> None:
    """It moves by -log(1 - e / x), and rounds k times; it has no bound if x may be 0, and is
    exactly -infinity if x is.
    """
    m, u, k = BoundedArithmetic(contract), contract.roundoff + 2.0**-53, 2 * contract.exp_ulp
    for x, e in ((0.25, 0.0), (0.25, 0.125), (3.0, 1.0), (1.0, 0.0), (1e-3, 1e-9)):
        moved = -math.log1p(-e / x)
        expect(m.log(known(x, e)), math.log(x), moved + k * u * (abs(math.log(x)) + moved))
    found = m.log(known([0.0, 0.0, 0.25, 0.25, -0.25], [0.0, 1e-9, 0.25, 0.5, 0.0]))
    assert found.value[0, 0, :4].tolist() == [-inf, -inf, math.log(0.25), math.log(0.25)]
    assert found.error.ravel().tolist() == [0, inf, inf, inf, inf]


@EVERY
def test_softplus(contract: Contract) -> None:
    """It moves by the logistic function, and rounds by 4 |z|, 1, and 2 k + 2 roundings of itself,
    as the binary cross-entropy does.
    """
    m, u, k = BoundedArithmetic(contract), contract.roundoff + 2.0**-53, 2 * contract.exp_ulp
    for z, e in ((0.0, 0.0), (2.0, 0.0), (-2.0, 0.0), (30.0, 0.5), (-30.0, 0.5), (800.0, 2.0)):
        value = math.log1p(math.exp(-abs(z))) + max(z, 0.0)
        moved = e / (1 + math.exp(-z - e))
        size = 4 * (abs(z) + e) + 1 + (2 * k + 2) * (value + moved)
        error = moved + u / (1 - (k + 4) * u) * size + 4 * contract.tiny
        expect(m.softplus(known(z, e)), value, error)
    assert m.softplus(known(1.0, inf)).error == inf


P, P_ERROR = [0.5, 0.125, 0.375, 0.0], [0.25, 0.0, 0.0625, 0.0]
SLOPES, S_ERROR = [2.0, -1.0, 0.5, 7.0], [0.25, 0.5, 0.0, 1.0]


def back(contract: Contract, p: Bounded, e: Bounded) -> tuple[list[float], list[float]]:
    """The gradient by logits and its error, class by class."""
    u, tiny, sixteen = contract.roundoff + 2.0**-53, contract.tiny, contract.bits < 24
    ps, ds, es, fs = (part.ravel().tolist() for part in (p.value, p.error, e.value, e.error))
    classes = range(len(ps))
    summed = len(ps) * ((2.0**-24 if sixteen else contract.roundoff) + 2.0**-53) + 2 * u * sixteen
    total = sum((ps[i] + ds[i]) * (abs(es[i]) + fs[i]) for i in classes)
    moved_sum = sum(ds[i] * (abs(es[i]) + fs[i]) + ps[i] * fs[i] for i in classes)
    s = sum(ps[i] * es[i] for i in classes)
    rounding, spread = [], 0.0
    for i in classes:
        share, size = ps[i] + ds[i], abs(es[i]) + fs[i]
        each = share * (4 * u * size + (summed + 8 * u) * total)
        if total > 0:
            each += tiny * (4 + share * len(ps))
        rounding.append(each)
        spread += each + summed * share * (size + total)
    errors = []
    for i in classes:
        moved = ds[i] * (abs(es[i] - s) + fs[i] + moved_sum) + ps[i] * (fs[i] + moved_sum)
        may_be_largest = ps[i] + ds[i] >= max(ps[j] - ds[j] for j in classes)
        errors.append(moved + rounding[i] + spread * may_be_largest)
    return [ps[i] * (es[i] - s) for i in classes], errors


@EVERY
@pytest.mark.parametrize("d", [0.0, 1.0])
@pytest.mark.parametrize("f", [0.0, 1.0])
@pytest.mark.parametrize("scale", [1.0, 2.0**-20, 0.0])
def test_the_way_back_through_softmax(contract: Contract, d: float, f: float, scale: float) -> None:
    """Both errors move it, and it rounds as unfused code does; the largest class gets what all
    others lose.
    """
    p = known(P, np.array(P_ERROR) * d)
    e = known(np.array(SLOPES) * scale, np.array(S_ERROR) * f * scale)
    expect(BoundedArithmetic(contract).softmax_back(p, e), *back(contract, p, e))


@EVERY
def test_a_constant_is_added_with_one_rounding(contract: Contract) -> None:
    """Or with none, if it is too small to change the number. A constant that the dtype cannot hold
    is rounded too.
    """
    m, u = BoundedArithmetic(contract), contract.roundoff + 2.0**-53
    expect(m.shift(known(0.5, 0.25), 0.25), 0.75, 0.25 + u)
    expect(m.shift(known(-0.5, 0.25), 0.25), -0.25, 0.25 + u / 2)
    quarter = contract.roundoff / 4
    for x, e in ((1.0, 0.0), (-1.0, 0.0), (2.0, 1.0)):
        for sign in (1.0, -1.0):
            found = m.shift(known(x, e), sign * quarter * 0.9375)
            assert found.value == x
            assert found.error == e + quarter * 0.9375
    expect(m.shift(known(1.0), quarter), 1 + quarter, u * (1 + quarter))
    expect(m.shift(known(2.0, 1.5), quarter), 2 + quarter, 1.5 + u * (3.5 + quarter))
    off = 0.0 if contract.bits == 53 else u * 0.1 + contract.tiny
    expect(m.shift(known(0.5), 0.1), 0.6, off + u * 0.6)
    expect(m.shift(known(-0.5), -0.1), -0.6, off + u * 0.6)


def test_nnets_floor_is_added_to_a_probability() -> None:
    """1e-80 vanishes beside any probability above 1e-63, and is what remains of an exact 0."""
    m = BoundedArithmetic(Contract())
    found = m.shift(known([1.0, 0.0, 1e-63]), 1e-80)
    assert found.value.ravel().tolist() == [1.0, 1e-80, 1e-63]
    assert found.error[0, 0, 0] == found.error[0, 0, 2] == 1e-80
    assert 0 < found.error[0, 0, 1] < 1e-95
    assert m.log(m.shift(known(0.0), 1e-80)).value == pytest.approx(-184.2068, rel=1e-6)


def test_the_larger_of_a_number_and_a_limit() -> None:
    """Its error is what the range from the limit on allows."""
    m = BoundedArithmetic(Contract())
    x = [-3.0, -3.0, -3.0, -1.0, -1.0, 5.0, -inf, -inf, -1.0]
    e = [0.5, 1.5, 0.0, 0.5, 3.0, 0.25, 0.0, inf, inf]
    found = m.at_least(known(x, e), -2.0)
    assert found.value.ravel().tolist() == [-2, -2, -2, -1, -1, 5, -2, -2, -1]
    assert found.error.ravel().tolist() == [0, 0.5, 0, 0.5, 3, 0.25, 0, inf, inf]


def test_some_numbers_are_replaced_by_an_exact_one() -> None:
    """Whatever they were; and only a number without an error is exactly 0."""
    m, where = BoundedArithmetic(Contract()), np.array([[[True, False, True]]])
    found = m.replaced(known([1.0, 2.0, np.nan], [0.5, 0.25, inf]), where, -1000.0)
    assert found.value.ravel().tolist() == [-1000, 2, -1000]
    assert found.error.ravel().tolist() == [0, 0.25, 0]
    assert m.is_zero(known([0.0, 0.0, 1.0], [0.0, 0.5, 0.0])).ravel().tolist() == [1, 0, 0]


def test_a_number_that_may_be_at_most_another_may_lose_its_bound() -> None:
    """Where its interval reaches so low; a number that is none reaches everywhere."""
    m = BoundedArithmetic(Contract())
    x = known([1.0, 1.0, 3.0, np.nan], [0.5, 0.25, 0.0, 0.0])
    low = m.may_be_at_most(x, 0.5)
    assert low.ravel().tolist() == [True, False, False, True]
    found = m.lose(x, low)
    assert found.value is x.value
    assert found.error.ravel().tolist() == [inf, 0.25, 0, inf]


# Laws

logits = st.lists(st.floats(-30, 30), min_size=1, max_size=8)
moves = st.lists(st.floats(0, 3), min_size=8, max_size=8)
parts = st.lists(st.floats(-1, 1), min_size=8, max_size=8)


@seeded
@given(logits, moves, parts)
def test_logits_that_are_near_have_results_inside(
    z: list[float], e: list[float], part: list[float]
) -> None:
    """Whatever numbers within the errors an implementation has."""
    m, errors = BoundedArithmetic(Contract()), np.array(e[: len(z)])
    near = np.array(z) + errors * np.array(part[: len(z)])
    for name in ("softmax", "log_softmax", "logsumexp", "softplus"):
        bound, exact = getattr(m, name)(known(z, errors)), getattr(m, name)(known(near))
        assert (abs(exact.value - bound.value) <= bound.error + exact.error).all(), name
    for x in np.exp(z):
        share = 0.9 * abs(part[0])
        bound, exact = m.log(known(x, share * x)), m.log(known(x * (1 + share * part[1])))
        assert (abs(exact.value - bound.value) <= bound.error).all()


@seeded
@given(logits, moves, st.permutations(range(8)), st.floats(1, 4))
def test_bounds_do_not_depend_on_the_order_of_classes_and_grow_with_errors(
    z: list[float], e: list[float], order: list[int], factor: float
) -> None:
    """A class keeps its bound when classes are renumbered, and no bound falls if an error grows."""
    m, errors = BoundedArithmetic(Contract("float32")), np.array(e[: len(z)])
    turned = [place for place in order if place < len(z)]
    for name in ("softmax", "log_softmax"):
        operation = getattr(m, name)
        bound, other = (
            operation(known(z, errors)),
            operation(known(np.array(z)[turned], errors[turned])),
        )
        np.testing.assert_allclose(other.error[0, 0], bound.error[0, 0, turned], rtol=1e-6)
        wider = operation(known(z, errors * factor))
        assert (wider.error >= bound.error * (1 - 1e-6)).all()


# The other arithmetics

Z = np.array([[[0.0, 1.0, -2.0], [750.0, 0.0, 750.0]], [[-1e5, 1e5, 0.0], [3.0, 3.0, 3.0]]])
AMONG = np.array([[[True, False, True], [False] * 3], [[True, True, False], [True] * 3]])


@pytest.mark.parametrize("dtype", ["float64", "float32", "complex128"])
def test_plain_arithmetic_computes_values(dtype: str) -> None:
    """Those of bounded arithmetic, in its own dtype and in the same shapes."""
    plain, m = Plain(Contract(), dtype), BoundedArithmetic(Contract())
    exact, z = known(0.0), plain.lift(Z)
    exact = Bounded(Z, np.zeros(Z.shape))
    p, of_exact = plain.softmax(z), m.softmax(exact)
    pairs = [
        (p, of_exact),
        (plain.softmax(z, AMONG), m.softmax(exact, AMONG)),
        (plain.log_softmax(z), m.log_softmax(exact)),
        (plain.logsumexp(z), m.logsumexp(exact)),
        (plain.logsumexp(z, AMONG), m.logsumexp(exact, AMONG)),
        (plain.softplus(z), m.softplus(exact)),
        (plain.softmax_back(p, z), m.softmax_back(of_exact, exact)),
        (plain.shift(z, 0.5), m.shift(exact, 0.5)),
        (plain.at_least(z, 0.5), m.at_least(exact, 0.5)),
        (plain.replaced(z, AMONG, -1.5), m.replaced(exact, AMONG, -1.5)),
        (plain.log(plain.at_least(z, 0.5)), m.log(m.at_least(exact, 0.5))),
    ]
    for found, bound in pairs:
        assert found.dtype == dtype
        np.testing.assert_allclose(found, bound.value, rtol=1e-6, atol=1e-30)
    assert plain.is_zero(z).tolist() == (Z == 0).tolist()


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp", "softplus", "log"])
def test_complex_steps_give_derivatives(name: str) -> None:
    """Which those of differences are, also where the largest logits are tied."""
    plain, z = Plain(Contract(), "complex128"), np.array([[[1.0, 2.0, 2.0, 0.5]]])
    operation = getattr(plain, name)
    for i in range(4):
        step = np.eye(4)[i]
        slope = operation(z + 1e-30j * step).imag / 1e-30
        apart = (operation(z + 1e-6 * step) - operation(z - 1e-6 * step)).real / 2e-6
        np.testing.assert_allclose(slope, apart, atol=1e-8)
        if name == "softmax":
            p = operation(z).real
            back_too = plain.softmax_back(p, np.broadcast_to(step, p.shape))
            np.testing.assert_allclose(slope, back_too, atol=1e-15)


def test_grid_arithmetic_proves_nothing_of_them() -> None:
    """In no draw; but shapes are right, and a constant that is added or put in is counted."""
    grid = GridArithmetic(Contract())
    z = grid.lift(Z)
    for found in (
        grid.log(z),
        grid.softplus(z),
        grid.softmax(z, AMONG),
        grid.softmax_back(z, z),
        grid.log_softmax(z),
        grid.divide(z, z),
    ):
        assert found.value.shape == found.size.shape == Z.shape
        assert found.quanta.tolist() == [NEVER, NEVER]
        assert not grid.is_zero(found).any()
    assert grid.logsumexp(z, AMONG).value.shape == (2, 2, 1)
    assert grid.logsumexp(z, AMONG).quanta.tolist() == [NEVER, NEVER]
    assert grid.is_zero(z).tolist() == (Z == 0).tolist()
    shifted = grid.shift(z, -0.25)
    assert (shifted.value == Z - 0.25).all()
    assert (shifted.quantum, shifted.quanta.tolist()) == (2, [3001, 400001])
    for found, value in (
        (grid.at_least(z, 0.5), np.maximum(Z, 0.5)),
        (grid.replaced(z, AMONG, 0.5), np.where(AMONG, 0.5, Z)),
    ):
        assert (found.value == value).all()
        assert found.quantum == 1
        assert (found.quanta < NEVER).all()
    for found in (grid.shift(z, 1e-80), grid.at_least(z, 1e-80), grid.replaced(z, AMONG, 1e-80)):
        assert found.quanta.tolist() == [NEVER, NEVER]


def test_staged_arithmetic_goes_on_from_ones_own_softmax(approved: Approved) -> None:
    """Its logits and then its probabilities are replaced by the numbers that were seen; what was
    not seen is missed by name.
    """
    own_z, own_p = [1.01, 0.0], [0.74, 0.26]
    m = StagedArithmetic(Contract("bfloat16"), 2, np.array([[[*own_z, *own_p]]]))
    p = m.stored(m.softmax(known([1.0, 0.0], 0.02)), "softmax")
    assert isinstance(p, Replaced)
    assert p.value.ravel().tolist() == own_p
    assert not p.error.any()
    alone = BoundedArithmetic(Contract("bfloat16"), 2).softmax(known(own_z))
    assert np.array_equal(p.derived.error, alone.error)
    assert m.missing == []
    logs = m.log_softmax(known([1.0, 0.0], 0.02))
    alone = BoundedArithmetic(Contract("bfloat16"), 2).log_softmax(known(own_z))
    assert np.array_equal(logs.error, alone.error)
    assert m.missing == []
    m.stored(m.softmax(known([3.0, 1.01], 0.02), np.array([[[True, True]]])), "softmax")
    approved(m.missing)
