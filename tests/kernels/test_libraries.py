"""The bounds of NumPy's arithmetic and of torch's rules are the same where they bound the same.

Both stand on the formulas of `harness.arithmetic.formulas`; matrix products, convolutions and
functions are written once for each library, and cross-checked here. NumPy's bounds carry a share
of 1e-9 for their own evaluation.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from harness.arithmetic.bounded import BoundedArithmetic
from harness.core.contract import Array, Bounded, Contract
from harness.shadow.local import check_operations
from harness.shadow.watch import watch

DTYPES = ("float64", "float32")
RANDOM = np.random.default_rng(0)


def draw(*shape: int) -> Array:
    return RANDOM.standard_normal(shape).astype(np.float32).astype(np.float64)


def bound_by_torch(function: Callable[..., Tensor], dtype: str, *given: Array) -> Array:
    """Return the bound of the last operation of a function."""
    tensors = [torch.from_numpy(each).to(getattr(torch, dtype)) for each in given]
    checked = check_operations(watch(lambda: {"output": function(*tensors)}).run)[-1]
    assert checked.share < 1
    error = checked.errors[0]
    assert error is not None
    return error.numpy()


def lift(x: Array) -> Bounded:
    return Bounded(x, np.zeros(x.shape))


def compare(numpy: Array, torch: Array, least: float, most: float) -> None:
    """Fail unless torch's bound is between two shares of NumPy's."""
    ratio = torch.reshape(-1) / numpy.reshape(-1)
    assert least < ratio.min()
    assert ratio.max() < most


def bounds(dtype: str) -> BoundedArithmetic:
    return BoundedArithmetic(Contract(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_matrix_products(dtype: str) -> None:
    """Products, with a bias or without: n u of the sum of sizes, n counting the bias."""
    a, b, bias = draw(5, 40), draw(40, 3), draw(3)
    plain = bounds(dtype).dot(lift(a), lift(b)).error
    compare(plain, bound_by_torch(torch.mm, dtype, a, b), 0.9999, 1.0001)
    added = bounds(dtype).dot(lift(a), lift(b), plus=lift(bias[None].repeat(5, 0))).error
    compare(added, bound_by_torch(torch.addmm, dtype, bias, a, b), 0.9999, 1.0001)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("stride", [1, 2])
def test_convolutions(dtype: str, stride: int) -> None:
    """A convolution is a product of windows and kernels; padding is no term of a sum."""
    x, weight, bias = draw(2, 3, 6, 6), draw(4, 3, 3, 3), draw(4)
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    windows = windows[:, :, ::stride, ::stride].transpose(0, 2, 3, 1, 4, 5).reshape(-1, 27)
    flat = bias[None].repeat(len(windows), 0)
    expected = bounds(dtype).dot(lift(windows), lift(weight.reshape(4, 27).T), plus=lift(flat))

    def convolve(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return F.conv2d(x, weight, bias, stride=stride, padding=1)

    found = bound_by_torch(convolve, dtype, x, weight, bias).transpose(0, 2, 3, 1)
    compare(expected.error, np.ascontiguousarray(found), 0.9999, 1.0001)


@pytest.mark.parametrize("dtype", DTYPES)
def test_single_steps(dtype: str) -> None:
    """Sums, differences, products and quotients round once; tanh and the logistic some times."""
    a, b = draw(50), draw(50)
    ours = bounds(dtype)
    pairs: list[tuple[Callable[..., Bounded], Callable[..., Tensor]]] = [
        (ours.add, torch.add),
        (ours.sub, torch.sub),
        (ours.mul, torch.mul),
        (ours.divide, torch.div),
    ]
    for numpy, function in pairs:
        expected = numpy(lift(a), lift(b)).error
        compare(expected, bound_by_torch(function, dtype, a, b), 0.9999, 1.0001)
    expected = ours.act("tanh", lift(a))[0].error
    compare(expected, bound_by_torch(torch.tanh, dtype, a), 0.9999, 1.0001)
    expected = ours.act("logistic", lift(a))[0].error
    compare(expected, bound_by_torch(torch.sigmoid, dtype, a), 0.9999, 1.0001)


@pytest.mark.parametrize("dtype", DTYPES)
def test_sums(dtype: str) -> None:
    """A sum of n numbers is a product with ones: n u of the sum of sizes."""
    a = draw(4, 30)
    expected = bounds(dtype).dot(lift(a), lift(np.ones((30, 1)))).error
    compare(expected, bound_by_torch(lambda x: x.sum(1), dtype, a), 0.9999, 1.0001)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("function", ["softmax", "log_softmax"])
def test_softmax(dtype: str, function: str) -> None:
    """torch's rule bounds torch's kernel, NumPy's every usual formula: it is wider, up to so much.

    NumPy's counts exponentials of logits that are not shifted too, and quotients by other routes.
    """
    z = draw(6, 10)
    expected = getattr(bounds(dtype), function)(lift(z)).error
    found = bound_by_torch(lambda x: getattr(torch, function)(x, -1), dtype, z)
    compare(expected, found, 0.5, 1.0)
