"""The error with which nnet() fitted, the classes of a classification, and objects of
multinom().
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.core.contract import Array, Indices
from harness.core.loss import Error
from harness.text.harmless import one_line
from reference.r.topology import Topology
from reference.rds.deparse import deparse, number_text
from reference.rds.fit import Unsupported
from reference.rds.values import NULL, NUMBERS, Value

FLAGS = ("entropy", "softmax", "censored")
INTERCEPT = "(Intercept)"


@dataclass(frozen=True, eq=False)
class Net:
    """A fitted network: its topology, its weights and their decays (T,), and the names of its
    inputs.

    `has_ones` says that the object has one input more: a first column of ones.
    """

    topology: Topology
    wts: Array
    decay: Array
    columns: tuple[str, ...]
    has_ones: bool = False


def read_error(fields: dict[str, Value], topology: Topology) -> Error:
    """Return the error that nnet() minimised: squares, entropy, softmax or censored.

    Raises ValueError for flags and outputs that nnet() does not combine.
    """
    flags = {name: _is_set(fields, name) for name in FLAGS}
    if not any(flags.values()):
        return "squares"
    set_flags = [name for name, is_set in flags.items() if is_set]
    names = " and ".join(f"{name}=TRUE" for name in set_flags)
    linear = topology.linear_outputs
    if flags["entropy"] and (len(set_flags) > 1 or linear):
        outputs = "linear" if linear else "logistic"
        raise ValueError(f"it has {names} with {outputs} outputs, which nnet() does not combine")
    if flags["entropy"]:
        return "entropy"
    if not flags["softmax"] or not linear or topology.outputs < 2:
        raise ValueError(f"it has {names} of {topology.outputs} outputs, which nnet() never makes")
    return "censored" if flags["censored"] else "softmax"


def _is_set(fields: dict[str, Value], name: str) -> bool:
    """Is a flag of the object TRUE? Raises ValueError if it is no flag."""
    value = fields.get(name, NULL)
    if value.kind == "NULL":
        return False
    if value.kind not in NUMBERS or len(value) != 1 or not np.isfinite(value.numbers[0]):
        raise ValueError(
            f"its {name} is {value.kind} of length {len(value)}, expected TRUE or FALSE"
        )
    return bool(value.numbers[0])


def read_levels(fields: dict[str, Value]) -> tuple[str, ...]:
    """Return the names of R's predict(type="class")."""
    value = fields.get("lev", NULL)
    if value.kind == "NULL":
        value = fields.get("lab", NULL)
    if value.kind in NUMBERS:
        return tuple(number_text(number) for number in value.numbers.tolist())
    return tuple(one_line("NA" if text is None else text) for text in value.texts)


def name_classes(
    fields: dict[str, Value], error: str, outputs: int, levels: tuple[str, ...]
) -> tuple[str, ...]:
    """Return the name of each output's class; the two classes of one output; () if it has none.

    They are the column names of the fitted values. R's own levels may include an empty one, which
    shifts the names in its predict().
    """
    if error == "entropy" and outputs == 1 and len(levels) == 2:
        return levels
    if error not in ("softmax", "censored"):
        return ()
    named = tuple(map(one_line, fields.get("fitted.values", NULL).dimension_names(1)))
    if len(named) == outputs:
        return named
    return levels if len(levels) == outputs else ()


def name_responses(
    fields: dict[str, Value], outputs: int, classes: tuple[str, ...]
) -> tuple[str, ...]:
    """Return the names of the outputs: those of fitted.values, or the left side of the formula."""
    if len(classes) == outputs:
        return classes
    responses = fields.get("fitted.values", NULL).dimension_names(1)
    if len(responses) == outputs:
        return responses
    variables = fields.get("terms", NULL).attribute("variables").parts
    if outputs == 1 and len(variables) > 1:
        if len(classes) == 2:
            return (f"P({classes[1]})",)
        return (one_line(deparse(variables[1])),)
    return tuple(f"y{number + 1}" for number in range(outputs))


def take_ones_off(net: Net, terms: Value) -> Net:
    """Return a net that multinom() fitted, without its column of ones if it has one: each intercept
    becomes the bias of its output.

    multinom() passes the intercept to nnet() as a column of ones, and holds nnet's own biases at 0.
    Raises Unsupported for offsets, for no inputs, and for biases that are not 0.
    """
    top = net.topology
    if len(terms.attribute("offset")):
        raise Unsupported(
            "its multinom has an offset, expected none: R's own predict() leaves it out, and then"
            " reads beyond its rows. Fit again without it, or with it among the terms"
        )
    if top != _as_multinom(top, top.inputs):
        raise ValueError("its multinom has other connections than multinom() makes")
    rows = net.wts.reshape(top.outputs, -1)
    if rows[:, 0].any():
        raise Unsupported(
            f"its multinom has biases beside the intercept, as {rows[:, 0][0]:g}, expected 0, at"
            " which multinom() holds them: fit it again without Wts="
        )
    if net.columns[0] != INTERCEPT:
        return net
    if top.inputs == 1:
        raise Unsupported(
            "its multinom has no inputs beside the intercept, expected one: it predicts the same"
            " probabilities for every row"
        )
    places = places_of(top.inputs - 1, top.outputs)
    reduced = _as_multinom(top, top.inputs - 1)
    return Net(reduced, net.wts[places], net.decay[places], net.columns[1:], has_ones=True)


def _as_multinom(top: Topology, inputs: int) -> Topology:
    """Return the topology that multinom() builds with this number of inputs, with the outputs of
    `top`.
    """
    return Topology.dense(inputs, 0, top.outputs, top.linear_outputs, True, top.error)


def places_of(inputs: int, outputs: int) -> Indices:
    """Return the positions, in the weights of a multinom() object, of the weights that remain
    without nnet's own biases, which are 0.
    """
    each = np.arange(outputs * (2 + inputs)).reshape(outputs, -1)
    return each[:, 1:].ravel()
