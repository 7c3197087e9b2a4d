"""Bounds are as wide as derived: not wider, not narrower."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from harness.kernels import all as _rules  # noqa: F401
from harness.rules.precision import precision_of
from tests.rules.bounds import DTYPES, TABLE, describe, describe_corner, find_file
from tests.selfcheck.rule_balls import evaluate
from tests.selfcheck.rule_calls import MAKERS
from tests.selfcheck.rule_corners import CORNERS, bound, cast, t
from tests.selfcheck.rule_draws import Draws
from tests.selfcheck.rule_exact import compare_exactly
from tests.selfcheck.rules import Audit, answer, compare, try_call
from tests.support import HELD

aten = torch.ops.aten
NAMED = [pytest.param(name, id=f"{find_file(name)}-{name}") for name in MAKERS]
EDGES = [pytest.param(what, id=f"{find_file(what)}-{what}") for what in CORNERS]
LINES = {tuple(line.split()[:2]): line for line in TABLE.read_text(encoding="utf-8").splitlines()}


@pytest.mark.parametrize("name", NAMED)
def test_bounds_are_those_of_the_table(name: str) -> None:
    """A bound changes only when bounds.txt does (`python -m tests.rules.bounds --write`)."""
    for dtype in DTYPES:
        assert describe(name, dtype) == LINES[name, dtype]


@pytest.mark.parametrize("what", EDGES)
def test_corners_have_the_bounds_of_the_table(what: str) -> None:
    """Where a rule takes another way, its bounds are those of bounds.txt, number by number; torch's
    kernels are within them, and NaN where the repetitions are.
    """
    for dtype in DTYPES:
        assert describe_corner(what, dtype) == LINES[what, dtype]
    for dtype in HELD:
        audit = Audit()
        made = try_call(lambda draws: cast(CORNERS[what], dtype), None)  # noqa: B023
        if made is not None:
            compare(audit, made, what)
        assert audit.outside == 0, f"{dtype}: {audit.worst}"
        if made is not None and dtype == "float64":
            both = zip(made.found, made.call.results, strict=False)
            assert all(a is b or torch.equal(a.isnan(), b.isnan()) for a, b in both)


@pytest.mark.parametrize("name", NAMED)
def test_kernels_are_within_their_bounds(name: str) -> None:
    """torch's kernels on nasty numbers are as near to float64's answers as a rule says."""
    for dtype in HELD:
        audit = Audit()
        for seed in range(500, 504):
            draws = Draws(seed, getattr(torch, dtype))
            draws.most = 200
            made = try_call(MAKERS[name], draws)
            if made is not None:
                compare(audit, made, f"seed {seed}")
        assert audit.outside == 0, f"{dtype}: {audit.worst}"


@pytest.mark.parametrize("name", NAMED)
def test_float64_is_near_the_exact_results(name: str) -> None:
    """Kernels in float64 are within its bound of the exact results, repetitions within half."""
    for seed in (700, 701):
        draws = Draws(seed, torch.float64)
        draws.most = 30
        made = try_call(MAKERS[name], draws)
        assert made is not None
        exact = evaluate(name, made.call.given)
        if exact is not None:
            assert compare_exactly(made, exact).outside == []


A, B = torch.tensor([1.5, -3.25, 0.7]).double(), torch.tensor([0.3, 2.0, -5.5]).double()
# operations on A and B, and how many roundoffs of their result they may lose in float32
ROUNDINGS: dict[str, tuple[Callable[[], Tensor], tuple[Tensor, ...], float]] = {
    "one sum": (aten.add.Tensor, (A, B), 1),
    "one difference": (aten.sub.Tensor, (A, B), 1),
    "one product": (aten.mul.Tensor, (A, B), 1),
    "one quotient": (aten.div.Tensor, (A, B), 1),
    "one reciprocal": (aten.reciprocal.default, (A,), 1),
    "one square": (aten.square.default, (A,), 1),
    "a power of two": (aten.pow.Tensor_Scalar, (A, 2), 1),
    "a root of one unit": (aten.sqrt.default, (abs(A),), 2),
    "a reciprocal root of two units": (aten.rsqrt.default, (abs(A),), 4),
    "exp of two units": (aten.exp.default, (A,), 4),
    "tanh of two units": (aten.tanh.default, (A,), 4),
    "sine of three and a half units": (aten.sin.default, (A,), 7),
    "tangent of four units": (aten.tan.default, (A,), 8),
    "exp, a sum and a quotient": (aten.sigmoid.default, (A,), 6),
    "the logistic and a product": (aten.silu.default, (A,), 7),
    "a power of four units": (aten.pow.Tensor_Scalar, (abs(A), 1.25), 8),
}


@pytest.mark.parametrize("what", list(ROUNDINGS))
def test_roundings_are_counted(what: str) -> None:
    """The bound of few roundings is their number, a result of one rounding more is outside."""
    operation, args, roundings = ROUNDINGS[what]
    for dtype in ("float64", "float32"):
        made = answer(operation, [_cast(each, dtype) for each in args], {})
        units = made.errors[0] / (precision_of(dtype).stored * abs(made.call.results[0]))
        assert units.tolist() == pytest.approx([roundings] * len(units), rel=1e-5)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_rows_are_added_in_any_order(dtype: str) -> None:
    """The loss of 64 rows takes part in 64 additions, and the product with its weight rounds."""
    made = answer(*cast(CORNERS["nll-of-64-rows"], dtype))
    units = made.errors[0] / (precision_of(dtype).stored * abs(made.call.results[0]))
    assert units.item() == pytest.approx(65, rel=1e-5)


def test_drawn_slopes_have_no_bound() -> None:
    """What rrelu draws in training is not repeated."""
    x = t(1.0, -2.0)
    _, errors = bound((aten.rrelu_with_noise.default, (x, x, 0.1, 0.3, True), {}), "float32")
    assert errors[0] is not None
    assert bool(errors[0].isinf().all())


def test_an_empty_buffer_is_computed_anew() -> None:
    """The slope of log_sigmoid is the same without the buffer of CPUs, and its bound is wider by
    the error of b = exp(-|x|): k u b makes s = b / (1 + b) err by k u s (1 + s), since
    b stands in it twice, and 1 - s too.
    """
    g, x = t(1.0, -1.0, 2.0, 3.0), t(0.5, -2.0, 3.0, 0.0)
    operation = aten.log_sigmoid_backward.default
    (kept,), (least,) = bound((operation, (g, x, torch.exp(-abs(x))), {}), "float32")
    (anew,), (error,) = bound((operation, (g, x, t()), {}), "float32")
    s = torch.exp(-abs(x.double())) / (1 + torch.exp(-abs(x.double())))
    wider = precision_of("float32").function * s * (1 + s) * abs(g)
    assert torch.allclose(kept, anew, rtol=2.0**-23, atol=0)  # the buffer is rounded to float32
    # of second order in u = 2^-24, beside a bound of 4 u
    assert (error - least).tolist() == pytest.approx(wider.tolist(), rel=2.0**-20)


def test_float64_has_the_erf_of_a_library() -> None:
    """Polynomials of 1.5e-7 are those of narrower dtypes."""
    _, errors = bound((aten.gelu.default, (t(0.5, -2.0, 3.0),), {}), "float64")
    assert errors[0] is not None
    assert bool((errors[0] < 1e-14).all())


def _cast(given: object, dtype: str) -> object:
    return given.to(getattr(torch, dtype)) if isinstance(given, Tensor) else given


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_narrow_result_is_rounded_once_more(dtype: str) -> None:
    """A product in a narrow dtype is computed in float32 and stored."""
    made = answer(aten.mul.Tensor, [_cast(A, dtype), _cast(B, dtype)], {})
    precision = precision_of(dtype)
    expected = precision.stored + precision.inside + precision.stored * precision.inside
    units = made.errors[0] / abs(made.call.results[0])
    assert units.tolist() == pytest.approx([expected] * 3, rel=1e-4)


@pytest.mark.parametrize("added", [False, True], ids=["mm", "addmm"])
def test_a_product_may_lose_subnormal_numbers(added: bool) -> None:
    """oneDNN's products of bfloat16 read a subnormal number as 0; the result is inside."""
    held = torch.bfloat16
    a = torch.full((128, 1), 0.7 * torch.finfo(held).tiny, dtype=held)
    b = torch.full((1, 128), 15.0, dtype=held)
    c = torch.zeros(128, 128, dtype=held)
    made = (
        answer(aten.addmm.default, [c, a, b], {}) if added else answer(aten.mm.default, [a, b], {})
    )
    error, product = made.errors[0], a.double() @ b.double()
    assert error is not None
    assert bool((error >= product).all())
    assert bool((error < 1.1 * product + 2 * torch.finfo(held).tiny).all())


def test_a_convolution_may_lose_subnormal_numbers() -> None:
    """Forward and backward; the gradient by the bias loses only those of the result's gradient."""
    held, tiny = torch.bfloat16, torch.finfo(torch.bfloat16).tiny
    x = torch.full((2, 3, 8), 0.7 * tiny, dtype=held)
    weight = torch.full((4, 3, 1), 15.0, dtype=held)
    made = answer(aten.convolution.default, [x, weight, None, [1], [0], [1], False, [0], 1], {})
    (error,) = made.errors
    exact = 3 * x.double()[:, :1] * 15
    assert error is not None
    assert bool((error >= exact).all())
    given = [x[:, :1].expand(2, 4, 8), x * 0 + 1, weight, [4], [1], [0], [1], False, [0], 1]
    backward = answer(aten.convolution_backward.default, [*given, [True, True, True]], {})
    for error, result in zip(backward.errors, backward.call.results, strict=True):
        assert error is not None
        assert bool((error >= abs(result)).all())
        assert bool((error < 1.1 * abs(result) + 100 * tiny).all())


def test_an_infinite_mask_is_exact() -> None:
    """A class of minus infinity has the probability 0, exactly, and others keep their bounds."""
    x = torch.tensor([[0.5, -torch.inf, 2.0], [1.0, 3.0, -torch.inf]])
    for operation in (aten._softmax.default, aten._log_softmax.default):
        made = answer(operation, [x, 1, False], {})
        error = made.errors[0]
        assert error is not None
        assert bool((error[x == -torch.inf] == 0).all())
        assert bool((error[x != -torch.inf] < 1e-5).all())


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
@pytest.mark.parametrize("share", [1.0, 0.3])
def test_a_very_low_number_masks_as_minus_infinity_does(dtype: str, share: float) -> None:
    """The lowest number of the dtype, or a part of it, has the probability 0, exactly; the bounds
    of the others are finite, and the same.
    """
    held = getattr(torch, dtype)
    masked = torch.tensor([[False, True, False], [True, False, True]])
    x = torch.tensor([[0.5, 1.0, 2.0], [1.0, 3.0, -1.0]], dtype=held)
    low, infinite = (
        torch.where(masked, torch.tensor(lowest, dtype=held), x)
        for lowest in (share * torch.finfo(held).min, -torch.inf)
    )
    probabilities = [answer(aten._softmax.default, [y, 1, False], {}) for y in (low, infinite)]
    assert bool((probabilities[0].errors[0][masked] == 0).all())
    logarithms = [answer(aten._log_softmax.default, [y, 1, False], {}) for y in (low, infinite)]
    for one, other in (probabilities, logarithms):
        assert bool(one.errors[0].isfinite()[~masked].all())
        assert one.errors[0][~masked].tolist() == other.errors[0][~masked].tolist()
    reduced = [answer(aten.logsumexp.default, [y, [1]], {}) for y in (low, infinite)]
    sums = [one.errors[0].tolist() for one in reduced]
    assert sums[0] == sums[1]
    assert max(sums[0]) < 1


def test_a_row_of_nothing_but_masks_is_exact() -> None:
    """The logarithm of a sum of no exponentials is minus infinity, exactly."""
    x = torch.tensor([[-torch.inf, -torch.inf], [-torch.inf, 1.0]])
    made = answer(aten.logsumexp.default, [x, [1]], {})
    assert made.errors[0][0] == 0
    assert 0 < made.errors[0][1] < 1e-6


def test_what_overflows_has_no_bound() -> None:
    """Nothing is said of results beyond the range of the dtype, or of steps that leave it."""
    made = answer(aten.mul.Tensor, [torch.tensor([1e30, 1.0]), torch.tensor([1e30, 1.0])], {})
    assert made.errors[0].isinf().tolist() == [True, False]
    x = torch.full((1, 4), 1e30)
    made = answer(aten.native_layer_norm.default, [x * torch.arange(4), [4], None, None, 1e-5], {})
    assert bool(made.errors[0].isinf().all())
