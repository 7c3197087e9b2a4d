"""Command-line options that describe a network in the form of R's nnet()."""

from __future__ import annotations

from argparse import ArgumentParser as Parser
from argparse import Namespace

from harness.core.loss import Error, Loss
from reference.mathematics.network import Network
from reference.notation.activations import ACTIVATIONS, Output
from reference.proposing.r_call import choose_loss
from reference.proposing.sizes import parse_sizes, show_sizes

OF_OUTPUTS = {  # nnet's arguments on outputs, and their help
    "linout": "linear outputs",
    "entropy": "logistic outputs, fitted by entropy",
    "softmax": "softmax outputs, fitted by their log-likelihood",
    "censored": "softmax outputs, fitted as censored classes",
}
ERRORS: tuple[Error, ...] = ("entropy", "softmax", "censored")


def add_network_options(parser: Parser) -> None:
    """Define the options of a network: its sizes, and arguments of nnet()."""
    group = parser.add_argument_group("the network, as nnet() takes it")
    group.add_argument(
        "--nnet",
        metavar="SIZES",
        help="inputs-hidden-outputs, as print(fit) shows them: 1-4-1; 5+3-10-4+2 takes two inputs"
        " and returns two outputs",
    )
    outputs = group.add_mutually_exclusive_group()
    for name, said in OF_OUTPUTS.items():
        outputs.add_argument(f"--{name}", action="store_true", help=said)
    group.add_argument("--skip", action="store_true", help="the outputs read the inputs too")
    group.add_argument(
        "--logits",
        action="store_true",
        help="the model returns logits, not probabilities (with --entropy, --softmax, --censored)",
    )
    group.add_argument(
        "--activation",
        choices=ACTIVATIONS,
        default="logistic",
        help="of the hidden units (default: logistic, as in nnet)",
    )


def read_network(given: Namespace) -> tuple[Network, Loss]:
    """Return the network and the loss that the options describe.

    Raises ValueError, with a sentence, for invalid sizes and options that do not go together.
    """
    error = _read_error(given)
    if given.logits and not error:
        raise ValueError("--logits goes with --entropy, --softmax or --censored: say which")
    inputs, hidden, outputs = parse_sizes(given.nnet)
    output: Output = "logistic"
    if given.linout or given.logits:
        output = "identity"
    elif error in ("softmax", "censored"):
        output = "softmax"
    network = Network(inputs, hidden, outputs, given.activation, output, skip=given.skip)
    return network, choose_loss(network, error, given.logits)


def _read_error(given: Namespace) -> Error | None:
    """Return the kind of error by which nnet() fits the outputs, such as "entropy"; None for
    squares.
    """
    for error in ERRORS:
        if vars(given)[error]:
            return error
    return None


def show_options(network: Network) -> str:
    """Return the options that describe a network: "--nnet 1-4-1 --linout"."""
    words = ["--nnet", show_sizes(network.inputs, network.hidden, network.outputs)]
    words += {"identity": ["--linout"], "softmax": ["--softmax"]}.get(str(network.output), [])
    if network.has_skip and network.hidden:
        words.append("--skip")
    if network.hidden and network.activation != "logistic":
        words += ["--activation", network.activation]
    return " ".join(words)
