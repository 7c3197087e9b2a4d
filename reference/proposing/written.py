"""Writes the test file of a model, to be read and completed by a person."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from typing import Any

from harness.looking.named import Named
from harness.text.harmless import one_line
from harness.text.python import quoted
from reference.mathematics.network import Network
from reference.nnet.networks import cannot_compute
from reference.proposing.proposal import Proposal
from reference.proposing.r_call import choose_loss, write_r_call

WIDTH = 98
OTHER_MODEL = """
# Fill in two things:
# 1. the model that {name} should equal: a class, or a function that builds one;
# 2. the data that both are called with: a shape as (32, 10), a tuple of shapes for several inputs,
#    tensors, "integers 0..99 (32, 10)", or a function of a torch.Generator.
from other import Reference

DATA = (32, 10)

{test} = verify(same({name}, Reference, data=DATA))
"""
MORE = """\

# More that can be asked, each in a line of the case:
# - at your own data:        problems=[probes(), OnData(x, y)]
# - of a mean, as MSELoss:   problems=probes(loss=Loss("mean"))
# - of logits of classes:    problems=probes(loss=Loss(error="softmax", from_logits=True))
# - of a loss of your own:   subjects=[Subject({name}, loss=my_loss)]
# - of it in training:     problems=Population(...), see docs/training.md
# And of its own weights, if R has fitted them:
#   test_fit = verify(fitted("fit.rds", {name}, x="rows.csv", y="y")), see docs/from-r.md
"""


def name_test(name: str) -> str:
    """Return the name of a model's test: "SineNet" gives "test_sine_net"."""
    parts = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return f"test_{parts.lower()}"


def write_case(named: Named, proposal: Proposal | None) -> str:
    """Return the text of the test file of a model. Without a proposal for its network, it is the
    text of a comparison with another model.
    """
    name, test = named.name, name_test(named.name)
    if proposal is None:
        head = [f'"""Is {name} the same model as another one?"""', ""]
        head += [f"from {named.module} import {name}", "from nnet_parity import same, verify"]
        return "\n".join([*head, OTHER_MODEL.format(name=name, test=test)])
    by_r = not cannot_compute(proposal.network)
    who = "R's nnet and NumPy do" if by_r else "these equations say"
    imports = ["Case", *(["Subject"] if proposal.words else []), "numpy_net", "probes", "verify"]
    imports += ["r_nnet"] if by_r else []
    is_network = isinstance(proposal.network, Network)
    imports.append("Network" if is_network else "Equations")
    loss = _write_loss(proposal)
    imports += ["Loss"] if loss else []
    lines = [f'"""Does {name} compute and differentiate what {who}?"""', ""]
    lines += [f"from {named.module} import {name}"]
    lines += [f"from nnet_parity import {', '.join(sorted(imports, key=_order))}", ""]
    lines += _comment(_describe(name, proposal))
    lines += _write_network(proposal)
    lines += _write_subject(name, proposal)
    references = "[r_nnet, numpy_net]" if by_r else "[numpy_net]"
    lines += ["", f"{test} = verify(", "    Case(", f"        name={quoted(name)},"]
    subject = "subject" if proposal.words else name
    lines += ["        network=network,", f"        subjects=[{subject}],"]
    lines += [f"        references={references},", f"        problems=probes({loss}),"]
    lines += ["    )", ")"]
    return "\n".join(lines) + "\n" + MORE.format(name=name)


def _order(name: str) -> tuple[bool, str]:
    return name[0].islower(), name


def _describe(name: str, proposal: Proposal) -> str:
    """Return the known facts about the network, and the points that its user has to check."""
    network = proposal.network
    if proposal.is_computed:
        said = f"This network was read off {name}: both give the same outputs at random numbers. "
        said += f"So the test proves that {name} is this network, not that it is the one you mean. "
    else:
        said = f"A guess from the shapes of {name}'s parameters: at random numbers {name} gives"
        said += " other outputs than this network. Write the network that it is meant to be; the"
        said += f" test then says where {name} goes wrong. "
    if not isinstance(network, Network):
        return said + "Compare it with the original, line by line."
    if call := write_r_call(network):
        return f"{said}Compare it with your call in R: {call}"
    if why := cannot_compute(network):
        return f"{said}R does not judge it: {why}."
    return said + (
        "R's nnet has no tanh: it judges this network by logistic units of other weights, which"
        " compute the same."
    )


def _comment(text: str) -> list[str]:
    return textwrap.wrap(
        one_line(text), WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False
    )


def _write_network(proposal: Proposal) -> list[str]:
    network, chain = proposal.network, proposal.chain
    if chain is not None:
        lines = ["def forward(m, p, x):", *chain.lines(), "", ""]
        shapes = ", ".join(f"{quoted(name)}: {shape}" for name, shape in chain.shapes().items())
        lines += ["network = Equations(", '    "layers",']
        lines += [f"    inputs={chain.layers[0].width},", f"    outputs={chain.layers[-1].height},"]
        return ["", "", *lines, f"    shapes={{{shapes}}},", "    forward=forward,", ")"]
    assert isinstance(network, Network)
    parts = [f"inputs={_show(network.inputs)}", f"hidden={network.hidden}"]
    parts.append(f"outputs={_show(network.outputs)}")
    if network.hidden:
        parts.append(f"activation={quoted(network.activation)}")
    output = network.output
    shown = quoted(output) if isinstance(output, str) else _tuple(map(quoted, output))
    parts.append(f"output={shown}")
    if network.has_skip and network.hidden:
        parts.append("skip=True")
    return [f"network = Network({', '.join(parts)})"]


def _show(widths: tuple[int, ...]) -> str:
    return str(widths[0]) if len(widths) == 1 else str(widths)


def _tuple(parts: Any) -> str:
    return f"({', '.join(parts)})"


def _write_subject(name: str, proposal: Proposal) -> list[str]:
    if not proposal.words:
        return []
    lines = ["", "# which of its parameters is which block of the network"]
    lines += ["subject = Subject(", f"    {name},", "    parameters={"]
    for block, part in proposal.words.items():
        lines.append(f"        {quoted(block)}: {_write_part(part)},")
    return [*lines, "    },", ")"]


def write_words(words: Mapping[str, Any]) -> str:
    """Return the text of a dict from each block to its parameter."""
    parts = []
    for block, part in words.items():
        parts.append(f"{quoted(block)}: {_write_part(part)}")
    return f"{{{', '.join(parts)}}}"


def _write_part(part: Any) -> str:
    return quoted(part) if isinstance(part, str) else str(part)


def _write_loss(proposal: Proposal) -> str:
    """Return the arguments of probes(): the loss, unless it is a sum of squares."""
    if not isinstance(proposal.network, Network):
        return ""
    error = choose_loss(proposal.network).error
    if error == "squares":
        return ""
    shown = quoted(error) if isinstance(error, str) else _tuple(map(quoted, error))
    return f"loss=Loss(error={shown})"
