"""Mistakes in the wiring: activations that are omitted, added or at another place, and gradients
that stop.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.core.loss import ERRORS
from reference.faults.kinds import Fault
from reference.faults.outputs import ErrorsOf, find_any_errors, find_errors_of_logits
from reference.faults.rewired import Rewired, Wiring
from reference.mathematics.network import Network
from reference.mathematics.nodes import Node
from reference.mathematics.tape import Tape

Nodes = Sequence[Node[Any]]
ADDED = {"logistic": "sigmoid", "tanh": "tanh", "relu": "ReLU", "softmax": "softmax"}


def _is_linear(network: Network) -> bool:
    return set(network.head_outputs) == {"identity"}


def _is_activated(network: Network) -> bool:
    return network.activation != "identity" and "identity" not in network.head_outputs


def _has_wide_heads(network: Network) -> bool:
    return _is_linear(network) and min(network.outputs) > 1


def _has_two_heads(network: Network) -> bool:
    return len(network.outputs) == 2


def _compute_hidden_arguments(
    network: Network, tape: Tape[Any], blocks: Nodes, x: Node[Any]
) -> Node[Any]:
    """Return the arguments of the hidden units' activation, computed from inputs x."""
    return tape.weigh(x, blocks[0])


def _compute_output_arguments(
    network: Network, tape: Tape[Any], blocks: Nodes, x: Node[Any], h: Node[Any]
) -> Node[Any]:
    """Return the arguments of the outputs' activation, computed from hidden units h and inputs
    x.
    """
    return tape.weigh(tape.beside(h, x) if network.has_skip else h, blocks[1])


def _activate(
    network: Network, tape: Tape[Any], blocks: Nodes, x: Node[Any]
) -> tuple[Node[Any], Node[Any]]:
    """Return the hidden units, and the arguments of the outputs' activation, computed from inputs
    x.
    """
    h = tape.act(network.activation, _compute_hidden_arguments(network, tape, blocks, x))
    return h, _compute_output_arguments(network, tape, blocks, x, h)


def _without_activations(
    network: Network, tape: Tape[Any], blocks: Nodes, x: Node[Any]
) -> Node[Any]:
    return _compute_output_arguments(
        network, tape, blocks, x, _compute_hidden_arguments(network, tape, blocks, x)
    )


def _without_output_activation(
    network: Network, tape: Tape[Any], blocks: Nodes, x: Node[Any]
) -> Node[Any]:
    return _activate(network, tape, blocks, x)[1]


def _activate_outputs_too(name: str) -> Wiring:
    def change(network: Network, tape: Tape[Any], blocks: Nodes, x: Node[Any]) -> Node[Any]:
        return _activate_by_head(network, tape, name, _activate(network, tape, blocks, x)[1])

    return change


def _activate_by_head(network: Network, tape: Tape[Any], name: str, z: Node[Any]) -> Node[Any]:
    """Apply an activation to each head separately, since softmax is over the outputs of one
    head.
    """
    if name != "softmax" or len(network.outputs) == 1:
        return tape.act(name, z)
    heads, start = [], 0
    for width in network.outputs:
        heads.append(tape.act(name, tape.columns(z, start, start + width)))
        start += width
    return tape.beside(*heads)


def _activate_outputs_only(
    network: Network, tape: Tape[Any], blocks: Nodes, x: Node[Any]
) -> Node[Any]:
    return tape.act(network.activation, _without_activations(network, tape, blocks, x))


def _activate_inputs(network: Network, tape: Tape[Any], blocks: Nodes, x: Node[Any]) -> Node[Any]:
    z = _compute_hidden_arguments(network, tape, blocks, tape.act(network.activation, x))
    return network.activate(tape, _compute_output_arguments(network, tape, blocks, x, z))


def _add_bias_after(network: Network, tape: Tape[Any], blocks: Nodes, x: Node[Any]) -> Node[Any]:
    width = sum(network.inputs)
    weights = tape.columns(blocks[0], 1, 1 + width)
    bias = tape.spread(tape.columns(blocks[0], 0, 1))
    h = tape.add(tape.act(network.activation, tape.affine(x, weights)), bias)
    return network.activate(tape, _compute_output_arguments(network, tape, blocks, x, h))


def _stop_gradient(tape: Tape[Any], node: Node[Any]) -> Node[Any]:
    """Return a tensor with the same numbers that passes no gradient back, as `detach` does in
    torch.
    """
    return tape.leaf(node.value, node.shape)


def _make_detached(number: int, whole: bool) -> Wiring:
    """Return a wiring in which one of two heads (output tensors) gives no gradient to the hidden
    layer or, if `whole`, to any parameter.
    """

    def change(network: Network, tape: Tape[Any], blocks: Nodes, x: Node[Any]) -> Node[Any]:
        h, z = _activate(network, tape, blocks, x)
        apart = (
            _stop_gradient(tape, z)
            if whole
            else _compute_output_arguments(network, tape, blocks, x, _stop_gradient(tape, h))
        )
        first, total = network.outputs[0], sum(network.outputs)
        sources = [apart, z] if number == 0 else [z, apart]
        one = tape.columns(sources[0], 0, first)
        other = tape.columns(sources[1], first, total)
        return network.activate(tape, tape.beside(one, other))

    return change


def _make_left_out(
    name: str, words: str, errors: tuple[str, ...], errors_of: ErrorsOf
) -> tuple[Fault, ...]:
    """Return two faults (mistakes) for a loss with one of `errors`: the outputs lack their
    activation, and the network lacks every activation.
    """
    both = Rewired(
        f"no_activations{name}",
        "both activations are left out: that of the hidden units and that of the outputs",
        _without_activations,
        has_it=_is_activated,
        errors=errors,
        errors_of=errors_of,
    )
    of_outputs = Rewired(
        f"no_output_activation{name}",
        words,
        _without_output_activation,
        has_it=lambda network: "identity" not in network.head_outputs,
        errors=errors,
        errors_of=errors_of,
    )
    return both, of_outputs


NOT_SQUARES = tuple(error for error in ERRORS if error != "squares")
FAULTS: tuple[Fault, ...] = (
    _make_left_out("_of_squares", "", ("squares",), find_any_errors)[0],
    _make_left_out("_of_logits", "", NOT_SQUARES, find_errors_of_logits)[0],
    *_make_left_out(
        "_before_loss",
        "the activation of the outputs (softmax or sigmoid) is left out: they are logits, and the"
        " loss takes them for probabilities",
        NOT_SQUARES,
        find_any_errors,
    ),
    *(
        Rewired(
            f"{name}_added",
            f"{called} of the outputs is one activation too many: the reference's outputs are"
            " linear",
            _activate_outputs_too(name),
            has_it=_has_wide_heads if name == "softmax" else _is_linear,
            errors=("squares",),
        )
        for name, called in ADDED.items()
    ),
    Rewired(
        "activation_of_outputs",
        "the activation is at the wrong layer: it is of the outputs, expected of the hidden units",
        _activate_outputs_only,
        has_it=_is_linear,
    ),
    Rewired(
        "activation_of_inputs",
        "the activation is at the wrong place: it is of the inputs, expected of the hidden layer's"
        " sums",
        _activate_inputs,
    ),
    Rewired(
        "bias_after_activation",
        "the hidden bias is added after the activation, expected before it",
        _add_bias_after,
        has_it=lambda network: network.is_complete,
    ),
    *(
        Rewired(
            f"{name}_head_detached{'_whole' if whole else ''}",
            f"the {name} head gives no gradient to {'anything' if whole else 'the hidden layer'}"
            " (detach())",
            _make_detached(number, whole),
            "gradient",
            has_it=_has_two_heads,
        )
        for number, name in enumerate(("first", "second"))
        for whole in (False, True)
    ),
)
