"""Draws random rows for a fitted object, in the range of a user's data and somewhat beyond it."""

from __future__ import annotations

import numpy as np

from harness.core.contract import Array
from reference.rds.fit import FittedNet
from reference.rds.rows import Column, Rows

COUNT, WIDE = 64, 16  # rows in all, and of these the ones that go further beyond the range
BEYOND, FAR = 0.25, 2.0  # of a column's range, on either side
MOST_CODES = 12  # different whole numbers of a column that may hold codes
FARTHEST = 1000.0  # sizes from the common centre, to see a unit of small weights
PLAIN_SUM = 4.0  # the largest size of a drawn unit's sum of weighted inputs


def draw_rows(fit: FittedNet, rows: Rows | None, seed: int = 0) -> Rows:
    """Return COUNT rows of the raw columns of a fit, drawn in the range of the given rows.

    A column of numbers is drawn uniformly from its range, and a quarter of that beyond on either
    side; in WIDE rows from three times the range and more. A column of positive numbers stays
    positive, since a formula may use its logarithm. A column of texts keeps to the levels of the
    fit, and a column of few integers to these. Without given rows, numbers are so small that most
    units stay within nnet's clip.
    """
    rng = np.random.default_rng(seed)
    if rows is None:
        return _draw_small(fit, rng)
    columns: dict[str, Column] = {}
    known = fit.levels
    for name, column in rows.columns.items():
        if isinstance(column, tuple):
            levels = known.get(name, tuple({text for text in column if text is not None}))
            columns[name] = tuple(str(text) for text in rng.choice(sorted(levels), COUNT))
        elif name in known:
            columns[name] = rng.choice([float(level) for level in known[name]], COUNT)
        elif is_coded(column):
            columns[name] = rng.choice(np.unique(column[np.isfinite(column)]), COUNT)
        else:
            if not np.isfinite(column).any():
                raise ValueError(f"column {name} holds no number, expected some")
            columns[name] = _draw_in_range(column, rng)
    return Rows(columns)


def is_coded(column: Array) -> bool:
    """Does a column hold only few different integers, so that they may be codes?"""
    values = np.unique(column[np.isfinite(column)])
    return 1 < len(values) <= MOST_CODES and bool((values == np.rint(values)).all())


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
    levels = fit.levels
    places = {name: place for place, name in enumerate(fit.columns)}
    plain = np.array([name in names and name not in levels for name in fit.columns])
    sizes = _small_sizes(fit)
    centres = _find_centres(fit, sizes * plain)
    columns: dict[str, Column] = {}
    for name in names:
        if name in levels:
            columns[name] = tuple(str(text) for text in rng.choice(levels[name], COUNT))
        elif name in places:
            size = sizes[places[name]]
            columns[name] = centres[:, places[name]] + rng.uniform(-size, size, COUNT)
        else:  # of a function, which may be a logarithm
            columns[name] = rng.uniform(0.5, 2.0, COUNT)
    return Rows(columns)


def _read_units(fit: FittedNet) -> tuple[Array, Array]:
    """Return the bias (U,) of each of the U hidden units and outputs, and the weights (U, I) of
    their inputs.

    I counts inputs.
    """
    net, start = fit.topology, 0
    biases = np.zeros(len(net.connections))
    weights = np.zeros((len(net.connections), net.inputs))
    for unit, sources in enumerate(net.connections):
        for source, weight in zip(sources, fit.wts[start : start + len(sources)], strict=True):
            if source == 0:
                biases[unit] += weight
            elif source <= net.inputs:
                weights[unit, source - 1] += weight
        start += len(sources)
    return biases, weights


def _small_sizes(fit: FittedNet) -> Array:
    """Return for each input (I,) a size so small that no unit's sum of weighted inputs, without the
    bias, exceeds PLAIN_SUM.
    """
    _, weights = _read_units(fit)
    largest = abs(weights).max(axis=0)
    return PLAIN_SUM / fit.topology.inputs / np.where(largest > 0, largest, 1.0)


def _find_centres(fit: FittedNet, sizes: Array) -> Array:
    """Return for each row a point (COUNT, I) around which it is drawn.

    At each point another hidden unit has the argument 0, so that each is tested within nnet's clip,
    and the others have small arguments as far as possible. After all units comes a row around 0. An
    input of size 0 stays 0.
    """
    hidden = fit.topology.hidden
    biases, weights = (part[:hidden] for part in _read_units(fit))
    centres = np.zeros((COUNT, len(sizes)))
    if not hidden:
        return centres
    steps = weights * sizes  # of each unit's argument, for a step of one size
    common, *_ = np.linalg.lstsq(steps, -biases, rcond=0.01)
    for row in range(COUNT):
        unit = row % (hidden + 1)
        if unit == hidden:
            continue
        remainder = float(biases[unit] + steps[unit] @ common)
        most = float(steps[unit] @ steps[unit])
        point = common - steps[unit] * (remainder / most if most > 0 else 0.0)
        near = abs(point - common).max() <= FARTHEST
        centres[row] = sizes * (point if near else common)
    return centres
