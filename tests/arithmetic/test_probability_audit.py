"""Logarithms, softmax and their relatives on nasty rows: ball arithmetic at 400 bits, and every
usual way to compute them in NumPy and torch, are inside the bounds.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import flint
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from harness.arithmetic.bounded import BoundedArithmetic
from harness.core.contract import Array, Bounded, Contract
from tests.arithmetic import nasty
from tests.arithmetic.nasty import ERRORS, TORCH, Rows, answers, stacks
from tests.selfcheck.ball import BallArithmetic

WAYS: dict[str, Callable[[bool], dict[str, nasty.Way]]] = {
    "softmax": nasty.ways_of_softmax,
    "log_softmax": nasty.ways_of_log_softmax,
    "logsumexp": nasty.ways_of_logsumexp,
    "softplus": nasty.ways_of_softplus,
}
BITS = 400
DTYPE = pytest.mark.parametrize("dtype", TORCH)
OPERATION = pytest.mark.parametrize("operation", WAYS)


@contextmanager
def balls(contract: Contract) -> Iterator[BallArithmetic]:
    """Ball arithmetic at 400 bits."""
    m = BallArithmetic(contract)
    before, flint.ctx.prec = flint.ctx.prec, BITS
    yield m
    flint.ctx.prec = before


def has_no_overflow(z: Array, contract: Contract) -> Any:
    """Rows (R,) whose exponentials neither over- nor underflow."""
    most = np.log(contract.largest) - np.log(z.shape[-1]) - 1
    return (z.max(-1) < most) & (z.min(-1) > np.log(contract.tiny) + 1)


def expect_enclosed(bound: Bounded, exact: Any, contract: Contract, what: object) -> None:
    """Every ball is inside; of what is exactly 0 in a dtype it is below half of the smallest
    number.
    """
    half = flint.arb(contract.tiny) / 2**contract.bits
    for ball, value, error in zip(
        exact.ravel(), bound.value.ravel(), bound.error.ravel(), strict=True
    ):
        allowed = half if (value, error) == (0, 0) else flint.arb(error)
        assert ball == value or abs(ball - value) <= allowed, (what, value, ball)


def corners(rows: Rows) -> list[Array]:
    """Logits of the implementation, and where a class is as large or as small as it may be."""
    value, error = rows.known.value[0], rows.known.error[0]
    one = np.zeros_like(value)
    one[np.arange(len(one)), np.argmax(value, axis=-1)] = 2.0
    one[:, 1] = 2.0 - one[:, 1]
    return [rows.own, value + error * (one - 1), value - error * (one - 1)]


@DTYPE
@OPERATION
def test_bounds_enclose_exact_results(operation: str, dtype: str) -> None:
    """At the numbers that an implementation has, and at the corners of what it may have."""
    contract = Contract(dtype)
    m = BoundedArithmetic(contract)
    with balls(contract) as exactly:
        for rows in stacks(dtype, seed=1, rows=1):
            if rows.own.shape[-1] > 17 and dtype != "float64":
                continue
            bound = getattr(m, operation)(rows.known)
            for z in corners(rows):
                if (
                    dtype == "float64"
                    and (abs(z - rows.known.value[0]) > rows.known.error[0]).any()
                ):
                    z = rows.own  # value + error is rounded
                exact = getattr(exactly, operation)(exactly.lift(z[None]))
                expect_enclosed(bound, exact, contract, z)


def shares_of(operation: str, dtype: str) -> Iterator[tuple[str, bool, Array]]:
    """For each way and stack: its name, whether logits are known exactly, and the largest share of
    the bound in each row (R,).
    """
    contract = Contract(dtype)
    m = BoundedArithmetic(contract)
    for rows in stacks(dtype):
        bound = getattr(m, operation)(rows.known)
        value, error = bound.value[0], bound.error[0]
        assert np.isfinite(value).all()
        for safe in (False, True):
            chosen = has_no_overflow(rows.own, contract) | (not safe)
            ways = WAYS[operation](safe)
            if not chosen.any():
                continue
            for name, answer in answers(ways, rows.own[chosen], dtype):
                off = abs(answer - value[chosen])
                share = np.divide(off, error[chosen], out=np.zeros_like(off), where=off != 0)
                yield name, not rows.known.error.any(), share.max(-1)


@DTYPE
@OPERATION
@np.errstate(all="ignore")
def test_every_usual_way_is_inside(operation: str, dtype: str) -> None:
    """And the bound is not idle: half of all rows use at least 3 % of it, where logits have errors
    up to all of it.
    """
    exact, near = [], []
    for name, is_exact, share in shares_of(operation, dtype):
        assert (share <= 1).all(), (name, share.max())
        (exact if is_exact else near).append(share)
    # NumPy and the oracle do the same in float64
    least = 0.0 if dtype == "float64" else 0.01
    assert least <= np.median(np.concatenate(exact)) <= 0.7
    assert np.median(np.concatenate(near)) >= 0.03
    assert np.concatenate(near).max() > 0.85


def ways_of_bce(z: torch.Tensor, t: torch.Tensor) -> dict[str, torch.Tensor]:
    """Every usual form of the binary cross-entropy from logits."""
    small = torch.log1p(torch.exp(-abs(z)))
    return {
        "torch": F.binary_cross_entropy_with_logits(z, t, reduction="none"),
        "max(z, 0) - z t + log1p(exp(-|z|))": torch.clamp(z, min=0) - z * t + small,
        "(1 - t) z - logsigmoid(z)": (1 - t) * z - F.logsigmoid(z),
        "logsigmoid of both": -(t * F.logsigmoid(z) + (1 - t) * F.logsigmoid(-z)),
    }


@DTYPE
def test_the_bound_of_softplus_covers_the_binary_cross_entropy(dtype: str) -> None:
    """In every usual form, for targets t from 0 to 1, the loss is within t times the bound at -z
    plus 1 - t times the bound at z.
    """
    contract, rng = Contract(dtype), np.random.default_rng(6)
    m, worst = BoundedArithmetic(contract), 0.0
    for rows in stacks(dtype, seed=7, rows=3):
        z = rows.own[None]
        t = contract.rounded(rng.choice([0.0, 1.0, 0.5, rng.random()], z.shape))
        on, off = (m.softplus(Bounded(sign * z, np.zeros(z.shape))) for sign in (-1, 1))
        value = t * on.value + (1 - t) * off.value
        error = t * on.error + (1 - t) * off.error
        logits, targets = (torch.from_numpy(np.array(x[0])).to(TORCH[dtype]) for x in (z, t))
        for name, answer in ways_of_bce(logits, targets).items():
            share = abs(answer.double().numpy() - value[0]) / error[0]
            assert (share <= 1).all(), (name, share.max())
            worst = max(worst, float(share.max()))
    assert worst > 0.1


def test_torchs_softplus_is_off_beyond_its_threshold() -> None:
    """By exp(-20) = 2e-9 at most, which is outside in float64 and inside in float32."""
    for dtype, inside in (("float64", False), ("float32", True)):
        z = np.array([[20.5]])
        bound = BoundedArithmetic(Contract(dtype)).softplus(Bounded(z[None], np.zeros((1, 1, 1))))
        answer = F.softplus(torch.tensor(z, dtype=TORCH[dtype])).double().numpy()
        off = abs(answer - bound.value)
        assert bool((off <= bound.error).all()) == inside
        assert off < 2e-9


@DTYPE
@np.errstate(all="ignore")
def test_some_classes_alone_are_inside(dtype: str) -> None:
    """Of logits in which all others are -infinity, softmax and logsumexp of torch and exactly."""
    contract, rng = Contract(dtype), np.random.default_rng(2)
    m = BoundedArithmetic(contract)
    for rows in stacks(dtype, seed=3, rows=1):
        among = rng.random(rows.own.shape) < 0.6
        p, lse = m.softmax(rows.known, among[None]), m.logsumexp(rows.known, among[None])
        z = torch.from_numpy(np.where(among, rows.own, -np.inf)).to(TORCH[dtype])
        held = among.any(axis=-1)
        of_torch = F.softmax(z, -1).double().numpy(), torch.logsumexp(z, -1).double().numpy()
        assert (abs(of_torch[0] - p.value[0]) <= p.error[0])[held].all()
        assert (abs(of_torch[1] - lse.value[0, :, 0]) <= lse.error[0, :, 0])[held].all()
        assert (lse.value[0, ~held] == -np.inf).all()
        if rows.own.shape[-1] > 17:
            continue
        with balls(contract) as exactly:
            exact = exactly.lift(rows.own[None])
            expect_enclosed(p, exactly.softmax(exact, among[None]), contract, rows)
            some = Bounded(lse.value[:, held], lse.error[:, held])
            exact = exactly.logsumexp(exact[:, held], among[None, held])
            expect_enclosed(some, exact, contract, rows)


@DTYPE
def test_logarithms_are_inside(dtype: str) -> None:
    """Of numbers of all sizes that a dtype has, known to within shares of themselves."""
    contract, rng = Contract(dtype), np.random.default_rng(4)
    m = BoundedArithmetic(contract)
    reach = np.log2(contract.largest) - 1
    x = np.concatenate([2.0 ** rng.uniform(-reach, reach, 400), 1 + rng.uniform(-0.1, 0.1, 400)])
    x = np.concatenate([np.maximum(contract.rounded(x), contract.tiny), [1.0, contract.tiny]])
    share = rng.choice([0.0, 1e-12, 1e-3, 0.5, 0.99], x.shape)
    value = x * (1 + share / 2 * rng.choice([1, -1], x.shape))
    known = Bounded(value[None, None], (share * value)[None, None] * (1 + 1e-15))
    inside = abs(x - value) <= known.error[0, 0]
    bound = m.log(known)
    in_torch = torch.log(torch.from_numpy(x).to(TORCH[dtype])).double().numpy()
    found = [in_torch]
    if dtype != "bfloat16":
        found.append(np.log(x.astype(dtype)).astype(float))
    for answer in found:
        assert (abs(answer - bound.value) <= bound.error)[0, 0, inside].all()
    with balls(contract) as exactly:
        exact = exactly.log(exactly.lift(x[inside]))
        some = Bounded(bound.value[0, 0, inside], bound.error[0, 0, inside])
        expect_enclosed(some, exact, contract, "log")


def ways_back() -> dict[str, Callable[[torch.Tensor], torch.Tensor]]:
    """Softmax as torch differentiates it, fused and not, with the largest logit and without."""

    def unfused(z: torch.Tensor, largest: torch.Tensor, inverse: bool = False) -> torch.Tensor:
        powers = torch.exp(z - largest)
        total = powers.sum(-1, keepdim=True)
        return powers * (1 / total) if inverse else powers / total

    return {
        "fused": lambda z: F.softmax(z, -1),
        "exp of log_softmax": lambda z: torch.exp(F.log_softmax(z, -1)),
        "through max": lambda z: unfused(z, z.max(-1, keepdim=True).values),
        "through amax": lambda z: unfused(z, z.amax(-1, keepdim=True)),
        "without it": lambda z: unfused(z, z.amax(-1, keepdim=True).detach()),
        "inverse": lambda z: unfused(z, z.max(-1, keepdim=True).values, inverse=True),
        "through logsumexp": lambda z: torch.exp(z - torch.logsumexp(z, -1, keepdim=True)),
    }


@DTYPE
@np.errstate(all="ignore")
def test_the_way_back_is_inside(dtype: str) -> None:
    """Of every way through softmax, for gradients that are known exactly or not; and exactly."""
    contract, rng = Contract(dtype), np.random.default_rng(5)
    m, shares = BoundedArithmetic(contract), []
    for place, rows in enumerate(stacks(dtype, rows=2)):
        own = contract.rounded(rng.standard_normal(rows.own.shape))
        own *= rng.choice([0.0, 2.0**-10, 1.0, 4.0], (len(own), 1))
        error = rng.choice([0.0, 0.0, 1e-3, 0.5]) * np.ones_like(own)
        slopes = Bounded((own + error * rng.uniform(-1, 1, own.shape))[None], error[None])
        bound = m.softmax_back(m.softmax(rows.known), slopes)
        e = torch.from_numpy(own).to(TORCH[dtype])
        for name, way in ways_back().items():
            z = torch.from_numpy(np.array(rows.own)).to(TORCH[dtype]).requires_grad_()
            (slope,) = torch.autograd.grad(way(z), z, e)
            off = abs(slope.double().numpy() - bound.value[0])
            share = np.divide(off, bound.error[0], out=np.zeros_like(off), where=off != 0)
            assert (share <= 1).all(), (name, share.max(), ERRORS[place % len(ERRORS)])
            shares.append(share.max(-1))
        if rows.own.shape[-1] > 17 or place % 2:
            continue
        with balls(contract) as exactly:
            p = exactly.softmax(exactly.lift(rows.own[None]))
            exact = exactly.softmax_back(p, exactly.lift(own[None]))
            expect_enclosed(bound, exact, contract, rows)
    assert np.median(np.concatenate(shares)) > 0.001
