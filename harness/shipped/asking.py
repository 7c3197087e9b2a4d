"""Evaluates a port as it ships: built by its factory, with its own weights, on rows of raw data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.calling.modes import describe_modes, hold_eval_mode
from harness.core.contract import PRECISION, Array, Indices
from harness.core.formulation import Family
from harness.core.implementation import Missing
from harness.core.numpy_errors import users
from harness.model.compiled import limited
from harness.model.devices import held_in, kind_of
from harness.model.errors import WrongAnswer, raised, status_of
from harness.model.tensors import describe_shape, list_heads, to_plain
from harness.pytorch.subject import Subject
from harness.shipped.classes import ask_classes
from harness.shipped.truth import Table

if TYPE_CHECKING:
    from torch import Tensor

ONE_BY_ONE = 3  # rows that are also asked alone


@dataclass(frozen=True, eq=False)
class Port:
    """A built port (a PyTorch model with trained weights) on a device; `own` (P,) are its
    parameters, flattened, in float64.
    """

    module: Any
    own: Array
    device: str


@dataclass(frozen=True, eq=False)
class Predicted:
    """A port's predictions (R, O) for the rows of a table.

    `others` are predictions of further calls that differ in any number: a text on how the port (a
    PyTorch model) was called, the rows, and the predictions. `incomplete` are the predictions for
    rows with a missing value; None if there are none. `classes` are the results of the port's own
    classes() for the rows without a tie; None if it has no such method. R counts rows and O
    outputs.
    """

    outputs: Array
    others: Sequence[tuple[str, slice, Array]]
    incomplete: Array | Missing | None = None
    classes: Indices | Missing | None = None


def find_dtype(module: Any) -> str:
    """Return the dtype of a module's parameters, or of its buffers if it has no parameters; float64
    if it has neither.

    Raises ValueError for several dtypes, and for a dtype without a contract.
    """
    for tensors in (module.parameters(), module.buffers()):
        dtypes = set()
        for tensor in tensors:
            if (plain := to_plain(tensor)) is not None and plain.is_floating_point():
                dtypes.add(str(plain.dtype).removeprefix("torch."))
        if len(dtypes) > 1 or not dtypes <= set(PRECISION):
            raise ValueError(
                f"its parameters or buffers are of {' and '.join(sorted(dtypes))}, expected one of"
                f" {', '.join(PRECISION)}: module.double() makes them float64"
            )
        if dtypes:
            return dtypes.pop()
    return "float64"


def build(subject: Subject, network: Family, device: str) -> Port | Missing:
    """Return a port as it ships, or the reason why it cannot be built.

    It is built twice, under two seeds: weights that differ are random, and not the port's own.
    """
    try:
        module = subject.build_module(network, 0)
        own = _weights(module)
        if not np.array_equal(own, _weights(subject.build_module(network, 1))):
            raise WrongAnswer(
                "has other weights each time it is built: they are drawn at random, expected the"
                " port to load its own where it is built"
            )
        return Port(module.to(device), own, device)
    except Exception as error:  # a user's constructor may raise anything
        return Missing(status_of(error), raised(error), of_subject=True)


def _weights(module: Any) -> Array:
    tensors = [to_plain(parameter) for parameter in module.parameters()]
    parts = [tensor.detach().double().cpu().numpy().ravel() for tensor in tensors]
    return np.concatenate([np.zeros(0), *parts])


@users()
def predict(
    port: Port, table: Table, width: int, dtype: str, names: Sequence[str] = ()
) -> Predicted | Missing:
    """Return the predictions (R, width) of a port (a PyTorch model with trained weights) and its
    classes, or the reason why there are none.

    `names` are the names of the classes. R counts rows.
    """
    try:
        with kind_of(port.device).hold_precision(port.device, dtype), limited():
            arguments = _tensors(table.given, port, dtype)
            outputs = _call(port, arguments, width, names)
            others = list(_ask_again(port, arguments, width, outputs))
    except Exception as error:  # whatever a user's module raises is its answer
        return Missing(status_of(error), raised(error), of_subject=True)
    incomplete: Array | Missing | None = None
    if table.incomplete:
        try:
            with kind_of(port.device).hold_precision(port.device, dtype), limited():
                incomplete = _call(port, _tensors(table.incomplete, port, dtype), width)
        except Exception as error:
            incomplete = Missing(status_of(error), raised(error), of_subject=True)
    return Predicted(outputs, others, incomplete, _ask_classes(port, table, dtype, names))


def _ask_classes(
    port: Port, table: Table, dtype: str, names: Sequence[str]
) -> Indices | Missing | None:
    """Return the results of the port's own method classes() for the rows in which R has no tie;
    None if the port, a PyTorch model, has no such method.

    `names` are the names of the classes.
    """
    if table.classes is None or not names:
        return None
    rows = np.flatnonzero(table.classes >= 0)
    try:
        with kind_of(port.device).hold_precision(port.device, dtype), limited():
            arguments = _tensors([part[rows] for part in table.given], port, dtype)
            return ask_classes(port.module, arguments, names)
    except Exception as error:
        return Missing(status_of(error), raised(error), of_subject=True)


def _tensors(given: Sequence[Array], port: Port, dtype: str) -> list[Tensor]:
    import torch

    return [torch.tensor(part, dtype=held_in(dtype), device=port.device) for part in given]


def _call(port: Port, given: Sequence[Tensor], width: int, names: Sequence[str] = ()) -> Array:
    """Return the outputs (R, width) of one call. Raises WrongAnswer for another shape.

    `names` are the names of the classes, if there are any. R counts rows.
    """
    heads = list_heads(port.module(*given))
    rows = len(given[0])
    expected = [(rows, width)] if width > 1 else [(rows, 1), (rows,)]
    if len(heads) != 1 or tuple(getattr(heads[0], "shape", ())) not in expected:
        shapes = " and ".join(describe_shape(head) for head in heads) or "none"
        column = ""
        if width == 1 and len(names) == 2:
            column = f": R gives one column of two classes, the probability of {names[1]}"
        raise WrongAnswer(f"gave outputs of shape {shapes}, expected {expected[0]}{column}")
    if not hasattr(heads[0], "detach"):
        raise WrongAnswer(f"gave a {type(heads[0]).__name__}, expected a tensor {expected[0]}")
    numbers = heads[0].detach().double().cpu().numpy()
    return np.asarray(numbers.reshape(rows, width))


def _ask_again(
    port: Port, given: Sequence[Tensor], width: int, outputs: Array
) -> Iterator[tuple[str, slice, Array]]:
    """Call a port (a PyTorch model) again: in its other modes (train, eval), on a part of the rows,
    and on single rows.

    Yield (how it was called, rows, predictions) for each call whose predictions differ from the
    first `outputs`.
    """
    import torch

    rows = len(outputs)
    everything = slice(0, rows)
    calls: list[tuple[str, slice, bool | None]] = []
    for mode, words in describe_modes(port.module).items():
        calls.append((words, everything, mode))
    if rows > 1:
        calls.append(("on half of the rows", slice(0, (rows + 1) // 2), None))
    for row in range(min(rows, ONE_BY_ONE)):
        calls.append(("on one row alone", slice(row, row + 1), None))
    for words, chosen, in_eval in calls:
        with ExitStack() as afterwards:
            afterwards.enter_context(nullcontext() if in_eval is None else torch.no_grad())
            if in_eval:
                afterwards.enter_context(hold_eval_mode(port.module))
            repeated = _call(port, [part[chosen] for part in given], width)
        if not np.array_equal(repeated, outputs[chosen], equal_nan=True):
            yield words, chosen, repeated
