"""The command `nnet-parity check`: judges a model without a test file."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from ast import literal_eval
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness import check as judge
from harness.core.contract import PRECISION
from harness.core.finding import HintKind
from harness.judging.case import Case
from harness.looking.named import Named, load_model, load_named
from harness.looking.seen import Seen
from harness.pytorch.subject import Subject
from harness.running.result import Result
from harness.same.case import same
from harness.text.harmless import printable
from reference.commands.network_options import add_network_options, read_network, show_options
from reference.fitted.case import fitted
from reference.implementations.numpy_net import numpy_net
from reference.mathematics.network import Network
from reference.probes.kinds import probes
from reference.proposing.proposal import Proposal, look_at_subject, propose
from reference.proposing.sizes import show_sizes
from reference.proposing.written import write_words
from reference.r.nnet_reference import r_nnet
from reference.rds.rows import Rows, split_names

SCRIPTS = "reproducers"


def check(parser: ArgumentParser) -> Callable[[Namespace], int]:
    """judge a PyTorch model in one command, without a test file

    With --nnet the model is compared with a network of R's nnet and the same in NumPy, at shared
    weights: outputs, loss and gradients. (Without R, NumPy alone judges.) With --like it is
    compared with another PyTorch model, or with an object that R has fitted.

    Examples:
      nnet-parity check model.py:Net --nnet 1-4-1 --linout
      nnet-parity check model.py:Net --nnet 4-3-3 --softmax --logits
      nnet-parity check model.py:Net --nnet 5+3-10-4+2 --linout --activation tanh
      nnet-parity check model.py:Net --like original.py:Net --data "(32, 10)"
      nnet-parity check model.py:Net --like original.py:Net --data data.py:make
      nnet-parity check port.py:Port --like fit.rds --data rows.csv --y y

    `nnet-parity init model.py:Net` writes the same as a test, to be kept.

    Exit code: 0 if all passed; 1 if something failed, or nothing could be judged; 2 if what was
    given cannot be used.
    """
    parser.add_argument(
        "model", metavar="FILE:MODEL", help="a class of models, or a function that builds one"
    )
    add_network_options(parser)
    other = parser.add_argument_group("another model")
    other.add_argument(
        "--like",
        metavar="FILE:MODEL|FIT.rds",
        help="another PyTorch model, or what saveRDS(fit) wrote",
    )
    other.add_argument(
        "--data",
        metavar="DATA",
        help='what both are called with: a shape "(32, 10)", words "integers 0..99 (32, 10)", or'
        " data.py:make; of a fit the raw rows, as rows.csv",
    )
    other.add_argument(
        "--y", metavar="A,B", help="of a fit: the columns of the targets, numbers or classes"
    )
    other.add_argument(
        "--columns", metavar="A,B", help="of a fit on a matrix: the columns that it takes, in order"
    )
    other.add_argument(
        "--trust", action="store_true", help="of a fit: let R evaluate any formula that it holds"
    )
    parser.add_argument("--no-r", action="store_true", help="let NumPy judge, and do not start R")
    parser.add_argument(
        "--dtype",
        action="append",
        choices=PRECISION,
        help="may be repeated (default: float64 and float32)",
    )
    parser.add_argument(
        "--device",
        action="append",
        default=[],
        metavar="cpu|cuda|cuda:N",
        help="may be repeated (default: the devices of this machine)",
    )
    parser.add_argument(
        "--report-dir",
        type=Path,
        metavar="DIR",
        help="write the report and a script of each failure into this folder",
    )
    return _check


def _check(given: Namespace) -> int:
    try:
        named = load_model(given.model, _say)
        case = _make_case(named, given)
        folder: Path | None = given.report_dir
        scripts = None
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            scripts = folder / SCRIPTS
        result = judge(case, devices=given.device, reproducers=scripts)
        print(printable(str(result)))
        if not result.ok and (why := _explain(named, case, result)):
            print(printable(why))
        if folder is not None:
            result.save(folder)
            print(printable(f"report: {folder / 'index.html'}"))
    except KeyboardInterrupt:
        print("interrupted; there is no result", file=sys.stderr)
        return 130
    except TypeError as error:  # a sentence on an argument of a case
        raise ValueError(str(error)) from error
    return int(not result.ok)


def _make_case(named: Named, given: Namespace) -> Case:
    """Return the case for the options. Raises ValueError or TypeError, with a sentence, for options
    that do not go together.
    """
    if given.like and given.nnet:
        raise ValueError("--nnet and --like were given, expected one of them")
    if (given.data or given.y or given.columns or given.trust) and not given.like:
        raise ValueError("--data, --y, --columns and --trust go with --like, which was not given")
    if given.like:
        return _compare(named, given)
    if not given.nnet:
        proposal, options = _propose(named), "--nnet 1-4-1 --linout"
        if proposal is not None and isinstance(proposal.network, Network):
            options = show_options(proposal.network)
        raise ValueError(
            f"what is {named.name} compared with? Give {options} for a network of R's nnet, or"
            " --like original.py:Net for another PyTorch model"
        )
    network, loss = read_network(given)
    return Case(
        name=f"nnet {given.nnet}",
        network=network,
        subjects=[_make_subject(named, network)],
        references=[numpy_net] if given.no_r else [r_nnet, numpy_net],
        problems=probes(loss=loss),
        **_dtypes(given),
    )


def _make_subject(named: Named, network: Network) -> Subject:
    """Return the model as a subject (a model under test).

    The assignment of its parameters to the network's blocks (parameter tensors) follows from names
    and shapes; if these leave a choice, it is found by trying, else assumed. Raises ValueError if
    the parameters do not fit a network of these sizes.
    """
    subject = Subject(named.thing, name=named.name)
    try:
        subject.formulation(network)
    except ValueError as error:
        proposal, asked = _propose(named), show_options(network)
        shapes = [f"{name} {shape}" for name, shape in _look(named).shapes.items()]
        said = f"{named.name} is not the network of {asked}: its parameters are {', '.join(shapes)}"
        if proposal is None:
            raise ValueError(f"{said}; give --like original.py:Net to compare it with") from error
        if proposal.words and _show_sizes(proposal) == _show_sizes(Proposal(network)):
            _say(f"assumed that the parameters of {named.name} are {write_words(proposal.words)}")
            return replace(subject, parameters=proposal.words)
        raise ValueError(f"{said}, which fit {_describe(named, proposal)}") from error
    return subject


def _show_sizes(proposal: Proposal) -> str:
    """Return the sizes of a proposed network, with its skip connections, as text."""
    network = proposal.network
    if not isinstance(network, Network):
        return ""
    sizes = show_sizes(network.inputs, network.hidden, network.outputs)
    return f"{sizes} {network.has_skip}"


def _describe(named: Named, proposal: Proposal) -> str:
    """Return the options of a proposed network, or advice on several layers."""
    if isinstance(proposal.network, Network):
        return f"`{show_options(proposal.network)}`"
    return (
        f"{proposal.sentence()}: `nnet-parity init {named.file.name}:{named.name}` writes a test of"
        " these equations"
    )


def _propose(named: Named) -> Proposal | None:
    """Return the network that a model seems to compute, or None."""
    return propose(Subject(named.thing, name=named.name), _look(named))


def _explain(named: Named, case: Case, result: Result) -> str:
    """Return a sentence if a failing model computes another network than the requested one; else
    "". An option that was given is meant: no other is proposed where a likely cause is known.
    """
    if not isinstance(case.network, Network):
        return ""
    proposal = _propose(named)
    if proposal is None or not proposal.is_computed or not isinstance(proposal.network, Network):
        return ""
    options, asked = show_options(proposal.network), show_options(case.network)
    hints = [hint for finding in result.findings for hint in finding.hints]
    is_explained = any(hint.kind is HintKind.LIKELY for hint in hints)
    if options == asked or (is_explained and not set(asked.split()) <= set(options.split())):
        return ""
    return (
        f"{named.name} gives the outputs of `{options}`: if that is your call of nnet(), give these"
        " options"
    )


def _look(named: Named) -> Seen:
    return look_at_subject(Subject(named.thing, name=named.name))


def _compare(named: Named, given: Namespace) -> Case:
    """Return the case that compares a model with another one, or with an object of R."""
    if given.like.lower().endswith(".rds"):
        if not Path(given.like).is_file():
            raise ValueError(f"{given.like} is not there (in {Path.cwd()})")
        return _compare_fitted(named, given)
    if not given.data:
        raise ValueError(
            '--like needs --data, what both models are called with: a shape, as --data "(32, 10)",'
            " or a function that makes it, as --data data.py:make"
        )
    reference = load_model(given.like, _say)
    return same(named.thing, reference.thing, data=_read_data(given.data), **_dtypes(given))


def _compare_fitted(named: Named, given: Namespace) -> Case:
    """Return the case that compares a model with an object of R, on the chosen columns."""
    y = split_names(given.y) if given.y else None
    rows: Path | Rows | None = _path(given.data) if given.data else None
    if rows is not None and given.columns:
        rows = Rows.of(rows)
        rows = rows.chosen([*split_names(given.columns), *(y or ())])
    target = y[0] if y is not None and len(y) == 1 else y
    fit = Path(given.like).absolute()
    return fitted(fit, named.thing, x=rows, y=target, trust=given.trust)


def _path(text: str) -> Path:
    """Return the path of a file of rows. Raises ValueError if it does not exist."""
    path = Path(text).absolute()
    if not path.is_file():
        raise ValueError(f"--data {text} is not there (in {Path.cwd()}), expected a file of rows")
    return path


def _read_data(text: str) -> Any:
    """Return the data that an option describes, in a form for `same`: a shape, words, or an object
    of a Python file.
    """
    if ".py" in text:
        return load_named(text, _say).thing
    try:
        return literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _dtypes(given: Namespace) -> dict[str, Any]:
    return {"dtypes": given.dtype} if given.dtype else {}


def _say(text: str) -> None:
    print(f"nnet-parity: {printable(text)}", file=sys.stderr, flush=True)
