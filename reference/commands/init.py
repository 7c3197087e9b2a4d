"""The command `nnet-parity init`: writes a test of a model."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path

from harness.looking.named import Named, load_model
from harness.looking.seen import Seen
from harness.pytorch.subject import Subject
from harness.text.files import replace_whole
from harness.text.harmless import printable
from harness.text.shell import path_word, shell_line
from reference.commands.network_options import show_options
from reference.mathematics.network import Network
from reference.nnet.networks import cannot_compute
from reference.proposing.proposal import Proposal, look_at_subject, propose
from reference.proposing.r_call import write_r_call
from reference.proposing.written import name_test, write_case


def init(parser: ArgumentParser) -> Callable[[Namespace], int]:
    """write a test of a PyTorch model, to be read, completed and kept

    Builds the model, looks at its parameters and calls it, to find the network that it computes
    (one hidden layer as R's nnet, or several layers). Writes a whole test file of it beside the
    model, and says what the test proves. Of any other model it writes a comparison with another
    PyTorch model, in which two things are to be filled in.

    Examples:
      nnet-parity init model.py:Net                 writes test_net.py beside model.py
      nnet-parity init model.py:Net -o test_it.py
      nnet-parity init package/model.py:make_net    a function that builds a model

    Exit code: 0; 2 if the model cannot be found or built, or the file is there: nothing is written
    then.
    """
    parser.add_argument(
        "model", metavar="FILE:MODEL", help="a class of models, or a function that builds one"
    )
    parser.add_argument(
        "-o",
        dest="file",
        metavar="FILE",
        type=Path,
        help="the file to write (default: test_NAME.py beside the model)",
    )
    return _init


def _init(given: Namespace) -> int:
    try:
        named = load_model(given.model, _say)
        file = given.file or named.file.parent / f"{name_test(named.name)}.py"
        if os.path.lexists(file):
            raise ValueError(f"{_show(file)} is there, and stays as it is: give another file (-o)")
        subject = Subject(named.thing, name=named.name)
        seen = look_at_subject(subject)
        proposal = propose(subject, seen)
        text = write_case(named, proposal)
        replace_whole({file: text})
    except KeyboardInterrupt:
        print("interrupted; nothing was written", file=sys.stderr)
        return 130
    except TypeError as error:  # a sentence on a model that cannot be built
        raise ValueError(str(error)) from error
    for line in _describe(named, file, proposal, seen):
        print(printable(line))
    return 0


def _describe(named: Named, file: Path, proposal: Proposal | None, seen: Seen) -> list[str]:
    """Return lines on the written test, the kind of evidence that it gives, and the next steps."""
    run = shell_line("pytest", path_word(_show(file)))
    name = named.name
    lines = [f"wrote    {_show(file)}"]
    if proposal is None:
        why = f": {seen.why}" if seen.why else ""
        lines.append(f"found    no network with these parameters, and no chain of layers{why}")
        lines.append(f"fill in  the model that {name} should equal, and the data that both take")
        lines.append(f"then     {run}")
        return lines
    lines.append(f"found    {_find(name, proposal, seen)}")
    network = proposal.network
    if isinstance(network, Network):
        if call := write_r_call(network):
            lines.append(f"in R     {call}")
        elif reason := cannot_compute(network):
            lines.append(f"in R     not: {reason}")
        lines.append(f"or now   nnet-parity check {named.file.name}:{name} {show_options(network)}")
    lines.append(f"run      {run}")
    lines.append(
        "proves   outputs, loss and gradients are those of this network, at drawn weights and"
        " inputs, up to rounding"
    )
    lines.append(f"not      that it is the network you mean: read it in {file.name}")
    return lines


def _find(name: str, proposal: Proposal, seen: Seen) -> str:
    said = proposal.sentence()
    if proposal.is_computed:
        return f"{said} ({name} gives the same outputs at random numbers)"
    calls = f", and calls {' and '.join(seen.unknown)}" if seen.unknown else ""
    return f"{said} (a guess: {name} gives other outputs at random numbers{calls})"


def _show(file: Path) -> str:
    """Return a path relative to the working folder, if it is in it."""
    path = file.absolute()
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _say(text: str) -> None:
    print(f"nnet-parity: {printable(text)}", file=sys.stderr, flush=True)
