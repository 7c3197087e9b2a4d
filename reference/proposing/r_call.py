"""The call of R's nnet() that has a network, and the loss that belongs to its outputs."""

from __future__ import annotations

from harness.core.loss import Error, Loss
from reference.mathematics.network import Network
from reference.nnet.networks import cannot_compute

FITTED = {  # how nnet fits outputs, and the argument that says so
    "squares": "",
    "entropy": "entropy = TRUE",
    "softmax": "softmax = TRUE",
    "censored": "censored = TRUE",
}


def write_r_call(network: Network, error: str = "squares") -> str:
    """Return the call of nnet() that has a network with linear, logistic or softmax outputs.

    `error` is the one by which nnet() fits them. Returns "" if nnet has no such network.
    """
    if cannot_compute(network) or network.activation == "tanh":
        return ""
    parts = ["x", "y", f"size = {network.hidden}"]
    if network.has_skip:
        parts.append("skip = TRUE")
    if network.output == "identity":
        parts.append("linout = TRUE")
    elif network.output == "softmax":
        parts.append("softmax = TRUE")
    elif FITTED[error]:
        parts.append(FITTED[error])
    return f"nnet({', '.join(parts)})"


def choose_loss(network: Network, error: Error | None = None, from_logits: bool = False) -> Loss:
    """Return the loss that belongs to a network's outputs: of softmax its own, else squares.

    `error` is another one, if it is given.
    """
    errors: list[Error] = []
    for output in network.head_outputs:
        errors.append(error or ("softmax" if output == "softmax" else "squares"))
    if len(set(errors)) == 1:
        return Loss(error=errors[0], from_logits=from_logits)
    return Loss(error=errors, from_logits=from_logits)
