"""Tests whether a port's parameters have the meaning that their names and shapes suggest.

Other parameters are put into a copy of the port. If it then computes the network's equations at the
corresponding theta, the meaning is right. A weight that differs from the fitted one is then really
another weight, even if no row shows it. In shapes, P counts the port's own parameters.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np

from harness.comparing.judge import outside
from harness.core.contract import Array
from harness.core.formulation import Formulation
from harness.core.layout import Block
from harness.shipped.asking import Port, Predicted, predict
from harness.shipped.port_trial import PortTrial
from harness.shipped.truth import Table
from harness.shipped.weights import Held

DRAWS = 3


def confirms_meaning(port_trial: PortTrial, held: Held) -> bool:
    """Does the port (a PyTorch model) compute the network's equations at random parameters, if each
    of its parameters is the weight that was assumed?

    Also returns False if this cannot be tested: the parameters are not the network's in another
    order, or the inputs of the network are unknown.
    """
    port, formulation = port_trial.port, held.formulation
    table = port_trial.truth.tables[-1]
    if not isinstance(port, Port) or not formulation.is_renaming or table.inputs is None:
        return False
    rng = np.random.default_rng(0)
    for _ in range(DRAWS):
        theta = _draw(formulation, table, rng)
        own = formulation.pull_back(theta[None])[0]  # the inverse of a renaming
        if not _computes(port_trial, _with_parameters(port, own), theta, table):
            return False
    return True


def _draw(formulation: Formulation, table: Table, rng: np.random.Generator) -> Array:
    """Return random network parameters (T,) for which the arguments of the hidden and output units
    are of ordinary size on a table's rows.
    """
    theta = rng.normal(size=formulation.network.layout.size)
    inputs = np.asarray(table.inputs)
    spread = inputs.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0) * np.sqrt(inputs.shape[1])
    centre, start = inputs.mean(axis=0), 0
    blocks = formulation.network.layout.blocks
    for block in blocks:
        if block.role != "weight" or block.group is None:
            continue
        width = block.places.shape[1]
        columns = slice(start, start + width)
        biases = next(each for each in blocks if _is_bias_of(each, block))
        for row, bias in zip(block.places, biases.places, strict=True):
            in_network = row >= 0
            theta[row[in_network]] /= spread[columns][in_network]
            theta[bias] -= theta[row[in_network]] @ centre[columns][in_network]
    return theta


def _is_bias_of(bias: Block, weight: Block) -> bool:
    return bias.role == "bias" and (bias.layer, bias.head) == (weight.layer, weight.head)


def _with_parameters(port: Port, own: Array) -> Port:
    """Return a copy of a port (a PyTorch model) with the parameters `own` (P,), flattened."""
    import torch

    module: Any = copy.deepcopy(port.module)
    start = 0
    with torch.no_grad():
        for parameter in module.parameters():
            part = own[start : start + parameter.numel()].reshape(parameter.shape)
            parameter.copy_(torch.tensor(part, dtype=parameter.dtype))
            start += parameter.numel()
    return Port(module, own, port.device)


def _computes(port_trial: PortTrial, port: Port, theta: Array, table: Table) -> bool:
    """Does a port (a PyTorch model) compute the network with the parameters `theta` on a table's
    rows?
    """
    dtype, width = port_trial.trial.dtype, table.predictions.shape[1]
    predicted = predict(port, replace(table, incomplete=()), width, dtype)
    if not isinstance(predicted, Predicted):
        return False
    problem = replace(port_trial.truth.problem(table, dtype), own=theta[None])
    for contract in port_trial.contracts:
        bound = port_trial.bounds(problem, contract)["forward"]
        if not outside(predicted.outputs[None], bound, contract.largest):
            return True
    return False
