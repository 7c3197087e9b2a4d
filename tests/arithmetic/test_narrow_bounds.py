"""Bounds in sixteen bits: right implementations reach them, and do not pass them.

u is the roundoff of the narrow dtype, U = 2^-24 that of float32. Three facts make a share of a
bound that tends to 1 right, and one above 1 a fault.

A sum of n products, exact in float32 (two factors of at most 11 bits), is off by at most (n - 1) U
S in any order, S being the sum of their sizes (Jeannerod and Rump 2013), and is then rounded: a
relative error of at most u / (1 + u). Together u / (1 + u) (1 + (n - 1) U) + (n - 1) U, and the
bound is 2 u / (1 - 2 u) + n U or more, each times S: the share is about 1/2 for n up to 2^15, grows
with n, and is below 1 as long as n U < 1.

A product or a difference of two numbers is rounded once: u / (1 + u), of a bound of u. The largest
share is 1 / (1 + u), 0.996 in bfloat16, at a number just above a power of two.

A number that is replaced by an interval of candidates is one of them, and often its end: then what
follows is off by d + r, of a bound d + e, where d is what half the interval is worth, r <= e its
own rounding and e the bound of that. The wider the layer, the more candidates lie within its
bound, and the nearer to 1 is (d + r) / (d + e).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness import Contract
from harness.arithmetic.bounded import BoundedArithmetic
from harness.arithmetic.rounding import DIRECTED
from harness.arithmetic.staged import StagedArithmetic
from harness.core.contract import Array, Bounded
from tests.selfcheck.shares import largest_shares

NARROW = ["bfloat16", "float16"]


def in_turn(products: Array) -> float:
    """The sum in float32, one after the other."""
    return float(np.cumsum(products, dtype=np.float32)[-1])


def in_pairs(products: Array) -> float:
    """The sum in float32, as a tree."""
    if len(products) == 1:
        return float(np.float32(products[0]))
    middle = len(products) // 2
    return float(np.float32(in_pairs(products[:middle])) + np.float32(in_pairs(products[middle:])))


def in_blocks(products: Array) -> float:
    """The sum of sums of 16, as kernels cut a long one."""
    return in_turn(
        np.array([in_turn(products[start : start + 16]) for start in range(0, len(products), 16)])
    )


def in_lanes(products: Array) -> float:
    """Every eighth term in one lane of a vector register, and then the lanes."""
    lanes = range(min(8, len(products)))
    return in_pairs(np.array([in_turn(products[lane::8]) for lane in lanes]))


ORDERS: dict[str, Callable[[Array], float]] = {
    "in turn": in_turn,
    "backwards": lambda products: in_turn(products[::-1]),
    "in pairs": in_pairs,
    "in blocks": in_blocks,
    "in lanes": in_lanes,
    "the largest first": lambda products: in_turn(products[np.argsort(-abs(products))]),
    "the smallest first": lambda products: in_turn(products[np.argsort(abs(products))]),
}


def dot_of(contract: Contract, a: Array, b: Array) -> tuple[float, float]:
    """The value of a sum of products, and its bound."""
    row, column = a[None, None], b[None, :, None]
    found = BoundedArithmetic(contract).dot(
        Bounded(row, np.zeros_like(row)), Bounded(column, np.zeros_like(column))
    )
    return float(found.value[0, 0, 0]), float(found.error[0, 0, 0])


def largest_share(dtype: str, a: Array, b: Array) -> float:
    """Of the bound, by a right implementation in any of the orders."""
    contract = Contract(dtype)
    value, bound = dot_of(contract, a, b)
    answers = [float(contract.rounded(np.array(order(a * b)))) for order in ORDERS.values()]
    return max(abs(answer - value) for answer in answers) / bound


@pytest.mark.parametrize("width", [2, 64, 256, 1024, 2048])
def test_the_worst_sum_uses_half_of_its_bound(width: int) -> None:
    """1 + u is a tie; float32 loses each further term of U, and half a unit is lost with them."""
    u = Contract("bfloat16").roundoff
    a = np.array([1.0, *[2.0**-12] * (width - 1)])
    b = np.array([1.0, u * 2**12, *[2.0**-12] * (width - 2)])
    share = largest_share("bfloat16", a, b)
    lost = (width - 2) * 2.0**-24
    most = (u + lost) / ((2 * u / (1 - 2 * u) + width * 2.0**-24) * (1 + u + lost))
    assert share == pytest.approx(most, rel=1e-6)
    assert 0.47 < share < 0.6


@given(
    st.sampled_from(NARROW),
    st.sampled_from([1, 2, 3, 64, 100, 300]),
    st.integers(0, 2**32),
    st.sampled_from([0, 1, 6, 20]),
    st.booleans(),
)
def test_no_sum_in_any_order_passes_its_bound(
    dtype: str, width: int, seed: int, decades: int, cancels: bool
) -> None:
    """Of terms of like or very unlike sizes, whether they cancel or not, and near ties."""
    contract, rng = Contract(dtype), np.random.default_rng(seed)
    a, b = (
        contract.rounded(rng.standard_normal(width) * 2.0 ** -rng.integers(0, decades + 1, width))
        for _ in range(2)
    )
    if cancels:
        a[width // 2 :] = -a[: width - width // 2]
        b[width // 2 :] = b[: width - width // 2]
    elif seed % 2:
        a[0], b[0] = 1, 1  # and a half of the last place, more or less
        if width > 1:
            a[1], b[1] = contract.roundoff, 1
            a[2:] *= 2.0**-10
    if (a * b).any():
        assert largest_share(dtype, a, b) < 0.6


@pytest.mark.parametrize("dtype", NARROW)
def test_a_product_uses_all_of_its_bound_but_u(dtype: str) -> None:
    """Among all products of two numbers from 1 to 2: the worst is just above a power of two."""
    contract = Contract(dtype)
    u, count = contract.roundoff, 2 ** (contract.bits - 1)
    numbers = np.unique((1 + np.arange(count) / count)[:: max(1, count // 512)])
    a, b = (x.ravel() for x in np.meshgrid(numbers, numbers))
    found = BoundedArithmetic(contract).mul(Bounded(a, np.zeros(a.shape)), Bounded(b, 0 * b))
    shares = abs(contract.rounded(a * b) - a * b) / found.error
    assert 0.94 < shares.max() <= 1 / (1 + u)


@example([0.0, 1.0, 1.0, 1.0], [], 0.5, 0.5)  # two numbers of a layer, and an activation of both
@given(
    st.lists(st.floats(-1, 1), min_size=4, max_size=4),
    st.lists(st.floats(-1, 1), max_size=12),
    st.floats(0.01, 3),
    st.floats(0.1, 2),
)
def test_a_model_is_inside_whatever_is_near_its_numbers(
    parts: list[float], others: list[float], x: float, weight: float
) -> None:
    """Its number of each layer is anywhere within the bound of that layer, and so are others that
    are recorded beside it.
    """
    contract = Contract("bfloat16")
    exact = BoundedArithmetic(contract)

    def layer(own: float, part: float, act: bool = False) -> tuple[float, list[float]]:
        """The model's number, and those beside it, from its own number before."""
        before = Bounded(np.array([[[own]]]), np.zeros((1, 1, 1)))
        factor = Bounded(np.array([[[weight]]]), np.zeros((1, 1, 1)))
        after = exact.act("tanh", before)[0] if act else exact.dot(before, factor)
        value, error = after.value[0, 0, 0], after.error[0, 0, 0] * (1 - 1e-9)
        return float(value + part * error), [float(value + other * error) for other in others]

    z, near_z = layer(x, parts[0])
    h, near_h = layer(z, parts[1], act=True)
    o, near_o = layer(h, parts[2])
    end, _ = layer(o, parts[3])
    own = np.array([z, h, o, *near_z, *near_h, *near_o])
    m = StagedArithmetic(contract, 1, own[None, None])
    factor = Bounded(np.array([[[weight]]]), np.zeros((1, 1, 1)))
    found = m.stored(m.dot(Bounded(np.array([[[x]]]), np.zeros((1, 1, 1))), factor))
    found = m.stored(m.dot(m.act("tanh", found)[0], factor))
    last = m.dot(found, factor)
    assert abs(end - last.value[0, 0, 0]) <= last.error[0, 0, 0] * DIRECTED


@pytest.mark.parametrize("beyond", [1.001, -1.001, 2.0])
def test_what_is_a_little_outside_a_bound_is_outside(beyond: float) -> None:
    """Of a layer whose inputs were seen, without others beside them."""
    a = np.array([0.5, 1.0, 2.0])
    value, bound = dot_of(Contract("bfloat16"), a, np.array([3.0, -1.0, 0.25]))
    m = StagedArithmetic(Contract("bfloat16"), 1, np.array([[[value + beyond * bound]]]))
    m.stored(Bounded(np.array([[[value]]]), np.array([[[bound]]])))
    assert (m.found, m.asked) == (0, 1)


def test_rounding_alone_does_not_come_near_a_bound() -> None:
    """Of a real model of which each number is known: only a single rounding, of the gradient by the
    outputs, does, and stays below 1 / (1 + u).
    """
    found = largest_shares(64, draws=1, rows=2)
    once = found.layers.pop("dL/do")
    assert 0.9 < once <= 1 / (1 + Contract("bfloat16").roundoff)
    assert max(found.told, *found.layers.values()) < 0.65
    assert 0.65 < found.judged < 1
