"""Reads the object of nnet() from a file of saveRDS(), by R or by the package rdata."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from itertools import pairwise
from os import PathLike, fspath
from os.path import abspath
from typing import Literal

import numpy as np

from harness.core.contract import Array
from harness.text.harmless import one_line
from reference.r.preflight import RUnavailable
from reference.r.session import RCrashed, RError, RSession
from reference.r.topology import Topology
from reference.rds.classes import (
    Net,
    name_classes,
    name_responses,
    read_error,
    read_levels,
    take_ones_off,
)
from reference.rds.deparse import deparse
from reference.rds.fit import FittedNet, Unsupported
from reference.rds.stream import read_stream
from reference.rds.terms import FormulaTerms, read_terms
from reference.rds.values import NULL, NUMBERS, Value, decode
from reference.rds.without_r import describe, parse

CRITERIA = ("deviance", "AIC")
Mode = Literal["auto", "r", "rdata"]


def read_fit(path: str | PathLike[str], r: RSession, mode: Mode = "auto") -> FittedNet:
    """Read the object of nnet() that saveRDS(fit, path) wrote.

    `mode` chooses the decoder: "r", "rdata" (no R; the extra `rds`), or "auto", which uses R if it
    is available. Both give the same numbers and names. The file is untrusted: its size is limited,
    nothing in it is evaluated, and every length is checked. R's readRDS() or rdata's parser, and
    the decompressors, are trusted to decode bytes.

    Raises Unsupported for a multinom() with offsets or without inputs, and if there is no decoder.
    Raises ValueError, with the name of the file, for a file that holds no valid fit.
    """
    name = one_line(fspath(path))
    if mode not in ("auto", "r", "rdata"):
        raise ValueError(f"mode is {mode!r}, expected auto, r or rdata")
    content, digest = read_stream(path)
    try:
        top, versions = _decode(content, abspath(fspath(path)), r, mode)
        return _check_fit(top, digest, versions)
    except Unsupported as error:
        raise Unsupported(f"{name}: {error}") from None
    except RecursionError:
        raise ValueError(f"{name} holds no fit that can be read: it is nested too deeply") from None
    except (ValueError, RError, RCrashed) as error:
        raise ValueError(
            f"{name} holds no fit that can be read: {one_line(str(error))[:300]}"
        ) from None


def _decode(content: bytes, path: str, r: RSession, mode: Mode) -> tuple[Value, dict[str, str]]:
    """Return the object in a file and the versions of the software that decoded it."""
    if mode != "rdata":
        try:
            versions = r.versions()
            top = decode(r.read_fit(path))
            return top, {name: versions[name] for name in ("R", "nnet")}
        except RUnavailable as error:
            if mode == "r":
                raise Unsupported(str(error)) from None
    top = describe(parse(content))
    return top, {"rdata": version("rdata")}


def _check_fit(top: Value, digest: str, versions: dict[str, str]) -> FittedNet:
    """Check a decoded object, and return it as a FittedNet. Raises ValueError or Unsupported."""
    fields = top.named()
    _check_class(top)
    kinds = top.attribute("class").texts
    net, terms = _read_net(fields, kinds)
    error = net.topology.error
    outputs = net.topology.outputs
    fitted = _rows(fields, "fitted.values", outputs)
    residuals = _rows(fields, "residuals", outputs)
    if fitted.shape != residuals.shape:
        raise ValueError(
            f"its fitted.values and residuals are of {fitted.shape} and {residuals.shape} numbers"
        )
    levels = read_levels(fields)
    classes = name_classes(fields, error, outputs, levels)
    return FittedNet(
        topology=net.topology,
        wts=net.wts,
        decay=net.decay,
        value=_claim(fields, "value"),
        convergence=int(_whole(fields, "convergence", 1)[0]) if "convergence" in fields else 0,
        columns=net.columns,
        responses=name_responses(fields, outputs, classes),
        terms=terms,
        fitted=fitted,
        residuals=residuals,
        call=one_line(deparse(fields.get("call", NULL))),
        digest=digest,
        versions=versions,
        classes=classes,
        lev=levels,
        is_multinom="multinom" in kinds,
        has_ones=net.has_ones,
        criteria=tuple(_claim(fields, name) for name in CRITERIA if name in fields),
    )


def _read_net(
    fields: dict[str, Value], kinds: Sequence[str | None]
) -> tuple[Net, FormulaTerms | None]:
    """Return the net of an object, and the right side of its formula; `kinds` are the classes of
    the object.
    """
    topology = _topology(fields)
    topology = replace(topology, error=read_error(fields, topology))
    weights = topology.n_weights
    wts, decay = _numbers(fields, "wts", weights), _decay(fields, weights)
    if "nnet.formula" not in kinds and "multinom" not in kinds:
        columns = tuple(f"x{number + 1}" for number in range(topology.inputs))
        return Net(topology, wts, decay, columns), None
    terms = fields.get("terms", NULL)
    net = Net(topology, wts, decay, _texts(fields, "coefnames", topology.inputs))
    if "multinom" in kinds:
        net = take_ones_off(net, terms)
    parts = fields.get("xlevels", NULL), fields.get("contrasts", NULL)
    return net, read_terms(terms, *parts, net.columns)


def _check_class(top: Value) -> None:
    """Raise ValueError for anything but an object of nnet() or multinom()."""
    classes = [one_line(text or "")[:40] for text in top.attribute("class").texts]
    found = f"an object of class {', '.join(classes[:3])}" if classes else f"R's {top.kind}"
    if "finalModel" in top.attribute("all names").texts:
        raise ValueError(f"it holds {found}; give fit$finalModel: saveRDS(fit$finalModel, file)")
    if top.kind == "list" and (not classes or "avNNet" in classes):
        one = "fit$model[[1]]" if classes else "fits[[1]]"
        raise ValueError(f"it holds {found}; of several fits give one: saveRDS({one}, file)")
    if any(name.startswith("summary.") for name in classes):
        raise ValueError(f"it holds {found}; give the fit itself: saveRDS(fit, file)")
    if top.kind != "list" or "nnet" not in classes:
        raise ValueError(f"it holds {found}, expected what nnet() returned: saveRDS(fit, file)")


def _topology(fields: dict[str, Value]) -> Topology:
    """Return the net of a fit. Raises ValueError if its parts do not fit together."""
    inputs, hidden, outputs = (int(number) for number in _whole(fields, "n", 3))
    units = 1 + inputs + hidden + outputs
    starts = _whole(fields, "nconn", units + 1)
    connected = _whole(fields, "conn", len(fields.get("conn", NULL)))
    ends = int(starts[-1])
    if starts[: 2 + inputs].any() or (np.diff(starts) < 0).any() or ends != len(connected):
        raise ValueError("its nconn does not count the connections in conn")
    connections = []
    for first, last in pairwise(starts[1 + inputs :].astype(int)):
        connections.append(tuple(connected[first:last].astype(int).tolist()))
    linear_from = int(_whole(fields, "nsunits", 1)[0])
    if linear_from not in (units, units - outputs):
        raise ValueError(f"its nsunits is {linear_from}, expected {units} or {units - outputs}")
    return Topology(inputs, hidden, outputs, tuple(connections), linear_from != units)


def _decay(fields: dict[str, Value], weights: int) -> Array:
    """Return the weight decay of each weight (T,); a single number in the object applies to all."""
    length = 1 if len(fields.get("decay", NULL)) == 1 else weights
    return np.broadcast_to(_numbers(fields, "decay", length), weights)


def _numbers(fields: dict[str, Value], name: str, length: int) -> Array:
    """Return the field `name`, which must hold `length` finite numbers. Raises ValueError for
    anything else.
    """
    value = fields.get(name, NULL)
    if value.kind not in NUMBERS or len(value) != length:
        raise ValueError(
            f"its {name} is {value.kind} of length {len(value)}, expected {length} numbers"
        )
    if not np.isfinite(value.numbers).all():
        raise ValueError(f"its {name} holds a number that is not finite")
    return value.numbers


def _claim(fields: dict[str, Value], name: str) -> float:
    """Return the field `name`, a number that was computed from the weights; NaN if `nnet-parity
    back` marked it as outdated.
    """
    value = fields.get(name, NULL)
    if value.kind == "double" and len(value) == 1 and np.isnan(value.numbers[0]):
        return float("nan")
    return float(_numbers(fields, name, 1)[0])


def _whole(fields: dict[str, Value], name: str, length: int) -> Array:
    """Return the field `name`, which must hold `length` integers from 0. Raises ValueError for
    anything else.
    """
    numbers = _numbers(fields, name, length)
    if (numbers < 0).any() or (numbers > 2**31).any() or (numbers != np.floor(numbers)).any():
        raise ValueError(f"its {name} holds {numbers[:3]}, expected whole numbers from 0 up")
    return numbers


def _texts(fields: dict[str, Value], name: str, length: int) -> tuple[str, ...]:
    value = fields.get(name, NULL)
    if value.kind != "character" or len(value) != length or None in value.texts:
        raise ValueError(
            f"its {name} is {value.kind} of length {len(value)}, expected {length} texts"
        )
    return tuple(one_line(text or "") for text in value.texts)


def _rows(fields: dict[str, Value], name: str, outputs: int) -> Array:
    """Return the field `name` as rows (N, O); without rows if it was removed from the fit.

    N counts the rows of the fit, and O its `outputs`. O counts outputs.
    """
    value = fields.get(name, NULL)
    if value.kind == "NULL":
        return np.zeros((0, outputs))
    if value.kind not in NUMBERS or value.matrix().shape[1] != outputs:
        raise ValueError(
            f"its {name} is {value.kind} of length {len(value)}, expected {outputs}"
            " columns of numbers"
        )
    return value.matrix()
