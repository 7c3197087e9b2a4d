"""The steps inside a norm that torch computes by one operation: a model may write them by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from torch import Tensor

from harness.locating.alike import name_kind, read_inputs
from harness.rules.registry import bind
from harness.shadow.recording import Operation
from harness.shadow.replay import Replay, Results, fill, repeat_operation

LAYER, GROUP = "native_layer_norm", "native_group_norm"
BATCH = "native_batch_norm", "native_batch_norm_legit", "native_batch_norm_legit_functional"


class Norm(NamedTuple):
    """The numbers inside a norm: its input, mean, variance and eps.

    The mean and the variance have one number for each group of numbers that is normalised, and
    their shapes fit that of the input.
    """

    values: Tensor
    mean: Tensor
    variance: Tensor
    eps: float

    def list_steps(self) -> list[Tensor]:
        """Return the numbers of each step from the input to the normalised input, and the standard
        deviation without eps.
        """
        shifted = self.variance + self.eps
        deviation, bare = shifted.sqrt(), self.variance.sqrt()
        centred = self.values - self.mean
        scaled = centred / deviation
        return [self.variance, bare, shifted, deviation, 1 / deviation, centred, scaled]


def read_norm(side: Replay, operation: Operation) -> Norm | None:
    """Return the numbers inside an operation, as repeated in float64; None if it is no norm."""
    kind = name_kind(operation)
    if kind not in (LAYER, GROUP, *BATCH) or operation.backward:
        return None
    given = bind(operation.called, operation.args, operation.kwargs)
    values, eps = side.read(given["input"]).detach(), float(given["eps"])
    # the operations return their output, the mean and 1 / sqrt(variance + eps)
    results = [side.read(place).detach() for place in filter(None, operation.results[:3])]
    if len(results) == 3 and results[1].numel():
        mean, variance = results[1], results[2] ** -2 - eps
    elif given.get("running_var") is not None:
        mean, variance = (
            side.read(given[name]).detach() for name in ("running_mean", "running_var")
        )
    else:
        return None
    if kind == GROUP:  # a number for each group of a row
        return Norm(values.reshape(*mean.shape, -1), mean[..., None], variance[..., None], eps)
    if kind in BATCH:  # a number for each channel
        values = values.transpose(1, -1)
    return Norm(values, mean, variance, eps)


def list_norm_steps(side: Replay) -> Iterator[Tensor]:
    """Yield the numbers of all steps inside the norms of a run."""
    for operation in side.run.operations:
        norm = read_norm(side, operation)
        if norm is not None:
            yield from norm.list_steps()


def read_variance(side: Replay, operation: Operation) -> tuple[Tensor, float] | None:
    """Return the array to which an operation adds eps, and eps: a norm's variance, or the array in
    a sum with a number. None if it is neither.
    """
    norm = read_norm(side, operation)
    if norm is not None:
        return norm.variance, norm.eps
    if name_kind(operation) != "add" or operation.backward or len(operation.args) != 2:
        return None
    arrays = read_inputs(side, operation)
    number = operation.args[1]
    return (arrays[0], number) if len(arrays) == 1 and isinstance(number, float) else None


def repeat_with_eps(side: Replay, operation: Operation, eps: float) -> Results:
    """Return the results of a norm, or of a sum with a number, with another eps, which is the last
    argument of both.
    """
    other = replace(operation, args=(*operation.args[:-1], eps))
    return repeat_operation(other, *fill(other, side.read))
