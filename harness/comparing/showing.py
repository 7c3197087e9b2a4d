"""Chooses the element that a failure shows: an element whose difference is large relative to its
tensor.
"""

import numpy as np

from harness.core.contract import Array, Indices

LARGE = 0.1  # of the size of its tensor: no larger difference shows more


def find_telling(
    differences: Array, shares: Array, factors: Array, exact: Array, owner: Indices
) -> tuple[float, tuple[int, ...]]:
    """Return the element that shows a failure best, as its rank (up to 3) and its index.

    `differences`, `shares` (differences as shares of the allowed ones), `factors` and the right
    answers `exact` are (D, ...) for D problems. `owner` has the shape of one problem, and the
    number of each element's tensor. Only elements outside their bounds count. An answer that is not
    finite ranks highest, an element that must be equal lowest. Among the others the best element
    has a difference that is large relative to its tensor in its problem, in a tensor with numbers
    near 1. Of elements with equal ranks the one with the largest factor is taken.
    """
    sizes = np.where(np.isfinite(exact), abs(exact), 0.0)
    for tensor in np.unique(owner):
        chosen = owner == tensor
        sizes[:, chosen] = sizes[:, chosen].reshape(len(sizes), -1).max(axis=1)[:, None]
    finite, must_be_equal = np.isfinite(differences), ~np.isfinite(shares)
    scales = np.maximum(sizes, np.where(finite, differences, 0.0))
    scales = np.where(scales > 0, scales, 1.0)
    relative = np.where(finite, differences, scales) / scales
    telling = np.minimum(relative, LARGE) / (1 + abs(np.log10(scales)))
    telling = np.where(finite & must_be_equal, telling, 1 + telling)
    telling = np.where(finite, telling, 3.0)
    telling = np.where(shares > 1, telling, -1.0)
    best = np.where(telling == telling.max(), factors, -1.0)
    index = tuple(int(i) for i in np.unravel_index(int(best.argmax()), best.shape))
    return float(telling[index]), index


def rank_elements(shares: Array, answers: Array) -> Array:
    """Return a rank for each element; the worst element has the largest.

    `shares` are the differences as shares of the allowed ones. An answer that is not finite is the
    worst. Other elements rank by their share. An element that must be equal, and is not, has an
    infinite share; it ranks just above 1.
    """
    if shares.max() < np.inf:
        return shares
    return np.where(
        shares < np.inf, shares, np.where(np.isfinite(answers), np.nextafter(1.0, 2.0), np.inf)
    )
