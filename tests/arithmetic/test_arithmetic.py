"""Bounded arithmetic, each operation by itself: its bound is the one that was derived, whichever
way it is computed.
"""

from collections.abc import Callable, Sequence
from itertools import product
from math import inf, sqrt
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from harness.arithmetic.bounded import BoundedArithmetic
from harness.core.contract import Bounded, Contract
from harness.core.linear import LinearMap

FLOAT32 = Contract("float32")
U = 2.0**-24 + 2.0**-53  # what an implementation in float32 and the oracle itself round by
TINY = 2.0**-126
LARGEST = float(np.finfo(np.float32).max)
m = BoundedArithmetic(FLOAT32)
seeded = settings(derandomize=True, deadline=None, database=None)


def known(value: Any, error: Any = 0.0) -> Bounded:
    """A number, or an array of them, as one draw, known to within an error."""
    value = np.atleast_2d(np.asarray(value, dtype=float))
    return Bounded(value, np.broadcast_to(np.asarray(error, dtype=float), value.shape))


def expect(found: Bounded, value: Any, error: Any, layers: int = 1) -> None:
    """The value, and the error with a little on top: for each layer of evaluation a factor 1 +
    1e-9, and no more.
    """
    values, errors = np.broadcast_arrays(np.asarray(value, float), np.asarray(error, float))
    np.testing.assert_array_equal(found.value.ravel(), values.ravel())
    for has, needs in zip(found.error.ravel(), errors.ravel(), strict=True):
        if needs in (0, inf):
            assert has == needs
        else:
            assert 0.5e-9 < has / needs - 1 < (layers + 0.5) * 1e-9, (has, needs)


def exactly(found: Bounded, value: Any, error: Any) -> None:
    """The value and the error, to the bit."""
    np.testing.assert_array_equal(found.value.ravel(), np.asarray(value, float).ravel())
    np.testing.assert_array_equal(found.error.ravel(), np.asarray(error, float).ravel())


# Shapes


def test_what_is_lifted_is_exact() -> None:
    """So are the ones in front of a matrix, and what only changes its shape keeps its bounds."""
    exactly(m.lift(np.array([[1.0, 2.0]])), [1, 2], [0, 0])
    exactly(m.with_ones(known([3.0, 4.0], 0.5)), [1, 3, 4], [0, 0.5, 0.5])
    exactly(m.join(known([3.0], 0.5), known([4.0], 0.25)), [3, 4], [0.5, 0.25])
    exactly(m.each(lambda a: a[:, ::-1], known([3.0, 4.0], [0.5, 0.25])), [4, 3], [0.25, 0.5])
    assert m.stack([known(3.0, 0.5), known(4.0, 0.25)]).value.shape == (2, 1)


def test_a_number_that_the_dtype_holds_is_exact() -> None:
    """Any number of float64; of float32 those with 24 bits, the smallest ones too."""
    numbers = np.array([[0.1, 1e300, 5e-324]])
    exactly(BoundedArithmetic(Contract()).lift(numbers), numbers[0], [0, 0, 0])
    numbers = np.array([[0.5, -3.0, 0.0, 2.0**-149, 2.0**24, LARGEST, np.float32(0.1)]])
    exactly(m.lift(numbers), numbers[0], np.zeros(7))


def test_any_other_is_off_by_a_rounding() -> None:
    """By u |x| and the smallest normal number; beyond the range there is no bound. What is held
    beside it stays exact.
    """
    large = LARGEST * (1 - 2.0**-30)
    numbers = np.array([[0.5, -0.1, 1e-60, large]])
    errors = [0, U * 0.1 + TINY, U * 1e-60 + TINY, U * large + TINY]
    exactly(m.lift(numbers), numbers[0], errors)
    with np.errstate(over="ignore"):
        exactly(m.lift(np.array([[1e60, -1e60]])), [1e60, -1e60], [inf, inf])


def test_a_product_with_0_rounds_nothing() -> None:
    """Beside powers of two, as the decay of a weight that has none."""
    exactly(m.scale(known([3.0, 5.0], 0.25), np.array([0.5, 0.0])), [1.5, 0], [0.125, 0])


@pytest.mark.parametrize("dtype", ["float32", "tf32", "bfloat16", "float16"])
def test_a_rounding_is_never_larger(dtype: str) -> None:
    """Of numbers of all sizes that the dtype has."""
    contract, rng = Contract(dtype), np.random.default_rng(0)
    x = rng.standard_normal(500) * 2.0 ** rng.uniform(-30, 10, 500)
    assert (abs(contract.rounded(x) - x) <= BoundedArithmetic(contract).lift(x).error).all()
    stack = Bounded(np.ones((2, 3, 4)), np.zeros((2, 3, 4)))  # two draws, three rows
    for wider, width in ((m.join(stack, stack), 8), (m.with_ones(stack), 5)):
        assert wider.value.shape == wider.error.shape == (2, 3, width)


# One operation


def rounded(value: Any, error: Any, times: int = 1) -> Any:
    """An error, and so many roundings of the size, which may underflow."""
    size = abs(np.asarray(value, float)) + error
    return error + times * U * size + TINY * (size > 0)


def test_a_quotient() -> None:
    """3 to within 0.5 by 2 to within 1: (0.5 + 1.5) / (2 - 1), and one rounding; unbounded where it
    may be by 0.
    """
    for sign, other in product((1, -1), (1, -1)):
        value = sign * other * 1.5
        expect(
            m.divide(known(3.0 * sign, 0.5), known(2.0 * other, 1.0)), value, rounded(value, 2.0)
        )
    expect(m.divide(known(3.0), known(4.0)), 0.75, rounded(0.75, 0.0))
    expect(m.divide(known(3.0, 0.5), known(1.0, 1.0)), 3.0, inf)
    expect(m.divide(known(3.0, 0.5), known(1.0, 1.25)), 3.0, inf)
    expect(
        m.divide(known(3.0, 0.5), known(0.25, 0.125)),
        12.0,
        rounded(12.0, (0.5 + 12 * 0.125) / 0.125),
    )


def test_a_square_root() -> None:
    """By e / (sqrt v + sqrt(v - e)), nowhere more than sqrt e, and one rounding; of 0 to within e
    by sqrt e.
    """
    expect(m.root(known(25.0, 9.0)), 5.0, rounded(5.0, 1.0))  # down to 16
    # down to 0, and sqrt 9 is less than 9 / 2
    expect(m.root(known(4.0, 9.0)), 2.0, rounded(2.0, 3.0))
    expect(m.root(known(0.0625, 0.046875)), 0.25, rounded(0.25, 0.125))  # down to 1/64
    expect(m.root(known(1.0, 0.25)), 1.0, rounded(1.0, 0.25 / (1 + sqrt(0.75))))
    expect(m.root(known(0.0, 0.25)), 0.0, rounded(0.0, 0.5))
    expect(m.root(known(0.0, 4.0)), 0.0, rounded(0.0, 2.0))
    exactly(m.root(known(0.0)), 0.0, 0.0)


def test_a_number_times_a_constant() -> None:
    """By a power of two exact, unless it may underflow; else the constant is rounded, and twice the
    product.
    """
    for factor in (2.0, -0.5, 1.0):
        exactly(
            m.scale(known([3.0, -0.0], [0.5, 0.0]), factor),
            [3 * factor, 0.0],
            [0.5 * abs(factor), 0.0],
        )
    for factor in (3.0, -0.75):
        value = np.array([3.0, -2.0, 0.0]) * factor
        needs = np.array([0.5, 0.25, 0.0]) * abs(factor)
        expect(
            m.scale(known([3.0, -2.0, 0.0], [0.5, 0.25, 0.0]), factor),
            value,
            rounded(value, needs, 3),
        )
    mixed = np.array([2.0, 3.0])
    expect(m.scale(known([1.0, 1.0]), mixed), mixed, rounded(mixed, 0.0, 3))


def test_a_number_times_a_constant_that_is_itself_computed() -> None:
    """Its relative error comes on top, and a power of two it need not be."""
    expect(m.scale(known(3.0, 0.5), 2.0, slack=0.25), 6.0, rounded(6.0, 1.0 + 0.25 * 6.0, 3))
    expect(m.scale(known(-3.0, 0.5), 2.0, slack=0.25), -6.0, rounded(-6.0, 1.0 + 0.25 * 6.0, 3))


def test_a_product_with_a_power_of_two_may_underflow() -> None:
    """What may be below the smallest normal number, and is not 0, may lose as much."""
    for value, error, lost in (
        (2 * TINY, 0.0, 0),
        (1.5 * TINY, 0.0, 1),
        (-1.5 * TINY, 0.0, 1),
        (-4 * TINY, 0.0, 0),
        (4 * TINY, 2 * TINY, 0),
        (4 * TINY, 2.5 * TINY, 1),
        (0.0, 2 * TINY, 1),
        (0.0, 0.0, 0),
    ):
        exactly(m.scale(known(value, error), 0.5), value / 2, error / 2 + lost * TINY)


@pytest.mark.parametrize("share", [0.25, 0.1, 0.5])
def test_a_moving_average(share: float) -> None:
    """Both errors in proportion, three roundings of the sizes in proportion, and one of the
    result.
    """
    a, b = known([3.0, -3.0, 5.0], [0.5, 0.0, 0.0]), known([-2.0, -1.0, 5.0], [0.25, 0.125, 0.0])
    value = (1 - share) * a.value + share * b.value
    error = (1 - share) * a.error + share * b.error
    size = (1 - share) * abs(a.value) + share * abs(b.value) + error
    expect(m.mix(a, b, share), value, rounded(value, error + 3 * U * size))


def test_a_moving_average_of_numbers_too_far_apart_is_unbounded() -> None:
    """Their difference may leave the range, though the average does not; on its edge it does
    not.
    """
    a = known([0.75 * LARGEST, 0.5 * LARGEST], 0.0)
    b = known([-0.75 * LARGEST, -0.5 * LARGEST], 0.0)
    found = m.mix(a, b, 0.25).error.ravel()
    assert found[0] == inf
    assert found[1] < LARGEST
    assert m.mix(known(0.5 * LARGEST, 0.25 * LARGEST), known(0.5 * LARGEST, 0.0), 0.25).error == inf
    assert m.mix(known(0.5 * LARGEST, 0.0), known(0.5 * LARGEST, 0.25 * LARGEST), 0.25).error == inf
    assert m.mix(known(-0.75 * LARGEST, 0.0), known(0.75 * LARGEST, 0.0), 0.25).error == inf


def test_a_number_is_rounded_into_the_dtype() -> None:
    """In every place, whatever its sign."""
    exactly(m.constant(known([1.0, 2.0]), -0.1), [-0.1, -0.1], [U * 0.1, U * 0.1])


def test_what_may_leave_the_range_is_not_bounded() -> None:
    """Up to the largest number of the dtype it keeps its bound."""
    half = LARGEST / 2
    exactly(
        m.stored(known([LARGEST, -LARGEST, half, -half], [0, 0, half, half])),
        [LARGEST, -LARGEST, half, -half],
        [0, 0, half, half],
    )
    exactly(m.stored(known([half, -LARGEST], [LARGEST, half])), [half, -LARGEST], [inf, inf])


# Linear maps


def linear(*rows: Sequence[float]) -> LinearMap:
    return LinearMap.of(sparse.csr_array(np.array(rows, dtype=float)))


def test_a_linear_map() -> None:
    """The errors by the sizes of its entries, and where it rounds so many roundings of the sizes of
    all summands.
    """
    found = m.linear(
        linear([2, -3, 0], [0, 1, 0], [0, 0, 0]),
        known([5.0, -7.0, 1.0], [0.5, 0.25, 8.0]),
        0.0,
        np.array([2.0, 0.0, 4.0]),
    )
    error, size = 2 * 0.5 + 3 * 0.25, 2 * 5.5 + 3 * 7.25
    expect(found, [31, -7, 0], [error + 2 * (U * size + TINY), 0.25, 0])
    small = m.linear(linear([2, -3]), known([2 * TINY, TINY]), 0.0, np.array([2.0]))
    expect(small, TINY, 2 * (U * 7 * TINY + TINY))


def test_a_linear_map_that_only_picks_is_exact() -> None:
    """No rounding, no rounding of the bound."""
    exactly(
        m.linear(linear([0, 1], [1, 0]), known([5.0, -7.0], [0.5, 0.25]), 0.0, np.zeros(2)),
        [-7, 5],
        [0.25, 0.5],
    )


def test_a_constant_counts_where_the_dtype_cannot_hold_it() -> None:
    """0.1 is rounded to float32, 0.5 and 0 are not; float64 holds all three."""
    constant = np.array([-0.1, 0.5, 0.0])
    found = m.linear(linear([1, 0], [0, 1], [1, 0]), known([5.0, -7.0], 0.0), constant, np.zeros(3))
    exactly(found, [4.9, -6.5, 5.0], [U * 0.1, 0, 0])
    wide = BoundedArithmetic(Contract()).linear(
        linear([1, 0], [0, 1], [1, 0]), known([5.0, -7.0], 0.0), constant, np.zeros(3)
    )
    exactly(wide, [4.9, -6.5, 5.0], [0, 0, 0])


def test_a_constant_is_a_summand() -> None:
    """Its size is rounded with the others'."""
    found = m.linear(
        linear([3.0], [3.0]), known(5.0, 0.5), np.array([-0.5, -4.0]), np.array([2.0, 2.0])
    )
    expect(found, [14.5, 11.0], [1.5 + 2 * (U * (size + 16.5) + TINY) for size in (0.5, 4.0)])
    exactly(m.linear(linear([3.0]), known(0.0), np.array([0.0]), np.array([2.0])), 0.0, 0.0)


# Activations


def logistic(z: float) -> float:
    return 1 / (1 + np.exp(-z))


K = {2.0: 4, 1.0: 2}  # the relative error of exp and tanh, in u, by exp_ulp


@pytest.mark.parametrize("exp_ulp", K)
@pytest.mark.parametrize("z", [0.25, -0.25, 2.0, -3.0, 9.0, 2.0**-120])
@pytest.mark.parametrize("e", [0.0, 1e-6, 0.1, 0.5, 0.75, 3.0])
def test_tanh(z: float, e: float, exp_ulp: float) -> None:
    """At most its steepest slope nearby times the error, at most its range, and the function's own
    error, of what it has of the number nearby.

    Its derivative, 1 - h^2 or 4 / (e^z + e^-z)^2, by the error of h, the rounding of h^2, and 2 (k
    + 1) + 2 of its own, of what is nearby.
    """
    k = K[exp_ulp]
    h, slope = BoundedArithmetic(Contract("float32", exp_ulp=exp_ulp)).act("tanh", known(z, e))
    value = float(np.tanh(z))
    d = 1 - value * value
    steepest = min(d * (1 + 3.5 * e), 1) if e <= 0.5 else 1.0
    moved = min(steepest * e, 2)
    expect(h, value, moved + k * U * (abs(value) + moved) + TINY)
    error = float(h.error[0, 0])
    moved = 2 * abs(value) * error + error**2
    own = U * (value**2 + moved + (2 * (k + 1) + 2) * (d + moved))
    expect(slope, d, moved + own + TINY, layers=2)


@pytest.mark.parametrize("exp_ulp", K)
@pytest.mark.parametrize("z", [0.25, -0.25, 2.0, -3.0, 9.0, -80.0])
@pytest.mark.parametrize("e", [0.0, 1e-6, 0.1, 0.5, 0.75, 6.0])
def test_logistic(z: float, e: float, exp_ulp: float) -> None:
    """As tanh: the function's own error is that of exp, of an addition and of a division.

    Its derivative, h (1 - h) or e^-z / (1 + e^-z)^2, by the error of h and by 2 k + 4 roundings of
    its own.
    """
    k = K[exp_ulp]
    h, slope = BoundedArithmetic(Contract("float32", exp_ulp=exp_ulp)).act("logistic", known(z, e))
    value = logistic(z)
    d = value * (1 - value)
    steepest = min(d * (1 + 1.75 * e), 0.25) if e <= 0.5 else 0.25
    moved = min(steepest * e, 1)
    expect(h, value, moved + (k + 2) * U * (value + moved) + TINY)
    error = float(h.error[0, 0])
    moved = abs(1 - 2 * value) * error + error**2
    expect(slope, d, moved + (2 * k + 4) * U * (d + moved) + TINY, layers=2)


@pytest.mark.parametrize("exp_ulp", K)
@pytest.mark.parametrize("name", ["tanh", "logistic"])
@pytest.mark.parametrize("z", [0.0, 0.25, -3.0])
@pytest.mark.parametrize("e", [0.0, 0.1])
def test_an_activation_that_loses_small_digits_is_right_to_roundings_of_1(
    name: str, z: float, e: float, exp_ulp: float
) -> None:
    """By 2 k + 5 of them, as 2 sigmoid(2 z) - 1 is for tanh; its derivative by as many more."""
    coarse = (2 * K[exp_ulp] + 5) * U
    lost = Contract("float32", exp_ulp=exp_ulp, absolute_activations=True)
    h, slope = BoundedArithmetic(lost).act(name, known(z, e))
    plain, plain_slope = BoundedArithmetic(Contract("float32", exp_ulp=exp_ulp)).act(
        name, known(z, e)
    )
    assert slope is not None
    assert plain_slope is not None
    assert h.error == pytest.approx(plain.error + coarse, rel=3e-9, abs=0)
    value, less, more = (float(each[0, 0]) for each in (h.value, plain.error, h.error))
    steep = 2 * abs(value) if name == "tanh" else abs(1 - 2 * value)
    of_error = steep * (more - less) + more**2 - less**2
    roundings = 2 * K[exp_ulp] + (5 if name == "tanh" else 4)  # that act on it too
    of_error *= 1 + roundings * U
    assert slope.error == pytest.approx(plain_slope.error + of_error + coarse, rel=3e-9, abs=0)


@pytest.mark.parametrize(("name", "function"), [("tanh", np.tanh), ("logistic", logistic)])
@seeded
@given(
    z=st.floats(-12, 12), e=st.one_of(st.floats(0, 0.6), st.floats(0, 20)), part=st.floats(-1, 1)
)
def test_an_activation_of_what_is_near_is_inside(
    name: str, function: Callable[..., Any], z: float, e: float, part: float
) -> None:
    """So is its derivative, whatever the number within the error was."""
    h, slope = m.act(name, known(z, e))
    other = float(function(z + part * e))
    steep = 1 - other**2 if name == "tanh" else other * (1 - other)
    assert slope is not None
    assert abs(other - h.value) <= h.error
    assert abs(steep - slope.value) <= slope.error


def test_tanh_of_0_is_0() -> None:
    """And may not be anything else."""
    h, slope = m.act("tanh", known(0.0))
    exactly(h, 0.0, 0.0)
    expect(slope, 1.0, U * (4 * 2 + 4) + TINY)


CLIPPED = BoundedArithmetic(Contract("float32", logistic_clip=15.0))
JUMP = logistic(-15.0)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_clipped_logistic(sign: int) -> None:
    """Beyond the clip exactly 0 or 1, its derivative 0; a jump is allowed only where the clip is
    within the error.
    """
    z = np.array([16.0, 14.0, 15.05, 14.95, 15.0, 15.5]) * sign
    e = np.array([0.5, 0.5, 0.125, 0.125, 0.0, 0.5])
    h, slope = CLIPPED.act("logistic", known(z, e))
    plain_h, plain_slope = m.act("logistic", known(z, e))
    assert slope is not None
    assert plain_slope is not None
    top = float(sign > 0)
    p, q, f, g = (
        part.ravel()
        for part in (plain_h.value, plain_slope.value, plain_h.error, plain_slope.error)
    )
    exactly(
        h,
        [top, p[1], top, p[3], p[4], top],
        [0, f[1], f[2] + JUMP, f[3] + JUMP, f[4] + JUMP, f[5] + JUMP],
    )
    exactly(
        slope,
        [0, q[1], 0, q[3], q[4], 0],
        [0, g[1], g[2] + JUMP, g[3] + JUMP, g[4] + JUMP, g[5] + JUMP],
    )


@pytest.mark.parametrize("z", [14.95, -14.95, 15.05, -15.05])
def test_a_jump_is_allowed_to_a_number_alone(z: float) -> None:
    """Whatever else is in the stack."""
    h, _ = CLIPPED.act("logistic", known(z, 0.125))
    together, _ = CLIPPED.act("logistic", known([z, 20], [0.125, 0]))
    assert h.error[0, 0] == together.error[0, 0] >= JUMP


def test_below_its_clip_the_logistic_is_the_logistic() -> None:
    """With the same bounds, also where the clip is just reached."""
    z, e = np.array([3.0, -14.0, 14.5]), np.array([0.25, 0.0, 0.5])
    for clipped, plain in zip(
        CLIPPED.act("logistic", known(z, e)), m.act("logistic", known(z, e)), strict=True
    ):
        assert clipped is not None
        assert plain is not None
        exactly(clipped, plain.value, plain.error)


@pytest.mark.parametrize("at_zero", [0.0, 0.5, 1.0])
def test_relu(at_zero: float) -> None:
    """What is below 0 for certain is 0; where the sign is not certain the derivative may be 0 or
    1.
    """
    z, e = [2.0, -2.0, 0.5, -0.5, -1.0, 0.0, 0.0, 1.0], [0.25, 0.25, 1.0, 1.0, 1.0, 0.0, 1.0, 1.0]
    h, slope = BoundedArithmetic(Contract("float32", relu_at_zero=at_zero)).act("relu", known(z, e))
    assert slope is not None
    exactly(h, [2, 0, 0.5, 0, 0, 0, 0, 1], [0.25, 0, 1, 1, 0, 0, 1, 1])
    exactly(slope, [1, 0, 1, 0, 0, at_zero, at_zero, 1], [0, 0, 1, 1, 1, 0, 1, 1])


def test_the_identity() -> None:
    """Is the number itself, and has no derivative to multiply by."""
    z = known(3.0, 0.5)
    assert m.act("identity", z) == (z, None)


# Sums and products of whatever there is

numbers = st.one_of(st.just(0.0), st.floats(-8, 8).map(lambda x: float(np.float32(x))))
errors = st.one_of(st.just(0.0), st.floats(0, 0.5))


@st.composite
def matrices(draw: st.DrawFn, rows: int, columns: int) -> Bounded:
    """Known exactly or within bounds, with zeros or without; or so small that their products
    underflow.
    """
    size = rows * columns
    zeros, inexact = draw(st.booleans()), draw(st.booleans())
    values = draw(st.lists(numbers if zeros else st.floats(0.5, 8), min_size=size, max_size=size))
    signs = draw(st.lists(st.sampled_from([-1, 1]), min_size=size, max_size=size))
    bounds = draw(st.lists(errors, min_size=size, max_size=size)) if inexact else [0.0] * size
    shape, scale = (1, rows, columns), draw(st.sampled_from([1.0, 2.0**-62]))
    return Bounded(
        (np.array(values) * signs * scale).reshape(shape), (np.array(bounds) * scale).reshape(shape)
    )


def sum_of_products(
    a: Bounded,
    b: Bounded,
    extra: int,
    plus: Bounded | None,
    stored: float = 0.0,
    tiny: float = TINY,
) -> tuple[Any, Any]:
    """Its value (1, 2, 2), and what it may be off by, term by term, and by what is stored on the
    way.
    """
    value = a.value @ b.value + (0.0 if plus is None else plus.value)
    needs = np.zeros((2, 2))
    for i, j in product(range(2), range(2)):
        terms, size, error = 0, 0.0, 0.0
        for k in range(3):
            x, ex, y, ey = (
                float(p)
                for p in (a.value[0, i, k], a.error[0, i, k], b.value[0, k, j], b.error[0, k, j])
            )
            terms += (abs(x) + ex > 0) and (abs(y) + ey > 0)
            size += (abs(x) + ex) * (abs(y) + ey)
            error += ex * (abs(y) + ey) + abs(x) * ey
        terms += extra * (terms > 0)
        if plus is not None:
            terms, size = terms + 1, size + abs(plus.value[0, i, j]) + plus.error[0, i, j]
            error += plus.error[0, i, j]
        needs[i, j] = error + stored * size + terms * (U * size + tiny * (size > 0))
    return value, needs


@seeded
@given(st.data(), st.integers(0, 3), st.booleans())
def test_a_sum_of_products(data: st.DataObject, extra: int, has_plus: bool) -> None:
    """Both errors' products, and for each term that is not 0 one rounding of the sizes; of a sum of
    zeros none at all.

    Terms are the products, what is added, and by how many more a formulation's sum may be longer.
    """
    a, b = data.draw(matrices(2, 3)), data.draw(matrices(3, 2))
    plus = data.draw(matrices(2, 2)) if has_plus else None
    expect(m.dot(a, b, extra, plus), *sum_of_products(a, b, extra, plus))


FACTORS = {
    "exact": ([3, -2, 5, -7, 4, 1], [0] * 6),
    "near": ([3, -2, 5, -7, 4, 1], [0.5, 0, 0.25, 0.125, 0, 0]),
    "sparse": ([3, 0, 0, 0, 4, 0], [0.5, 0, 0.25, 0, 0, 0]),
    "zero": ([0] * 6, [0] * 6),
}


@pytest.mark.parametrize("left", FACTORS)
@pytest.mark.parametrize("right", FACTORS)
@pytest.mark.parametrize("added", ["", "near", "zero"])
@pytest.mark.parametrize("scale", [1.0, 2.0**-62])
def test_a_sum_of_products_of_every_kind(left: str, right: str, added: str, scale: float) -> None:
    """The same whether the factors are exact, near, or 0 here and there, and however small they
    are.
    """
    a, b = (
        Bounded(*(np.array(part, float).reshape(1, *shape) * scale for part in FACTORS[kind]))
        for kind, shape in ((left, (2, 3)), (right, (3, 2)))
    )
    plus = (
        Bounded(*(np.array(part[:4], float).reshape(1, 2, 2) * scale**2 for part in FACTORS[added]))
        if added
        else None
    )
    expect(m.dot(a, b, plus=plus), *sum_of_products(a, b, 0, plus))
    expect(m.dot(a, b, 2, plus), *sum_of_products(a, b, 2, plus))


def factors(left: str, right: str) -> tuple[Bounded, Bounded]:
    """Two matrices of these kinds."""
    shapes = ((left, (2, 3)), (right, (3, 2)))
    a, b = (
        Bounded(*(np.array(part, float).reshape(1, *shape) for part in FACTORS[kind]))
        for kind, shape in shapes
    )
    return a, b


@pytest.mark.parametrize(("left", "right"), list(product(FACTORS, FACTORS)))
@pytest.mark.parametrize(
    ("dtype", "bits", "parts"), [("bfloat16", 8, 1), ("bfloat16", 8, 4), ("float16", 11, 2)]
)
@pytest.mark.parametrize("extra", [0, 3])
def test_a_sum_of_products_of_sixteen_bits(
    left: str, right: str, dtype: str, bits: int, parts: int, extra: int
) -> None:
    """It is added up in float32; s = 1 + parts + what makes it longer are stored, which loses s u /
    (1 - s u).
    """
    a, b = factors(left, right)
    lost = (1 + parts + extra) * (2.0**-bits + 2.0**-53)
    contract, plus = Contract(dtype), Bounded(np.full((1, 2, 2), 2.0), np.full((1, 2, 2), 0.25))
    for added in (None, plus):
        needs = sum_of_products(a, b, extra, added, lost / (1 - lost), contract.tiny)
        expect(BoundedArithmetic(contract, parts).dot(a, b, extra, added), *needs)


def test_a_sum_is_of_one_product_where_nothing_is_said() -> None:
    """And one that is stored so often that nothing is left of it is bounded by no evidence."""
    a, b = factors("near", "near")
    contract = Contract("bfloat16")
    ones, two = BoundedArithmetic(contract, 1).dot(a, b), BoundedArithmetic(contract, 2).dot(a, b)
    found = BoundedArithmetic(contract).dot(a, b)
    assert (found.error == ones.error).all()
    assert (found.error < two.error).all()
    for parts in (254, 300):
        often = BoundedArithmetic(contract, parts).dot(a, b)
        assert (often.error > 250 * abs(often.value)).all()
        assert np.isfinite(often.error).all()


@pytest.mark.parametrize(("left", "right"), list(product(FACTORS, FACTORS)))
def test_a_sum_of_products_of_tf32(left: str, right: str) -> None:
    """Each factor is off by 2^-11 of its size more; nothing else is narrower than float32."""
    a, b = factors(left, right)
    off = [Bounded(x.value, x.error + 2.0**-11 * (abs(x.value) + x.error)) for x in (a, b)]
    tf32 = BoundedArithmetic(Contract("tf32"))
    expect(tf32.dot(a, b), *sum_of_products(*off, 0, None))
    exactly(tf32.mul(a, a), m.mul(a, a).value, m.mul(a, a).error)


@seeded
@given(st.data())
def test_a_sum_and_a_difference(data: st.DataObject) -> None:
    """Both errors and one rounding; nothing underflows there."""
    a, b = data.draw(matrices(1, 2)), data.draw(matrices(1, 2))
    for found, value in ((m.add(a, b), a.value + b.value), (m.sub(a, b), a.value - b.value)):
        error = a.error + b.error
        expect(found, value, error + U * (abs(value) + error))


@seeded
@given(st.data())
def test_a_product(data: st.DataObject) -> None:
    """Each error times the other's size, and one rounding."""
    a, b = data.draw(matrices(1, 3)), data.draw(matrices(1, 3))
    value = a.value * b.value
    expect(
        m.mul(a, b),
        value,
        rounded(value, a.error * (abs(b.value) + b.error) + abs(a.value) * b.error),
    )
    assert m.mul(a, None) is a
