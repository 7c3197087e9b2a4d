"""Finds, among many columns of numbers, the columns within given bounds.

The N columns, of K entries each, are the leaves of a binary tree. Each node is divided at the
median of one of the entries (Bentley, "Multidimensional binary search trees used for associative
searching", Communications of the ACM 18 (1975)). Each node stores, for every entry, the interval of
its columns, so that most nodes are accepted or rejected as a whole. To look up U columns among N
takes about U log N comparisons of two entries, and U comparisons of columns.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from harness.core.contract import Array, Indices, Mask

SAMPLE = 16  # columns of a node by which the entry is chosen that divides it
AT_ONCE = 2**18  # numbers that are compared at once

Places = Indices


class Nearby(NamedTuple):
    """The result of looking up U columns of K entries in a tree: for each of them, the range of the
    tree's columns within its bound.

    `found` (U,) says whether there are any; `least` and `most` (U, K) are the smallest and the
    largest numbers of each entry, infinity and -infinity if there are none.
    """

    found: Mask
    least: Array
    most: Array

    def extend(self, places: Places, low: Array, high: Array) -> None:
        """Widen ranges so that they contain the intervals from `low` to `high` (n, K).

        `places` (n,), in ascending order, are the numbers of the looked-up columns whose ranges are
        widened.
        """
        if not places.size:
            return
        starts = np.flatnonzero(np.diff(places, prepend=-1))
        at = places[starts]
        self.found[at] = True
        self.least[at] = np.minimum(self.least[at], np.minimum.reduceat(low, starts))
        self.most[at] = np.maximum(self.most[at], np.maximum.reduceat(high, starts))


class ColumnTree:
    """A tree of N columns of K entries (K, N). A column with NaN is left out, as it is within no
    bound.
    """

    def __init__(self, columns: Array) -> None:
        rows = _distinct(columns[:, ~np.isnan(columns).any(axis=0)].T)
        self.count = len(rows)
        if not self.count:
            return
        self.leaves = 1
        while self.leaves < self.count:
            self.leaves *= 2
        # node 1 is the root, 2 n and 2 n + 1 are the children of n; leaves that are left over hold
        # the last column again
        order = np.minimum(np.arange(self.leaves), self.count - 1)
        self._enclose(rows[self._divide(rows, order)])

    def _divide(self, rows: Array, order: Places) -> Places:
        """Divide rows (N, K) among the leaves; return for each leaf the number of its row.

        `order` has the numbers of the rows at first, one for each leaf. Also store, for each node,
        the numbers of the entries that are compared first. These are the entry by which its parent
        was divided, the entry by which it is divided itself, and a sample.
        """
        width = rows.shape[1]
        some = np.linspace(0, width, min(width, SAMPLE), endpoint=False, dtype=int)
        self.entries = np.zeros((2 * self.leaves, 2 + len(some)), dtype=np.intp)
        self.entries[:, 2:] = some
        nodes = 1
        while nodes < self.leaves:
            order = order.reshape(nodes, -1)
            entry = _choose(rows, order)
            self.entries[nodes : 2 * nodes, 1] = entry
            self.entries[2 * nodes : 4 * nodes, :2] = entry.repeat(2)[:, None]
            keys = rows[order, entry[:, None]]
            order = np.take_along_axis(order, keys.argsort(axis=1), axis=1)
            nodes *= 2
        return order.ravel()

    def _enclose(self, leaves: Array) -> None:
        """Store for each node the interval of each entry over its columns.

        `leaves` (leaves, K) has the column of each leaf as a row.
        """
        nodes = self.leaves
        self.low = np.empty((2 * nodes, leaves.shape[1]))
        self.high = np.empty_like(self.low)
        self.low[nodes:] = self.high[nodes:] = leaves
        while nodes > 1:
            left, right = slice(nodes, 2 * nodes, 2), slice(nodes + 1, 2 * nodes, 2)
            nodes //= 2
            np.minimum(self.low[left], self.low[right], out=self.low[nodes : 2 * nodes])
            np.maximum(self.high[left], self.high[right], out=self.high[nodes : 2 * nodes])

    def within(self, value: Array, error: Array) -> Nearby:
        """Look up U columns `value` (U, K), each entry with a bound in `error` (U, K).

        Return for each of them the range of the tree's columns c with abs(c - value) <= error in
        every entry.
        """
        found = Nearby(
            np.zeros(len(value), dtype=bool),
            np.full(value.shape, np.inf),
            np.full(value.shape, -np.inf),
        )
        if not self.count:
            return found
        numbers = np.flatnonzero(~(np.isnan(value) | np.isnan(error)).any(axis=1))
        pending = [(numbers, np.ones_like(numbers))]
        while pending:
            asked, nodes = pending.pop()
            if asked.size > 1 and asked.size * value.shape[1] > AT_ONCE:
                half = asked.size // 2
                pending += [(asked[:half], nodes[:half]), (asked[half:], nodes[half:])]
            elif asked.size:
                asked, nodes = self._compare(asked, nodes, value, error, found)
                pending.append((asked.repeat(2), np.stack([2 * nodes, 2 * nodes + 1], 1).ravel()))
        return found

    def _compare(
        self, asked: Places, nodes: Places, value: Array, error: Array, found: Nearby
    ) -> tuple[Places, Places]:
        """Compare looked-up columns with nodes of one level of the tree, pair by pair.

        `asked` (n,) has the row of value and error of each pair, `nodes` (n,) the number of its
        node. If all columns of the node are within the bound, they widen the range in `found`.
        Return the rows and the nodes of the undecided pairs: some columns of the node may be within
        the bound, others not.
        """
        entries = self.entries[nodes]
        at, of = (asked[:, None], entries), (nodes[:, None], entries)
        inside, outside = _compare(self.low[of], self.high[of], value[at], error[at])
        asked, nodes, inside = asked[~outside], nodes[~outside], inside[~outside]
        whole, its = asked[inside], nodes[inside]
        low, high = self.low[its], self.high[its]
        taken, outside = _compare(low, high, value[whole], error[whole])
        found.extend(whole[taken], low[taken], high[taken])
        if not nodes.size or nodes[0] >= self.leaves:
            return asked[:0], nodes[:0]
        rest = ~inside
        rest[inside] = ~(taken | outside)
        return asked[rest], nodes[rest]


def _compare(low: Array, high: Array, value: Array, error: Array) -> tuple[Mask, Mask]:
    """Return two masks (n,) over rows of intervals from `low` to `high` (n, k).

    The first marks the rows in which every number of every interval is within `error` of `value`.
    The second marks the rows in which no number is, for at least one interval. Rounding keeps the
    order of differences, so it is enough to test low and high.
    """
    from_low, from_high = low - value, high - value
    inside = (from_low >= -error) & (from_high <= error)
    outside = (from_high < -error) | (from_low > error)
    return np.all(inside, axis=1), np.any(outside, axis=1)


def _distinct(rows: Array) -> Array:
    """Return the rows without duplicates; -0 counts as 0."""
    distinct = dict.fromkeys(row.tobytes() for row in rows + 0.0)
    return np.frombuffer(b"".join(distinct)).reshape(len(distinct), rows.shape[1])


def _choose(rows: Array, groups: Places) -> Places:
    """Return, for each group (n, size) of row numbers, the entry in which a sample of its rows
    varies most.
    """
    sample = groups[:, :: max(1, groups.shape[1] // SAMPLE)]
    entries: Places = np.ptp(rows[sample], axis=1).argmax(axis=1)
    return entries
