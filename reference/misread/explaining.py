"""Finds the misreading (the mistake in reading a fitted object) that explains a port's predictions.
A port is a PyTorch model of a network fitted in R.

In shapes, R counts rows, I inputs, O outputs and T weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.core.contract import Array, Contract
from harness.shipped.truth import R_CONTRACT, Table, Truth
from harness.waiting.progress import Say
from reference.explaining.scaling import describe_left
from reference.implementations.numpy_net import NumpyNet
from reference.mathematics.network import Derived
from reference.misread.outputs import describe_order, find_order, list_outputs
from reference.misread.weights import list_readings
from reference.rds.fit import FittedNet

UNEXPLAINED = 1e-3  # the share of the difference that a misreading may leave
CONSTANT = 1e-6  # a smaller factor of R's predictions says that a port's do not depend on them
RESPONSES = {"exp()": np.exp, "log()": np.log, "the square": np.square, "the root": np.sqrt}
ALIKE = 1e-6  # relative: numbers that a hint takes for one; no verdict depends on it
COMMON = 0.1  # share of weights that two fits may have in common by chance
NUMPY = NumpyNet(logistic_clip=R_CONTRACT.logistic_clip)


@dataclass(frozen=True, eq=False)
class Explanation:
    """Explains wrong predictions of a port (a PyTorch model) of one fitted object.

    `fit` is the object. `is_encoded` says that a function of the user makes the port's columns.
    """

    fit: FittedNet
    is_encoded: bool

    def __call__(self, truth: Truth, outputs: Sequence[Array], held: Array | None, say: Say) -> str:
        """Return in words the mistake in reading the fitted object that explains the predictions
        `outputs`, one array (R, O) for each table; "" if there is none.

        `held` (T,) are the port's weights, None if it is unclear which is which. R counts rows and
        O outputs.
        """
        known = [table.inputs is not None for table in truth.tables]
        search = _Search(truth, truth.tables, outputs)
        if not search.difference > 0 or not all(known):
            by_outputs = search.describe_other_order() or search.describe_other_classes(self.fit)
            by_outputs = by_outputs or search.describe_other_scale()
            return self._explain_held(truth, held) or by_outputs
        if by_classes := search.describe_other_classes(self.fit):
            return by_classes
        for number, (words, solve) in enumerate(self._list_causes(truth)):
            say(f"looking for a likely misreading, number {number + 1}")
            if (share := search.find_remaining_share(solve)) < UNEXPLAINED:
                return f"{words} ({describe_left(share)})"
        by_outputs = search.describe_other_order() or search.describe_other_response()
        by_weights = search.describe_other_scale() or self._explain_held(truth, held)
        return by_outputs or by_weights or search.find_fault(say)

    def _list_causes(self, truth: Truth) -> Iterator[tuple[str, Callable[[Table], Array]]]:
        """Yield possible causes, each as (words, a function that returns for a table the
        predictions (R, O) that the cause gives).

        R counts rows and O outputs.
        """
        fit = self.fit
        yield from list_outputs(fit, truth)
        for reading in list_readings(fit.topology, fit.wts, fit.columns):
            if not np.array_equal(reading.wts, truth.theta):
                yield reading.words, _with_weights(truth, reading.wts)
        rows = len(fit.fitted)
        if rows > 1:
            words = (
                f"the inputs are divided by a standard deviation that divides by n = {rows}; R's sd"
                " and scale() divide by n - 1"
            )
            yield (
                words,
                _with_inputs(truth, lambda table: table.inputs * np.sqrt(rows / (rows - 1))),
            )
        raw, inputs = truth.tables[0].given[0], np.asarray(truth.tables[0].inputs)
        if raw.shape != inputs.shape:
            return
        if not np.array_equal(raw, inputs):
            words = "the inputs are not scaled"
            if self.is_encoded:
                words = self._compare_columns(truth.tables[0])
            yield from _with_and_without_clip(words, truth, lambda table: table.given[0])
            yield "the inputs are scaled twice", _with_inputs(truth, _scale_again)
            words = (
                "the numbers by which the inputs are scaled are float32, as torch.tensor([...]) of"
                " Python's numbers is: give dtype=torch.float64"
            )
            yield from _with_and_without_clip(words, truth, _scale_by_float32)
        words = "the inputs go through float32, which keeps 7 digits: leave them float64"
        yield from _with_and_without_clip(words, truth, _scale_float32)

    def _compare_columns(self, table: Table) -> str:
        """Return a sentence on the first column in which `encode` differs from R."""
        inputs, rows = np.asarray(table.inputs), len(self.fit.fitted)
        over_n = np.sqrt(rows / (rows - 1)) if rows > 1 else 1.0
        apart = abs(table.given[0] - inputs)
        seen = apart > ALIKE * abs(inputs).max(axis=0)  # not the rounding of a mean
        row, column = (int(place) for place in np.argwhere(seen if seen.any() else apart > 0)[0])
        digits = 5 if seen.any() else 17
        return (
            f"encode makes other columns than R's model.matrix: {self.fit.columns[column]} of row"
            f" {table.places[row]} is {table.given[0][row, column]:.{digits}g}, R's is"
            f" {inputs[row, column]:.{digits}g}{self._describe_column(table, column, over_n)}"
        )

    def _describe_column(self, table: Table, column: int, over_n: float) -> str:
        """Return in words the mistake in the column with this number, in which `encode` differs
        from R; "" if it is unknown.

        `over_n` is the factor between columns that were divided by a standard deviation with n, and
        with n - 1, in its denominator.
        """
        mine, theirs = table.given[0][:, column], np.asarray(table.inputs)[:, column]
        if (abs(mine - over_n * theirs) <= ALIKE * abs(mine)).all():
            return " (divided by a standard deviation that divides by n, not by n - 1)"
        if np.array_equal(mine, _round(mine)) and not np.array_equal(theirs, _round(theirs)):
            return " (it went through float32, which keeps 7 digits)"
        names = np.array(self.fit.columns)
        same = [np.array_equal(mine, other) for other in np.asarray(table.inputs).T]
        if any(same):
            return f" (it is R's {names[same][0]})"
        for name, levels in self.fit.levels.items():
            own = np.isin(names, [name + level for level in levels[1:]])
            if own.any() and np.array_equal(mine, 1 - np.asarray(table.inputs)[:, own].sum(axis=1)):
                return f" (it is 1 where {name} is {levels[0]}, R's reference level)"
        return ""

    def _explain_held(self, truth: Truth, held: Array | None) -> str:
        """Return in words the mistake in reading the fitted object that explains the weights `held`
        (T,) of a port; "" if there is none.
        """
        if held is None:
            return ""
        difference = np.linalg.norm(held - truth.theta)
        for reading in list_readings(self.fit.topology, self.fit.wts, self.fit.columns):
            if np.array_equal(reading.wts, truth.theta):
                continue  # this reading changes nothing
            in_float32 = reading.wts.astype(np.float32)  # torch.tensor([...]) rounds to float32
            for wts in (reading.wts, in_float32):
                if np.linalg.norm(held - wts) < UNEXPLAINED * difference:
                    return reading.words
        near = abs(held[:, None] - self.fit.wts[None]) <= ALIKE * abs(self.fit.wts[None])
        common = int(near.any(axis=1).sum())
        if common > COMMON * len(held):
            return ""
        none = "none" if common == 0 else f"only {common}"
        return (
            f"{none} of its {len(held)} weights is a number of fit$wts: they are another fit's, or"
            " drawn at random"
        )


def _with_weights(truth: Truth, wts: Array) -> Callable[[Table], Array]:
    def solve(table: Table) -> Array:
        problem = replace(truth.exact_problem(table), own=wts[None])
        return np.asarray(NUMPY.observe(problem).values["forward"][0])

    return solve


def _with_and_without_clip(
    words: str, truth: Truth, change: Callable[[Table], Array]
) -> Iterator[tuple[str, Callable[[Table], Array]]]:
    """Yield a cause of differences so small that nnet's clip matters, for ports with and without
    it.
    """
    yield words, _with_inputs(truth, change)
    yield words, _with_inputs(truth, change, NumpyNet())


def _with_inputs(
    truth: Truth, change: Callable[[Table], Array], net: NumpyNet = NUMPY
) -> Callable[[Table], Array]:
    def solve(table: Table) -> Array:
        problem = replace(truth.exact_problem(table), inputs=change(table)[None])
        return np.asarray(net.observe(problem).values["forward"][0])

    return solve


def _find_scaling(table: Table) -> tuple[Array, Array]:
    """Return the centre and the spread (I,) by which the inputs of a table follow from its raw
    columns.
    """
    raw, inputs = table.given[0], np.asarray(table.inputs)
    if np.array_equal(raw, inputs):
        return np.zeros(raw.shape[1]), np.ones(raw.shape[1])
    from_centre = raw - raw.mean(axis=0)
    with np.errstate(all="ignore"):
        spread = (from_centre**2).sum(axis=0) / (from_centre * inputs).sum(axis=0)
    varies = np.isfinite(spread)
    centre = np.where(varies, raw.mean(axis=0) - spread * inputs.mean(axis=0), 0.0)
    return centre, np.where(varies, spread, 1.0)


def _scale_again(table: Table) -> Array:
    centre, spread = _find_scaling(table)
    return np.asarray((np.asarray(table.inputs) - centre) / spread)


def _scale_by_float32(table: Table) -> Array:
    centre, spread = (_round(each) for each in _find_scaling(table))
    return np.asarray((table.given[0] - centre) / spread)


def _scale_float32(table: Table) -> Array:
    centre, spread = _find_scaling(table)
    return np.asarray((_round(table.given[0]) - centre) / spread)


def _round(numbers: Array) -> Array:
    return numbers.astype(np.float32).astype(np.float64)


class _Search:
    """The predictions of a port (a PyTorch model) and of R, and their differences."""

    def __init__(self, truth: Truth, tables: Sequence[Table], outputs: Sequence[Array]) -> None:
        self.truth, self.tables, self.outputs = truth, tables, outputs
        self.right = [table.predictions for table in tables]
        self.difference = _size(outputs, self.right)

    def find_remaining_share(self, solve: Callable[[Table], Array]) -> float:
        """Return the share of the difference from the predictions of the port (a PyTorch model)
        that remains if R's predictions are replaced by those of `solve`.
        """
        with np.errstate(all="ignore"):
            wrong = [solve(table) for table in self.tables]
            share = _size(self.outputs, wrong) / self.difference
        return share if np.isfinite(share) else np.inf

    def describe_other_order(self) -> str:
        """Return a sentence if the predictions are R's in another order of rows, else ""."""
        for mine, theirs in zip(self.outputs, self.right, strict=True):
            difference = np.linalg.norm(np.sort(mine, axis=0) - np.sort(theirs, axis=0))
            if not difference < UNEXPLAINED * np.linalg.norm(mine - theirs):
                return ""
        return "the predictions are R's in another order of rows"

    def describe_other_classes(self, fit: FittedNet) -> str:
        """Return a sentence if the outputs are R's in another order of classes, else ""."""
        mine, theirs = np.concatenate(self.outputs), np.concatenate(self.right)
        order_and_share = find_order(mine, theirs, UNEXPLAINED) if fit.error != "squares" else None
        if order_and_share is None:
            return ""
        order, share = order_and_share
        return f"{describe_order(fit, order.tolist())} ({describe_left(share)})"

    def describe_other_response(self) -> str:
        """Return a sentence if the predictions are a function of R's predictions (such as their
        logarithm), else "".
        """
        with np.errstate(all="ignore"):
            for name, function in RESPONSES.items():
                difference = _size(self.outputs, [function(right) for right in self.right])
                if difference < UNEXPLAINED * self.difference:
                    return f"the port gives {name} of what R predicts"
        return ""

    def describe_other_scale(self) -> str:
        """Return a sentence if the predictions are R's on another scale, else ""."""
        mine, theirs = np.concatenate(self.outputs), np.concatenate(self.right)
        sentences, worst = [], 0.0
        for output, name in enumerate(self.truth.responses):
            pair = np.stack([theirs[:, output], np.ones(len(theirs))], axis=1)
            factor, shift = np.linalg.lstsq(pair, mine[:, output], rcond=None)[0]
            if abs(factor) < CONSTANT:
                return ""
            worst = np.hypot(worst, np.linalg.norm(mine[:, output] - factor * pair[:, 0] - shift))
            sentences.append(f"{name} is {factor:.5g} times R's, plus {shift:.5g}")
        if not worst < UNEXPLAINED * self.difference:
            return ""
        return f"the response is on another scale: {', '.join(sentences)}"

    def find_fault(self, say: Say) -> str:
        """Return in words the mistake in the network's formula that explains the predictions; "" if
        there is none.
        """
        network = self.truth.network
        if not isinstance(network, Derived):
            return ""
        problems = [self.truth.exact_problem(table) for table in self.tables]
        observed = [{"forward": output[None]} for output in self.outputs]
        return network.likely(problems, observed, "forward", Contract(), say)


def _size(some: Sequence[Array], others: Sequence[Array]) -> float:
    return float(np.sqrt(sum(np.sum((a - b) ** 2) for a, b in zip(some, others, strict=True))))
