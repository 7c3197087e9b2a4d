"""The command `nnet-parity back`: writes the weights of a port into a copy of the fitted object."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path

import numpy as np

from harness.core.contract import Array
from harness.text.files import replace_whole
from harness.text.harmless import one_line, printable
from harness.text.reading import read_regular
from reference.fitted.given import Given
from reference.fitted.targets import read_targets
from reference.r.nnet_reference import LIVE
from reference.r.preflight import RUnavailable
from reference.r.session import RCrashed, RError
from reference.rds.fit import FittedNet
from reference.rds.reading import read_fit
from reference.rds.rows import Rows, split_names
from reference.rds.stream import MOST_BYTES
from reference.returning.claims import Claims, FittedRows, recompute
from reference.returning.object import remove_baseline, to_wts
from reference.returning.returned import check_written, replace_bytes, write_by_r
from reference.returning.tensors import read_tensors, to_theta

CLAIMS = "value, fitted.values and residuals"
OF_MULTINOM = "value, fitted.values, residuals, deviance and AIC"


def back(parser: ArgumentParser) -> Callable[[Namespace], int]:
    """write the weights of a port into a copy of the object that R's nnet() fitted

    MODEL.safetensors holds the weights of a module that `nnet-parity port FIT.rds` wrote, trained
    further or not: safetensors.torch.save_file(model.state_dict(), "MODEL.safetensors"). The copy
    is for readRDS(): predict(), print() and summary() work, with the new weights.

    What the object says of its old weights (value, fitted.values, residuals; of multinom() deviance
    and AIC) is computed again by R from the rows on which it was fitted, if they are given with --x
    and --y. Else NA takes its place, and attr(fit, "nnet_parity") says why. A Hessian is taken out:
    R computes another one where it needs it. `convergence` stays that of nnet().

    Nothing that the file holds is run, but for its formula if --x is given: R evaluates a formula
    beyond plain arithmetic only with --trust. Without R the weights' bytes are replaced.

    Exit code: 0; 2 if the weights, the fit or the rows cannot be used: nothing is written then.
    """
    parser.add_argument(
        "weights", metavar="MODEL.safetensors", type=Path, help="the weights of the port"
    )
    parser.add_argument("fit", metavar="FIT.rds", type=Path, help="the fit that was ported")
    parser.add_argument(
        "-o", dest="new", metavar="NEW.rds", type=Path, required=True, help="the file to write"
    )
    parser.add_argument(
        "--x", metavar="ROWS.csv", type=Path, help="the raw rows on which the net was fitted"
    )
    parser.add_argument(
        "--y",
        metavar="A,B",
        help="the columns of ROWS.csv that hold the targets: numbers, or names of classes",
    )
    parser.add_argument("--weights", dest="case_weights", metavar="W", help="that of case weights")
    parser.add_argument(
        "--columns",
        metavar="A,B",
        help="those that a net fitted on a matrix takes, in their order",
    )
    parser.add_argument(
        "--trust", action="store_true", help="let R evaluate any formula that the file holds"
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="overwrite NEW.rds; take weights of a port of another fit",
    )
    return _back


def _back(given: Namespace) -> int:
    try:
        return _write_back(given)
    except KeyboardInterrupt:
        print("interrupted; nothing was written", file=sys.stderr)
        return 130
    except (RError, RCrashed) as error:
        raise ValueError(f"{given.fit}: R says: {one_line(str(error))}") from None


def _write_back(given: Namespace) -> int:
    _expect_free(given)
    net = read_fit(given.fit, LIVE)
    if not net.topology.is_dense:
        raise ValueError(f"{given.fit.name} has other connections than nnet() makes")
    old, theta = net.wts, _read_theta(given, net)
    if theta.tobytes() == old.tobytes():
        content, said = read_regular(given.fit, MOST_BYTES), "no weight differs: it is a copy"
    else:
        content, said = _change(given, net, theta)
    check_written(content, net, theta, LIVE)
    replace_whole({given.new: content})
    print(printable(f"{given.new}: {said}"))
    return 0


def _expect_free(given: Namespace) -> None:
    """Raise ValueError if the new file exists and may not be overwritten, or if rows are
    missing.
    """
    if given.new.exists() and not given.force:
        raise ValueError(f"{given.new} is there: give another file (-o), or --force overwrites it")
    if (given.x is None) != (given.y is None):
        raise ValueError(
            "--x and --y go together: the rows on which the net was fitted, and their targets"
        )


def _read_theta(given: Namespace, net: FittedNet) -> Array:
    """Return the weights of the port (a PyTorch module of the fitted network) in a form that R's
    object can hold.
    """
    tensors = read_tensors(given.weights)
    if tensors.fit not in ("", net.digest) and not given.force:
        raise ValueError(
            f"{given.weights.name} was ported from another fit (SHA-256 {tensors.fit[:12]}),"
            f" expected that of {given.fit.name} ({net.digest[:12]}): give that fit, or --force"
        )
    return remove_baseline(net, to_theta(net, tensors.named, given.weights.name))


def _change(given: Namespace, net: FittedNet, theta: Array) -> tuple[bytes, str]:
    """Return the content of the new file, and a description of the changes."""
    wts = to_wts(net, theta)
    count = int((theta != net.wts).sum())
    said = f"{count} of {len(theta)} weights differ from those of {given.fit.name}. "
    names = OF_MULTINOM if net.is_multinom else CLAIMS
    note = f"weights of {given.weights.name}, by nnet-parity back; {names}: "
    stale = note + "NA, for those of the older weights"
    if not _is_r_here():
        content = replace_bytes(given.fit, net, wts, stale)
        return content, f"{said}NA stands for {names}, which R would compute (it is not here)"
    if given.x is None:
        said += f"NA stands for {names}, which were those of the old weights: --x and --y, the rows"
        said += " on which it was fitted, let R compute them"
        return write_by_r(LIVE, given.fit, wts, None, stale), said
    claims = _recompute(given, net, wts)
    loss = "the loss with its decay" if net.decay.any() else "the loss"
    said += f"R computed {names}: {loss} is {claims.value:.9g}, it was {net.value:.9g}"
    return write_by_r(LIVE, given.fit, wts, claims, note + "computed by R"), said


def _is_r_here() -> bool:
    try:
        return bool(LIVE.versions())
    except RUnavailable:
        return False


def _recompute(given: Namespace, net: FittedNet, wts: Array) -> Claims:
    rows = _read_rows(given, net)
    return recompute(LIVE, str(given.fit.absolute()), net, to_wts(net, net.wts), wts, rows)


def _read_rows(given: Namespace, net: FittedNet) -> FittedRows:
    """Return the rows on which a network was fitted, as the user's file gives them."""
    rows = Rows.of(given.x)
    targets = rows.chosen(split_names(given.y))
    chosen = rows.without([*targets.columns, given.case_weights])
    if given.columns:
        chosen = rows.chosen(split_names(given.columns))
    y = read_targets(net, list(targets.columns.values()))
    asked = Given(rows if net.terms is not None else chosen)
    assert asked.rows is not None
    asked_rows = asked.choose_columns(net, asked.rows)
    names, values = list(asked_rows.columns), list(asked_rows.columns.values())
    inputs, _ = LIVE.ask_fit(str(given.fit.absolute()), names, values, None, given.trust)
    weights = np.ones(len(rows))
    if given.case_weights:
        weights = np.asarray(rows.chosen([given.case_weights]).columns[given.case_weights])
    return FittedRows(inputs, y, weights.astype(np.float64))
