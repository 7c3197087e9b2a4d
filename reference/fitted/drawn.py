"""Rows that are drawn where a user's data do not reach: in their range, and somewhat beyond."""

from __future__ import annotations

import numpy as np

from harness.core.contract import Array
from reference.rds.fit import FittedNet
from reference.rds.rows import Column, Rows

COUNT, WIDE = 64, 16  # rows in all, and of these the ones that go further beyond the range
BEYOND, FAR = 0.25, 2.0  # of a column's range, on either side
PLAIN_SUM = 4.0  # the largest size of a drawn unit's sum of weighted inputs


def draw_rows(fit: FittedNet, rows: Rows | None, seed: int = 0) -> Rows:
    """Return COUNT rows of the raw columns of a fit, drawn in the range of the given rows.

    A column of numbers is drawn uniformly from its range, and a quarter of that beyond on either
    side; in WIDE rows from three times the range and more. A column of positive numbers stays
    positive, since a formula may take its logarithm. A column of texts keeps to its levels. Without
    rows, numbers are so small that most units stay within nnet's clip.
    """
    rng = np.random.default_rng(seed)
    if rows is None:
        return _draw_small(fit, rng)
    columns: dict[str, Column] = {}
    for name, column in rows.columns.items():
        if isinstance(column, tuple):
            levels = sorted({text for text in column if text is not None})
            columns[name] = tuple(str(text) for text in rng.choice(levels, COUNT))
        else:
            if not np.isfinite(column).any():
                raise ValueError(f"column {name} holds no number, expected some")
            columns[name] = _draw_in_range(column, rng)
    return Rows(columns)


def _draw_in_range(column: Array, rng: np.random.Generator) -> Array:
    known = column[np.isfinite(column)]
    low, high = float(known.min()), float(known.max())
    width = high - low or abs(low) or 1.0
    beyond = np.full(COUNT, BEYOND)
    beyond[COUNT - WIDE :] = FAR
    least, most = low - beyond * width, high + beyond * width
    if low > 0:
        least = np.maximum(least, low / 2)
    return rng.uniform(least, most)


def _draw_small(fit: FittedNet, rng: np.random.Generator) -> Rows:
    names = fit.columns if fit.terms is None else fit.terms.variables
    levels = {} if fit.terms is None else fit.terms.levels
    sizes = dict(zip(fit.columns, _small_sizes(fit), strict=True))
    columns: dict[str, Column] = {}
    for name in names:
        if name in levels:
            columns[name] = tuple(str(text) for text in rng.choice(levels[name], COUNT))
        elif name in sizes:
            columns[name] = rng.uniform(-sizes[name], sizes[name], COUNT)
        else:  # of a function, which may be a logarithm
            columns[name] = rng.uniform(0.5, 2.0, COUNT)
    return Rows(columns)


def _small_sizes(fit: FittedNet) -> Array:
    """Return for each input (I,) a size at which no unit's sum leaves PLAIN_SUM, biases apart."""
    net, start = fit.topology, 0
    largest = np.zeros(net.inputs)
    for sources in net.connections:
        for source, weight in zip(sources, fit.wts[start : start + len(sources)], strict=True):
            if 1 <= source <= net.inputs:
                largest[source - 1] = max(largest[source - 1], abs(weight))
        start += len(sources)
    return PLAIN_SUM / net.inputs / np.where(largest > 0, largest, 1.0)
