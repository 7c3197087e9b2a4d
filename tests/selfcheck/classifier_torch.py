"""Stacks of networks as PyTorch modules, with the losses that a subject's are computed by.

In shapes, D counts draws (problems of a stack), R rows of data, O outputs, and T parameters.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from harness.core.contract import BCE_LEAST, Array, Contract
from harness.core.layout import Block
from harness.core.problem import Problem
from harness.model.losses import reduce_errors
from reference import Network
from reference.mathematics.losses import ACTIVATION_OF

ACTIVATIONS = {
    "identity": lambda z: z,
    "logistic": torch.sigmoid,
    "softmax": lambda z: torch.softmax(z, -1),
    "tanh": torch.tanh,
}


class Stack(nn.Module):
    """D networks at once: each block of parameters is a tensor (D, n, k) or (D, 1, n)."""

    def __init__(self, network: Network, theta: Array, dtype: torch.dtype) -> None:
        super().__init__()
        self.network = network
        self.blocks = nn.ParameterDict()
        for block in network.layout.blocks:
            places = _matrix(block)
            numbers = np.where(places >= 0, theta[:, places], 0.0)
            self.blocks[block.name] = nn.Parameter(torch.tensor(numbers, dtype=dtype))

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the outputs (D, R, K) of each head, from all groups of inputs (D, R, I)."""
        ends = np.cumsum([0, *self.network.inputs])
        groups = [x[..., start:end] for start, end in pairwise(ends.tolist())]
        hidden: Tensor | None = None
        sums: list[Tensor | None] = [None] * len(self.network.outputs)
        for block in self.network.layout.blocks:
            term: Tensor = self.blocks[block.name]
            if block.role == "weight":
                if block.group is None:
                    assert hidden is not None
                    term = hidden @ term.mT
                else:
                    term = groups[block.group] @ term.mT
            if block.head is not None:
                before = sums[block.head]
                sums[block.head] = term if before is None else before + term
            else:
                hidden = term if hidden is None else hidden + term
                if block.role == "bias":  # the last of its layer
                    hidden = ACTIVATIONS[self.network.activation](hidden)
        outputs = []
        for name, z in zip(self.network.head_outputs, sums, strict=True):
            assert z is not None
            outputs.append(ACTIVATIONS[name](z))
        return outputs


def _matrix(block: Block) -> Array:
    """Return the places of a block as a matrix; a bias is one row."""
    return block.places if block.places.ndim == 2 else block.places[None]


def _activate(error: str, z: Tensor) -> Tensor:
    """Return the probabilities of logits, of which a head has an error; squares have none."""
    return z if error == "squares" else ACTIVATIONS[ACTIVATION_OF[error]](z)


def contract_of(dtype: str, unfused: bool) -> Contract:
    """Return the contract of a subject with the harness's loss, or with one of its own that goes
    from logits through probabilities.
    """
    if unfused:
        return Contract(dtype, own_loss=True).through_probabilities()
    return Contract(dtype, log_least=BCE_LEAST, unfused_slope=True)


def answer(problem: Problem, dtype: str, unfused: bool = False) -> dict[str, Array]:
    """Return torch's outputs, loss and gradients by theta and by the inputs, of numbers that the
    dtype holds; `unfused` losses of logits go through probabilities.
    """
    network, loss = problem.formulation.network, problem.loss
    assert isinstance(network, Network)
    kind = getattr(torch, dtype)
    stack = Stack(network, problem.theta, kind)
    x = torch.tensor(problem.inputs, dtype=kind, requires_grad=True)
    targets = torch.tensor(problem.targets, dtype=kind).split(network.outputs, dim=-1)
    heads = stack(x)
    judged = heads
    if unfused:
        errors = loss.errors(len(heads))
        judged = [_activate(error, z) for error, z in zip(errors, heads, strict=True)]
        loss = replace(loss, from_logits=False)
    total = sum(reduce_errors(loss, judged, targets))
    if problem.loss.has_decay:
        for block in network.layout.blocks:
            decay = torch.tensor(problem.decays[_matrix(block)], dtype=kind)
            total = total + (decay * stack.blocks[block.name] ** 2).sum((-2, -1))
    assert isinstance(total, Tensor)
    total.sum().backward()  # each draw's loss has parameters and inputs of its own
    gradient = np.zeros(problem.theta.shape)
    for block in network.layout.blocks:
        places = _matrix(block)
        slope = stack.blocks[block.name].grad
        if slope is not None:
            gradient[:, places[places >= 0]] = slope.numpy()[:, places >= 0]
    assert x.grad is not None
    return {
        "forward": torch.cat(heads, -1).detach().double().numpy(),
        "loss": total.detach().double().numpy(),
        "gradient": gradient,
        "input_gradient": x.grad.double().numpy(),
    }
