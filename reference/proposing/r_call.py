"""The call of R's nnet() for a network, and the loss that suits its outputs."""

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
    """Return the call of nnet() for a network with linear, logistic or softmax outputs.

    `error` is the error that nnet() minimises. Returns "" if nnet does not support the network.
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
    """Return the loss that suits a network's outputs: cross entropy for softmax, else squares.

    `error` names another error, "" the default. `from_logits` says that the outputs are logits.
    """
    errors: list[Error] = []
    for output in network.head_outputs:
        errors.append(error or ("softmax" if output == "softmax" else "squares"))
    if len(set(errors)) == 1:
        return Loss(error=errors[0], from_logits=from_logits)
    return Loss(error=errors, from_logits=from_logits)
