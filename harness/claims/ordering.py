"""Finds the order in which a subject takes its parameters, by changing one of them at a time.

Parameters get colours (whole numbers), and equal colours get equal values. Each parameter in turn
is changed, in the subject and in the network. Parameters that change the outputs in the same way
get the same new colour. If this gives no new colours, the smallest group of parameters with equal
colours (such as all hidden units) is numbered in its present order. In shapes, D counts problems, R
rows, O outputs and T parameters.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from harness.core.contract import Array, Bounded, Indices

CHANGE = 0.375
STEPS = 64  # numbers are multiples of 1 / STEPS
Order = Indices


class Asks(Protocol):
    """Gives the outputs (D, R, O) of a subject at own parameters, and of its network at theta.

    theta (D, T) are the network's parameters. `own` maps it to the subject's own parameters.
    """

    def own(self, theta: Array) -> Array | None: ...
    def subject(self, own: Array) -> Array | None: ...
    def network_at(self, theta: Array) -> Bounded: ...


def find_order(asks: Asks, sign: Array) -> Order | None:
    """Return an order of T parameters with which a subject may compute its network; None if there
    is none.

    The network's parameter i is then the subject's parameter order[i], times `sign[i]`. `asks`
    gives the outputs of both. The order explains how the outputs change with each parameter alone;
    this does not prove it for all numbers.
    """
    size = len(sign)
    mine, theirs = np.zeros(size, dtype=np.intp), np.zeros(size, dtype=np.intp)
    values = np.random.default_rng(1).permutation(np.arange(-STEPS, STEPS)) / STEPS
    while True:
        refined = _refine(asks, sign, values, mine, theirs)
        if refined is None:
            return None
        is_finer = len(np.unique(refined[1])) > len(np.unique(theirs))
        mine, theirs = refined
        colours, counts = np.unique(theirs, return_counts=True)
        if (counts == 1).all():
            order = np.empty(size, dtype=np.intp)
            order[np.argsort(theirs)] = np.argsort(mine)
            return order
        if not is_finer:
            chosen = colours[counts == counts[counts > 1].min()][0]
            fresh = theirs.max() + 1 + np.arange(counts[counts > 1].min())
            mine[mine == chosen] = fresh
            theirs[theirs == chosen] = fresh


def _refine(
    asks: Asks, sign: Array, values: Array, mine: Order, theirs: Order
) -> tuple[Order, Order] | None:
    """Return finer colours (T,) of the subject's and of the network's parameters; None if they
    cannot be matched.

    `mine` and `theirs` are their present colours, and `values` has the number that parameters of
    each colour get.
    """
    size = len(sign)
    own = asks.own(values[mine % len(values)] + CHANGE * np.eye(size))
    outputs = None if own is None else asks.subject(own)
    if outputs is None:
        return None
    bound = asks.network_at(sign * (values[theirs % len(values)] + CHANGE * np.eye(size)))
    outputs, exact, error = (a.reshape(size, -1) for a in (outputs, bound.value, bound.error))
    new_mine, new_theirs = np.full(size, -1), np.full(size, -1)
    colour = 0
    for first in range(size):
        if new_theirs[first] >= 0:
            continue
        near = (abs(exact - exact[first]) <= error + error[first]).all(axis=1)
        new_theirs[near & (theirs == theirs[first]) & (new_theirs < 0)] = colour
        near = (abs(outputs - exact[first]) <= 2 * error[first]).all(axis=1)
        new_mine[near & (mine == theirs[first]) & (new_mine < 0)] = colour
        if (new_mine == colour).sum() != (new_theirs == colour).sum():
            return None
        colour += 1
    return new_mine, new_theirs
