"""The networks that R's nnet supports, and a tanh network in its form."""

from dataclasses import replace
from functools import cache

import numpy as np
from scipy import sparse

from harness.core.formulation import Family, Formulation
from harness.core.linear import LinearMap
from reference.mathematics.network import Network

BEYOND_MEMORY = "nnet writes beyond its memory for a softmax with fewer weights than units"

_NAMES = {"relu": "ReLU"}  # of activations, for people


def cannot_compute(network: Family) -> str:
    """Return why nnet does not support a network; "" if it does."""
    if not isinstance(network, Network):
        return "R nnet has no such network"
    if network.hidden and network.activation not in ("logistic", "tanh"):
        return f"R nnet has no {_NAMES.get(network.activation, network.activation)} units"
    return _cannot_put_out(network)


def _cannot_put_out(network: Network) -> str:
    """Return why nnet does not support a network's outputs and their activations; "" if it does."""
    if not isinstance(network.output, str):
        return "R nnet has one activation for all outputs, not one for each head"
    if network.output not in ("identity", "logistic", "softmax"):
        return f"R nnet has no {_NAMES.get(network.output, network.output)} outputs"
    if network.output != "softmax":
        return ""
    if len(network.outputs) > 1:
        return "R nnet's softmax is one over all outputs, not one for each head"
    if network.outputs == (1,):
        return "R nnet's softmax is of two outputs or more"
    return BEYOND_MEMORY if is_beyond_memory(network) else ""


def is_beyond_memory(network: Network) -> bool:
    """Would nnet write a softmax of this network's outputs beyond its memory?

    Its array of probabilities has as many numbers as there are weights (Probs in nnet.c), but it is
    indexed by the number of the output among all units.
    """
    units = 1 + sum(network.inputs) + network.hidden + sum(network.outputs)
    return network.layout.size < units


@cache
def as_logistic(network: Network) -> Formulation:
    """Return the map from the parameters of a tanh network to those of a logistic network with the
    same outputs.

    Since tanh(z) = 2 logistic(2z) - 1, it doubles the weights and biases of hidden units, and the
    weights of outputs for hidden units. From the bias of each output it subtracts the sum of the
    output's weights for hidden units.
    """
    size, blocks = network.layout.size, network.layout.blocks
    biases = {block.head: block.places for block in blocks if block.role == "bias"}
    factors, rows, columns = np.ones(size), [np.arange(size)], [np.arange(size)]
    for block in blocks:
        places = block.places
        of_hidden_units = block.role == "weight" and block.layer == 2 and block.group is None
        if block.layer == 1 or of_hidden_units:
            factors[places[places >= 0]] = 2
        if of_hidden_units:
            of_rows = np.broadcast_to(biases[block.head][:, None], places.shape)
            rows.append(of_rows[places >= 0])
            columns.append(places[places >= 0])
    entries = np.concatenate([factors, np.full(sum(map(len, rows[1:])), -1.0)])
    matrix = sparse.coo_array(
        (entries, (np.concatenate(rows), np.concatenate(columns))), shape=(size, size)
    )
    N, zero = LinearMap.of(sparse.csr_array(matrix)), np.zeros(size)
    logistic = replace(network, activation="logistic")
    return Formulation(network.layout, logistic, N, zero, N.absolute, zero, zero != 0)
