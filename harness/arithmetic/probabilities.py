"""Values of softmax and related functions, for real and complex numbers.

The logits z are (D, R, K): K classes in each of R rows of data of D draws (problems of a stack).
`among` (D, R, K) marks the classes to use; None stands for all.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.core.contract import Mask

Values = NDArray[Any]


def softplus(z: Values) -> Values:
    """Return log(1 + exp(z)), without overflow."""
    positive = z.real > 0
    result: Values = np.where(positive, z, 0) + np.log1p(np.exp(np.where(positive, -z, z)))
    return result.astype(z.dtype)


def softmax(z: Values, among: Mask | None = None) -> Values:
    """Return exp(z) divided by its sum over the classes in `among`; 0 for all others."""
    powers, _ = _powers(z, among)
    total = powers.sum(axis=-1, keepdims=True)
    if among is None:
        return np.asarray(powers / total)
    return np.asarray(np.where(among, powers / np.where(total == 0, 1, total), 0).astype(z.dtype))


def log_softmax(z: Values) -> Values:
    """Return the logarithm of softmax over the last axis."""
    powers, most = _powers(z, None)
    return np.asarray((z - most) - np.log(powers.sum(axis=-1, keepdims=True)))


def logsumexp(z: Values, among: Mask | None = None) -> Values:
    """Return the logarithm of the sum of exp(z) over the last axis of z (D, R, K), as (D, R, 1).

    The sum is over the classes that `among` marks (None: all); it is -infinity for a row without
    any.
    """
    powers, most = _powers(z, among)
    total = powers.sum(axis=-1, keepdims=True)
    logarithm = np.log(np.where(total == 0, 1, total))
    return np.asarray(np.where(total == 0, -np.inf, most + logarithm).astype(z.dtype))


def softmax_back(p: Values, e: Values) -> Values:
    """Return the gradient by z of a loss, given p = softmax(z) and the loss's gradient e by p."""
    return np.asarray(p * (e - (p * e).sum(axis=-1, keepdims=True)))


def _powers(z: Values, among: Mask | None) -> tuple[Values, Values]:
    """Return exp(z - m) and m, the largest logit of each row (D, R, 1) among the classes of
    `among`.

    For classes outside `among` the powers are 0.
    """
    if among is None:
        most = _largest(z, z.real)
        return np.exp(z - most), most
    most = _largest(z, np.where(among, z.real, -np.inf))
    powers = np.exp(np.where(among, z - most, 0))
    return np.where(among, powers, 0).astype(z.dtype), most


def _largest(z: Values, order: Values) -> Values:
    """Return the element of each row of z (D, R, 1) at which `order`, a real array in the shape of
    z, is largest.
    """
    return np.asarray(np.take_along_axis(z, order.argmax(axis=-1, keepdims=True), axis=-1))
