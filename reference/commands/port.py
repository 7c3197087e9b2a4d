"""The verb `nnet-parity port`: writes a PyTorch module of a fitted nnet, and its certificate."""

from __future__ import annotations

import json
import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from harness.core.contract import Array
from harness.core.progress import Say, patient
from harness.reporting.environment import find_version
from harness.text.files import replace_whole
from harness.text.harmless import one_line, printable
from reference.porting.certificate import SCALING, Certificate, compare, draw_inputs
from reference.porting.port import BY, has_columns, write_model, write_test, write_weights
from reference.porting.running import list_values, run_port
from reference.r.nnet_reference import LIVE, network_of
from reference.r.preflight import RUnavailable
from reference.r.session import RCrashed, RError
from reference.rds.fit import FittedNet
from reference.rds.reading import read_fit
from reference.rds.rows import Rows

MOST_ROWS = 2000  # that are predicted and compared
DRAWN = 200
MOSTLY = 0.5
CERTIFICATE = "certificate.json"


def port(parser: ArgumentParser) -> Callable[[Namespace], int]:
    """write a PyTorch module of a network that R's nnet() fitted, with a certificate

    FIT.rds is what saveRDS(fit, "FIT.rds") wrote in R. Writes into a folder:
      model.py             the module, and `columns(rows)`, which makes its inputs from raw columns
      model.safetensors    its weights, float64
      predictions.json     the rows that were asked, and what R predicts for them
      test_model.py        a case of nnet-parity that judges model.py against the fit
      certificate.md       what was compared, with whom, on which data, and how near it is
      certificate.json     the same for programs

    R predicts if it is here. Without R the fit is read by the package rdata, and the port is
    compared with nnet's equations. Nothing that the file holds is run, but for its formula: R
    evaluates a formula beyond plain arithmetic only with --trust.

    Exit code: 0; 1 if the port does not predict what R predicts, or nothing could be judged; 2 if
    the fit or the data cannot be used.
    """
    parser.add_argument("fit", metavar="FIT.rds", type=Path, help="what saveRDS() wrote")
    parser.add_argument(
        "--data",
        metavar="NEW.csv",
        type=Path,
        help="raw rows to predict, with a line of names; without it inputs are drawn",
    )
    parser.add_argument(
        "-o",
        dest="folder",
        metavar="DIR",
        type=Path,
        help="the folder to write into (default: the name of the fit without its ending)",
    )
    parser.add_argument(
        "--smooth",
        action="store_true",
        help="leave out nnet's clip of the logistic, which has no gradient: for fine-tuning",
    )
    parser.add_argument(
        "--trust", action="store_true", help="let R evaluate any formula that the file holds"
    )
    parser.add_argument(
        "--force", action="store_true", help="overwrite files that this did not write"
    )
    return _port


@dataclass(frozen=True)
class Asked:
    """The rows that a port is compared on.

    `rows` are raw rows, or None if only `inputs` (R, I) of the net are known. `predictions` (R, O)
    are R's, or None. `data` and `witness` describe them.
    """

    rows: Rows | None
    inputs: Array
    predictions: Array | None
    data: str
    witness: str


def _port(given: Namespace) -> int:
    try:
        return _port_fit(given)
    except KeyboardInterrupt:
        print("interrupted; nothing was written", file=sys.stderr)
        return 130


def _port_fit(given: Namespace) -> int:
    say = patient(lambda text: print(f"{text} ...", file=sys.stderr, flush=True))
    folder = given.folder or Path(given.fit.stem)
    net = read_fit(given.fit, LIVE)
    network_of(net.topology)
    say("asking R for its predictions")
    try:
        asked = _ask(net, given)
    except (RError, RCrashed) as error:
        hint = ""
        if str(error).startswith("its formula calls"):
            hint = ", and R would run that: give --trust if you trust the file"
        raise ValueError(f"{given.fit}: R says: {one_line(str(error))}{hint}") from None
    files: dict[str, str | bytes] = {
        "model.py": write_model(net, given.fit.name, given.smooth),
        "model.safetensors": write_weights(net),
    }
    certificate = _certify(net, asked, files, given, say)
    fit = os.path.relpath(given.fit, folder)
    has_predictions = asked.predictions is not None
    files["predictions.json"] = _predictions(net, asked)
    files["test_model.py"] = write_test(net, fit, given.smooth, has_predictions)
    files["certificate.md"] = certificate.to_markdown()
    digests = {name: _digest(content) for name, content in files.items()}
    files[CERTIFICATE] = certificate.to_json(digests)
    _write(folder, files, given.force)
    print(printable(f"{certificate.headline()}\n{folder / 'certificate.md'} says more"))
    return int(not certificate.result.passes)


def _ask(net: FittedNet, given: Namespace) -> Asked:
    """Return the rows to compare on, prepared and predicted by R if it is here."""
    try:
        versions = LIVE.versions()
        witness = f"R {versions['R']} (nnet {versions['nnet']})"
    except RUnavailable:
        witness = ""
    path = os.path.abspath(given.fit)
    if given.data is None:
        inputs = draw_inputs(net, DRAWN)
        predictions = LIVE.ask_net(path, inputs) if witness else None
        return Asked(None, inputs, predictions, "drawn inputs, not your data", witness)
    rows = _choose(net, Rows.of(given.data), given.data)
    data = f"{given.data.name} (SHA-256 {_digest(given.data.read_bytes())})"
    if len(rows) > MOST_ROWS:
        data = f"the first {MOST_ROWS} of {len(rows)} rows of {data}"
        rows = rows.part(range(MOST_ROWS))
    raw = rows if net.terms is None or has_columns(net) else None
    if witness:
        columns = list(rows.columns.values())
        inputs, outputs = LIVE.ask_fit(path, list(rows.columns), columns, None, given.trust)
        return Asked(raw, inputs, outputs, data, witness)
    if net.terms is None:
        inputs = np.stack([np.asarray(column) for column in rows.columns.values()], axis=1)
    else:
        inputs = net.terms.columns(rows)
    return Asked(raw, inputs, None, data, "")


def _choose(net: FittedNet, rows: Rows, path: Path) -> Rows:
    """Return the columns that the fit reads. A fit on a matrix reads all, by their places."""
    if net.terms is not None:
        try:
            return rows.chosen(net.terms.variables)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
    found = len(rows.columns)
    texts = [name for name, column in rows.columns.items() if isinstance(column, tuple)]
    if found != net.topology.inputs or texts:
        raise ValueError(
            f"{path} has {found} columns{', of texts: ' + ', '.join(texts) if texts else ''}; this"
            f" net was fitted on a matrix, which has no names, expected its {net.topology.inputs}"
            " columns of numbers in their order"
        )
    return rows


def _certify(
    net: FittedNet, asked: Asked, files: dict[str, str | bytes], given: Namespace, say: Say
) -> Certificate:
    """Run the port, compare it, and return its certificate."""
    say("running the port")
    from_raw = asked.rows if net.terms is not None else None
    predicted = run_port(files, from_raw, asked.inputs)
    say("comparing")
    result = compare(net, asked.inputs, predicted, asked.predictions, given.smooth)
    caveats = [SCALING, "gradients and training are not compared: test_model.py does"]
    if net.terms is not None and from_raw is None:
        why = "give --data with raw rows" if has_columns(net) else "it has none: R prepares them"
        caveats.append(f"the inputs of the net were compared, not columns(): {why}")
    numbers = "the clipped logistic" if not given.smooth else "a logistic without nnet's clip"
    start = "from raw rows, by columns()" if from_raw is not None else "from the inputs of the net"
    if result.clipped > MOSTLY:
        caveats.append(
            f"{100 * result.clipped:.3g} % of the hidden units are beyond nnet's clip here:"
            " their weights hardly matter there; a run without --data reaches them"
        )
    versions = {"nnet-parity": find_version("nnet-parity"), **net.versions}
    versions |= {name: find_version(name) for name in ("torch", "numpy")}
    return Certificate(
        fit=one_line(given.fit.name),
        digest=net.digest,
        call=net.call,
        net=_describe(net),
        compared=f"model.Port, float64, {numbers}, {start}",
        witness=asked.witness or "nnet's equations (R was not here)",
        data=asked.data,
        result=result,
        caveats=tuple(caveats),
        versions=versions,
        date=datetime.now(UTC).date().isoformat(),
    )


def _describe(net: FittedNet) -> str:
    """Return a net in words: its units, and how nnet was called."""
    top = net.topology
    skip = " with skip" if top.hidden and top.has_skip else ""
    kind = "linear" if top.linear_outputs else "logistic"
    units = f"{top.inputs}-{top.hidden}-{top.outputs}{skip}"
    return f"{units}, {kind} outputs, {top.n_weights} weights"


def _predictions(net: FittedNet, asked: Asked) -> str:
    """Return the rows and R's predictions as JSON; a missing value is null."""
    rows: dict[str, list[Any]] = {}
    if asked.rows is not None:
        rows = {name: list_values(column) for name, column in asked.rows.columns.items()}
    else:
        for name, column in zip(net.columns, asked.inputs.T, strict=True):
            rows[name] = list_values(column)
    predictions = None
    if asked.predictions is not None:
        predictions = [list_values(row) for row in asked.predictions]
    held = {
        "written_by": BY,
        "by": asked.witness or "nobody: R was not here",
        "rows_are": "raw columns" if asked.rows is not None else "inputs of the net",
        "rows": rows,
        "responses": list(net.responses),
        "predictions": predictions,
    }
    return json.dumps(held) + "\n"


def _write(folder: Path, files: dict[str, str | bytes], force: bool) -> None:
    """Write all files or none. Raises ValueError if one stands there that this did not write."""
    folder.mkdir(parents=True, exist_ok=True)
    known = _known(folder / CERTIFICATE)
    for name in files:
        path = folder / name
        own = not path.exists() or (path.is_file() and _is_own(path, known))
        if not own and not force:
            raise ValueError(
                f"{path} is there, and was changed or not written by {BY}: give another folder"
                " (-o), or --force"
            )
    replace_whole({folder / name: content for name, content in files.items()})


def _known(path: Path) -> dict[str, str]:
    """Return the digests of the files that an older certificate names."""
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        return dict(held["files"]) if held["written_by"] == BY else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _is_own(path: Path, known: dict[str, str]) -> bool:
    if path.name == CERTIFICATE:
        return bool(known)
    return known.get(path.name) == _digest(path.read_bytes())


def _digest(content: str | bytes) -> str:
    return sha256(content if isinstance(content, bytes) else content.encode()).hexdigest()
