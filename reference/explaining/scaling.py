"""Searches for another scaling of inputs and outputs that explains observed outputs."""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from harness.arithmetic.plain import Plain
from harness.core.contract import Array, Contract
from harness.core.problem import Problem
from harness.waiting.progress import Say
from reference.mathematics.equations import equations_of, outputs
from reference.mathematics.tape import Tape

DETERMINED = 1e-6  # least ratio of singular values for which scalings can be told apart
# Evaluations of a fit of scalings, for each number and one more. Fits that end well take 3 to 10
# where data were standardised, pixels divided or one factor was wrong, and 14 (the median) where
# factors lie between 1e-3 and 1e3.
PATIENCE = 50
MOST_SLOPES = 10_000_000  # of a fit of scalings: 80 MB
NOISE = 1e-6  # of the largest change of a column
ROUNDINGS = 64  # of an output, that an explanation may leave in a stack
COMPLETELY = 1e-5  # an explanation that leaves less of a difference explains it completely
UNEXPLAINED = 1e-3  # most of an observed difference that an explanation may leave


class Column(NamedTuple):
    """A column x of inputs or outputs that is used as scale x + shift."""

    name: str
    scale: float
    shift: float

    @property
    def change(self) -> float:
        """The change of the column by its scale or by its shift, whichever is larger."""
        return max(abs(self.scale - 1), abs(self.shift))


def describe_scaling(
    problems: Sequence[Problem],
    observed: Sequence[Mapping[str, Array]],
    weights: Sequence[Array],
    roundoff: float,
    say: Say,
) -> str:
    """Return, in words, scales and shifts of the columns of inputs and outputs that explain all
    observed outputs; "" if there are none.

    They are fitted to the outputs of one stack of problems by least squares (Levenberg-Marquardt),
    from scales of 1 and shifts of 0. Each draw has a weight: `weights` has an array (D, 1, 1) for
    each stack of D draws. A fit fails after PATIENCE evaluations for each fitted number; `say` gets
    the number of evaluations. They explain the outputs if they leave little of the difference in
    every stack, or no more than ROUNDINGS roundings, each of the relative size `roundoff`.
    """
    scaled = _Scaled(problems, observed, weights)
    none, everywhere = np.repeat([1.0, 0.0], len(scaled.names)), range(len(problems))
    apart = scaled.differences(none, everywhere)
    kinds = [problem.kind for problem in problems]
    one = kinds.index("random") if "random" in kinds else 0
    numbers = observed[one]["forward"].size
    if not np.isfinite(apart).all() or numbers < 10 * len(none):
        return ""
    if numbers * len(none) > MOST_SLOPES:
        return ""
    fit = _fit(lambda numbers: scaled.differences(numbers, [one]), none, say)
    if fit is None:
        return ""
    fit = _drop_noise(fit, none)
    if not all(_explains(scaled, fit, stack, roundoff) for stack in everywhere):
        return ""
    left = float(np.linalg.norm(scaled.differences(fit, everywhere)) / np.linalg.norm(apart))
    if not left < UNEXPLAINED:
        return ""
    return _in_words(map(Column, scaled.names, *fit.reshape(2, -1)), left)


def _drop_noise(fit: Array, none: Array) -> Array:
    """Return a copy of the fitted numbers `fit` in which negligible changes from `none` (scales of
    1, shifts of 0) are undone.

    A change is negligible beside the largest one. It comes from rounding of the observed outputs,
    and would matter where outputs are small.
    """
    changes = fit - none
    return np.where(abs(changes) > NOISE * abs(changes).max(), fit, none)


class _Scaled:
    """The equations with scaled and shifted columns, and the observed outputs to compare them with.

    Its methods take `numbers` (2 n,): the scales of all n columns, inputs first, and then their
    shifts.
    """

    def __init__(
        self,
        problems: Sequence[Problem],
        observed: Sequence[Mapping[str, Array]],
        weights: Sequence[Array],
    ) -> None:
        self.problems, self.observed, self.weights = problems, observed, weights
        self.network = equations_of(problems[0].network)
        self.inputs = sum(self.network.inputs)
        self.names = [f"column {i} of the inputs" for i in range(self.inputs)]
        self.names += [f"column {i} of the outputs" for i in range(sum(self.network.outputs))]

    def differences(self, numbers: Array, stacks: Iterable[int]) -> Array:
        """Return computed minus observed outputs of some stacks, weighted, in one vector."""
        scale, shift = numbers.reshape(2, -1)
        found = []
        for stack in stacks:
            problem = self.problems[stack]
            tape = Tape(Plain(Contract()), problem.draws, problem.rows)
            read = problem.inputs * scale[: self.inputs] + shift[: self.inputs]
            given = outputs(tape, self.network, problem.theta, read)[2].value
            scaled = given * scale[self.inputs :] + shift[self.inputs :]
            difference = scaled - self.observed[stack]["forward"]
            found.append((self.weights[stack] * difference).ravel())
        return np.concatenate(found)


def _explains(scaled: _Scaled, numbers: Array, stack: int, roundoff: float) -> bool:
    """Do the scales and shifts `numbers` explain the observed outputs of the stack of problems with
    this number, up to a small share of the difference or up to rounding?
    """
    none = np.repeat([1.0, 0.0], len(scaled.names))
    left = np.linalg.norm(scaled.differences(numbers, [stack]))
    apart = np.linalg.norm(scaled.differences(none, [stack]))
    size = np.linalg.norm(scaled.weights[stack] * scaled.observed[stack]["forward"])
    return bool(left <= UNEXPLAINED * apart + ROUNDINGS * roundoff * size)


class _NoFit(Exception):
    """Raised if a fit has taken more evaluations than a successful fit needs."""


def _fit(differences: Callable[[Array], Array], start: Array, say: Say) -> Array | None:
    """Return the numbers that minimise the sum of squares of `differences`, a function of them;
    `start` are the first ones.

    Return None if the fit does not end, or if other numbers fit as well.
    """
    from scipy import optimize  # it takes a third of a second to import

    most, tried = PATIENCE * (1 + len(start)), itertools.count(1)

    def counted(numbers: Array) -> Array:
        number = next(tried)
        if number > most:
            raise _NoFit
        say(f"looking for another scaling of inputs and outputs, evaluation {number:,} of {most:,}")
        return differences(numbers)

    try:
        fit = optimize.least_squares(counted, start, method="lm")
    except _NoFit:
        return None
    sizes = np.linalg.svd(fit.jac, compute_uv=False)
    if sizes[-1] < DETERMINED * sizes[0]:
        return None
    return np.asarray(fit.x, dtype=np.float64)


def _describe(column: Column, digits: int, largest: float) -> str:
    """Return in words how a column is used, with this many digits.

    `largest` is the largest change of a column. A scale that is 0 in these digits means that the
    column is left out, or replaced by a constant.
    """
    has_shift = abs(column.shift) > largest / 1e4
    if abs(column.scale) < 10.0**-digits:
        if not has_shift and column.name.endswith("inputs"):
            return f"{column.name} is left out"
        return f"{column.name} is {column.shift if has_shift else 0:.3g} throughout"
    text = f"{column.name} enters as {column.scale:.{digits}g} x"
    if has_shift:
        text += f" {'+' if column.shift > 0 else '-'} {abs(column.shift):.3g}"
    return text


def describe_left(left: float) -> str:
    """Return in words how much of a difference a mistake explains; `left` is the share that remains
    unexplained.
    """
    if left < COMPLETELY:
        return "explains the difference completely"
    if left < UNEXPLAINED:
        return f"explains {100 * (1 - left):.5g} % of the difference"
    return "explains the difference but for rounding"


def _in_words(columns: Iterable[Column], left: float) -> str:
    """Return a sentence that names the three columns with the largest changes.

    `left` is the share of the difference that remains unexplained.
    """
    ordered = sorted(columns, key=lambda column: -column.change)
    largest = ordered[0].change
    digits = 5 if largest > 1e-4 else 12
    changed = []
    for column in ordered:
        if column.change <= largest / 1e4:
            continue
        changed.append(_describe(column, digits, largest))
    more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
    return f"another scaling: {'; '.join(changed[:3])}{more} ({describe_left(left)})"
