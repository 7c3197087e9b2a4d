"""The command `nnet-parity port`: writes a PyTorch module of a fitted nnet, and its certificate."""

from __future__ import annotations

import json
import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from harness.core.contract import NNET_CLIP
from harness.reporting.environment import find_version
from harness.text.files import replace_whole
from harness.text.harmless import one_line, printable
from harness.text.reading import read_regular
from harness.waiting.progress import Say, patient
from reference.fitted.answers import (
    Answers,
    collect,
    equations_asker,
    r_asker,
)
from reference.fitted.drawn import draw_rows
from reference.fitted.given import COLUMNS, Given
from reference.fitted.labels import are_ties, describe_shift, find_labels
from reference.fitted.stored import Stored, dump, store
from reference.porting.certificate import SCALING, Certificate, clipped_share
from reference.porting.port import BY, has_columns, write_model, write_test, write_weights
from reference.porting.running import judge_port
from reference.r.nnet_reference import LIVE, network_of
from reference.r.preflight import RUnavailable
from reference.r.session import RCrashed, RError, RSession
from reference.rds.fit import FittedNet
from reference.rds.reading import read_fit
from reference.rds.rows import MOST_BYTES as MOST_OF_DATA
from reference.rds.rows import Rows, list_names, split_names

MOST_BYTES, MOST_OF_CERTIFICATE = 1 << 25, 1 << 20  # of a file of a port
MOST_ROWS = 2000  # that are predicted and compared
MOST_OF_R = 300  # characters of R's own message
MOSTLY = 0.5
CERTIFICATE, PREDICTIONS = "certificate.json", "predictions.json"


def port(parser: ArgumentParser) -> Callable[[Namespace], int]:
    """write a PyTorch module of a network that R's nnet() or multinom() fitted, with a certificate

    FIT.rds is what saveRDS(fit, "FIT.rds") wrote in R. Writes into a folder:
      model.py             the module, and `columns(rows)`, which makes its inputs from raw columns;
                           of a classification also probabilities(x) and classes(x)
      model.safetensors    its weights, float64
      predictions.json     the rows that were asked, and what R predicts for them (not without R)
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
        "--columns",
        metavar="A,B",
        help="the columns of NEW.csv that a net fitted on a matrix takes, in their order",
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
class Question:
    """The raw rows on which a port (a PyTorch model) is compared, and the answers to them.

    The first `count` rows are the user's, the others are drawn. `versions` are those of R, empty if
    the answers come from nnet's equations; `data` describes the rows.
    """

    rows: Rows
    count: int
    answers: Answers
    data: str
    versions: dict[str, str]

    @property
    def witness(self) -> str:
        """The source of the answers, in words."""
        if not self.versions:
            return "nnet's equations (R was not here)"
        return f"R {self.versions['R']} (nnet {self.versions['nnet']})"


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
    say(f"asking for the predictions of {one_line(given.fit.name)}")
    try:
        question = _ask(net, given)
    except (RError, RCrashed) as error:
        said = f"{given.fit}: R says: {one_line(str(error))[:MOST_OF_R]}"
        if given.data is None:
            said += "; if the formula takes no drawn rows, give rows of yours: --data NEW.csv"
        raise ValueError(said) from None
    files: dict[str, str | bytes] = {
        "model.py": write_model(net, given.fit.name, given.smooth),
        "model.safetensors": write_weights(net),
        "__init__.py": f"# Written by {BY}.\n",
    }
    fit = os.path.relpath(given.fit, folder)
    if question.versions:
        fit = PREDICTIONS
        files[fit] = dump(_store(net, question))
    certificate = _certify(net, question, files, given, say)
    files["test_model.py"] = write_test(net, fit, given.smooth, _name_case(given, folder))
    files["certificate.md"] = certificate.to_markdown()
    digests = {name: _digest(content) for name, content in files.items()}
    files[CERTIFICATE] = certificate.to_json(digests)
    _write(folder, files, given.force)
    print(printable(f"{certificate.headline()}\n{folder / 'certificate.md'} says more"))
    if certificate.clipped > MOSTLY:
        print(printable(certificate.caveats[-1]))
    return int(not certificate.passes)


def _name_case(given: Namespace, folder: Path) -> str:
    """Return the name of the case of a port: by its fit, and by a folder of another name."""
    stem, own = one_line(given.fit.stem), one_line(folder.resolve().name)
    return f"port of {stem}" if own == stem else f"port of {stem} in {own}"


def _ask(net: FittedNet, given: Namespace) -> Question:
    """Return the rows on which the port (a PyTorch model) is compared, with the answers to them
    from R if it is installed.
    """
    session: RSession | None = LIVE
    try:
        versions = LIVE.versions()
        versions = {name: versions[name] for name in ("R", "nnet")}
        ask = r_asker(LIVE, given.fit, "", given.trust)
    except RUnavailable:
        versions, session = {}, None
        ask = equations_asker(net, network_of(net.topology))
    if given.data is None:
        rows = draw_rows(net, None)
        answers = collect(ask, rows, None, "", net.levels)
        data = f"{len(rows)} drawn rows, not your data"
        return _with_labels(Question(rows, 0, answers, data, versions), net, given, session)
    rows = Rows.of(given.data)
    if given.columns:
        rows = rows.chosen(split_names(given.columns))
    try:
        rows = Given(rows).choose_columns(net, rows)
    except ValueError as error:
        hint = " (--columns a,b names them)" if net.terms is None else ""
        raise ValueError(f"{given.data}: {error}{hint}") from None
    data = f"{given.data.name} (SHA-256 {_digest(read_regular(given.data, MOST_OF_DATA))})"
    if len(rows) > MOST_ROWS:
        data = f"the first {MOST_ROWS} of {len(rows)} rows of {data}"
        rows = rows.part(range(MOST_ROWS))
    drawn = draw_rows(net, rows)
    data += f" and {len(drawn)} rows drawn in its range"
    answers = collect(ask, rows, drawn, "", net.levels)
    question = Question(rows.followed_by(drawn), len(rows), answers, data, versions)
    return _with_labels(question, net, given, session)


def _with_labels(
    question: Question, net: FittedNet, given: Namespace, session: RSession | None
) -> Question:
    """Return a copy of a question in which the answers include R's class of each row."""
    answers, asked = question.answers, (session, given.fit, "", given.trust)
    labels = find_labels(net, question.rows, answers.predictions, *asked)
    return replace(question, answers=replace(answers, labels=labels))


def _certify(
    net: FittedNet,
    question: Question,
    files: dict[str, str | bytes],
    given: Namespace,
    say: Say,
) -> Certificate:
    """Run the port (a PyTorch model), compare it, and return its certificate."""
    say("judging the port")
    from_raw = has_columns(net)
    arguments: dict[str, Any] = {"clip": None if given.smooth else NNET_CLIP}
    if net.terms is not None and not from_raw:
        arguments["encode"] = COLUMNS
    if not question.versions and question.count:
        arguments["x"] = question.rows.part(range(question.count))
    fit = PREDICTIONS if question.versions else os.path.abspath(given.fit)
    verdicts = judge_port(files, fit, arguments, say)
    clipped = clipped_share(net, question.answers.inputs)
    numbers = "the clipped logistic" if not given.smooth else "a logistic without nnet's clip"
    if not net.topology.hidden and net.topology.output != "logistic":
        numbers = "no logistic"
    start = "from raw rows, by columns()" if from_raw else "from the inputs of the net"
    versions = {"nnet-parity": find_version("nnet-parity"), **net.versions}
    versions |= question.versions
    versions |= {name: find_version(name) for name in ("torch", "numpy")}
    return Certificate(
        fit=one_line(given.fit.name),
        digest=net.digest,
        call=net.call,
        net=_describe(net),
        compared=f"model.Port, float64, {numbers}, {start}",
        witness=question.witness,
        data=question.data,
        verdicts=verdicts,
        clipped=clipped,
        caveats=_list_caveats(net, question.answers, clipped),
        versions=versions,
        date=datetime.now(UTC).date().isoformat(),
    )


def _list_caveats(net: FittedNet, answers: Answers, clipped: float) -> tuple[str, ...]:
    """Return sentences on the limits of a port's certificate; `clipped` is the share of hidden
    units beyond nnet's clip of the logistic's argument.
    """
    caveats = [SCALING, "gradients and training are not compared"]
    if net.terms is not None and not has_columns(net):
        caveats.append("model.py has no columns(): R's model.matrix makes its inputs")
    if answers.labels and (ties := int(are_ties(answers.predictions).sum())):
        caveats.append(
            f"{ties} of {len(answers.labels)} rows have a tie: probabilities within 1e-5 of each"
            " other, of which R draws the class; their classes are not compared"
        )
    if shift := describe_shift(net):
        caveats.append(shift)
    if clipped > MOSTLY:
        caveats.append(
            f"{100 * clipped:.3g} % of the hidden units are beyond nnet's clip here, and their"
            " weights hardly matter: were the data scaled before nnet()? A run without --data"
            " reaches them"
        )
    return tuple(caveats)


def _describe(net: FittedNet) -> str:
    """Return a fitted net in words: its units, and the call of nnet."""
    top = net.topology
    skip = " with skip" if top.hidden and top.has_skip else ""
    kind = "linear" if top.output == "identity" else top.output
    units = f"{top.inputs}-{top.hidden}-{top.outputs}{skip}"
    said = f"{units}, {kind} outputs, {top.n_weights} weights"
    if net.error != "squares":
        said += f", fitted by {net.error}"
    return f"{said}; classes {list_names(net.classes)}" if net.classes else said


def _store(net: FittedNet, question: Question) -> Stored:
    today = datetime.now(UTC).date().isoformat()
    rows, answers = question.rows, question.answers
    return store(net, rows, question.count, "", answers, question.versions, today)


def _write(folder: Path, files: dict[str, str | bytes], force: bool) -> None:
    """Write all files or none. Raises ValueError if a file exists that this command did not
    write.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is no folder, expected one to write into (-o)")
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
    """Return the SHA-256 digests of the files in an older certificate, by the names of the
    files.
    """
    try:
        held = json.loads(read_regular(path, MOST_OF_CERTIFICATE))
        return dict(held["files"]) if held["written_by"] == BY else {}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}


def _is_own(path: Path, known: dict[str, str]) -> bool:
    if path.name == CERTIFICATE:
        return bool(known)
    try:
        return known.get(path.name) == _digest(read_regular(path, MOST_BYTES))
    except ValueError:
        return False  # it is larger than a file of a port


def _digest(content: str | bytes) -> str:
    return sha256(content if isinstance(content, bytes) else content.encode()).hexdigest()
