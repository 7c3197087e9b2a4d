"""Right ports of several networks, as their authors write them; each mistake overrides a part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness import Loss, Subject
from reference import Network

Act = Callable[[Tensor], Tensor]
LossOf = Callable[[Sequence[Tensor], Sequence[Tensor]], Tensor]


def softmax(z: Tensor) -> Tensor:
    return torch.softmax(z, dim=1)


ACTS: dict[str, Act] = {
    "tanh": torch.tanh,
    "logistic": torch.sigmoid,
    "relu": torch.relu,
    "softmax": softmax,
    "identity": lambda z: z,
}
LETTERS = "WV"


def sum_of_squares(outputs: Sequence[Tensor], targets: Sequence[Tensor]) -> Tensor:
    return sum_over(outputs, targets, lambda o, t: ((o - t) ** 2).sum())


def sum_over(
    outputs: Sequence[Tensor], targets: Sequence[Tensor], of: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    """Return the sum over the heads of a loss of one head."""
    return torch.stack([of(o, t) for o, t in zip(outputs, targets, strict=True)]).sum()


@dataclass(frozen=True)
class Spec:
    """A network, its loss, and the loss as an author writes it."""

    name: str
    network: Network
    loss: Loss = field(default_factory=Loss)
    own_loss: LossOf = sum_of_squares

    @property
    def is_squares(self) -> bool:
        return self.loss.is_squares

    @property
    def heads(self) -> int:
        return len(self.network.outputs)

    @property
    def output(self) -> str:
        return self.network.head_outputs[0]


class Net(nn.Module):
    """A right port: one hidden layer, one or two inputs and heads."""

    spec: Spec

    def __init__(self) -> None:
        super().__init__()
        network = self.spec.network
        first, *more = network.inputs
        self.hidden = nn.Linear(first, network.hidden)
        if more:
            self.hidden2 = nn.Linear(more[0], network.hidden, bias=False)
        self.out = nn.Linear(network.hidden, network.outputs[0])
        if self.spec.heads > 1:
            self.out2 = nn.Linear(network.hidden, network.outputs[1])

    @property
    def layers(self) -> list[nn.Linear]:
        return [self.out, self.out2] if self.spec.heads > 1 else [self.out]

    def enter(self, *xs: Tensor) -> Tensor:
        """Return the argument of the hidden layer's activation."""
        z: Tensor = self.hidden(xs[0])
        return z + self.hidden2(xs[1]) if len(xs) > 1 else z

    def inputs(self, *xs: Tensor) -> Sequence[Tensor]:
        return xs

    def act(self, z: Tensor) -> Tensor:
        return ACTS[self.spec.network.activation](z)

    def out_act(self, z: Tensor) -> Tensor:
        return ACTS[self.spec.output](z)

    def leave(self, h: Tensor) -> list[Tensor]:
        """Return the outputs of all heads from the hidden units."""
        return [self.out_act(layer(h)) for layer in self.layers]

    def outputs(self, outputs: list[Tensor]) -> Sequence[Tensor]:
        return outputs

    def forward(self, *xs: Tensor) -> Any:
        h = self.act(self.enter(*self.inputs(*xs)))
        outputs = self.outputs(self.leave(h))
        return outputs[0] if self.spec.heads == 1 else tuple(outputs)


def parameters_of(spec: Spec) -> dict[str, str]:
    """Return which block is which parameter, as an author writes it."""
    found = {"W1": "hidden.weight", "b": "hidden.bias", "W2": "out.weight", "b_w": "out.bias"}
    if len(spec.network.inputs) > 1:
        found["V1"] = "hidden2.weight"
    if spec.heads > 1:
        found |= {"V2": "out2.weight", "b_v": "out2.bias"}
    return found


def subject_of(spec: Spec, made: type[Net], loss: LossOf | None = None) -> Subject:
    """Return a port as its author hands it in, with a loss of its own if there is one."""
    model = type(made.__name__, (made,), {"spec": spec})

    def own(outputs: Any, targets: Any) -> Tensor:
        assert loss is not None
        o = [outputs] if isinstance(outputs, Tensor) else list(outputs)
        t = [targets] if isinstance(targets, Tensor) else list(targets)
        return loss(o, t)

    through = loss is not None and not spec.is_squares and spec.output != "identity"
    return Subject(
        model,
        parameters=parameters_of(spec),
        loss=own if loss else None,
        unfused_loss=through,
    )


def _mean_of_squares(outputs: Sequence[Tensor], targets: Sequence[Tensor]) -> Tensor:
    return sum_over(outputs, targets, F.mse_loss)


def _cross_entropy(outputs: Sequence[Tensor], targets: Sequence[Tensor]) -> Tensor:
    return F.cross_entropy(outputs[0], targets[0])


def _nll(outputs: Sequence[Tensor], targets: Sequence[Tensor]) -> Tensor:
    return -(targets[0] * torch.log(outputs[0]).clamp(min=-100)).sum()


def _bce(outputs: Sequence[Tensor], targets: Sequence[Tensor]) -> Tensor:
    return F.binary_cross_entropy(outputs[0], targets[0], reduction="sum")


SPECS = (
    Spec("sine 1-4-1", Network(1, 4, 1, "logistic")),
    Spec("two heads, tanh", Network((5, 5), 10, (5, 5), "tanh")),
    Spec("two heads, logistic", Network((5, 5), 10, (5, 5), "logistic", "logistic")),
    Spec("relu 3-4-2, mean", Network(3, 4, 2, "relu"), Loss("mean"), _mean_of_squares),
    Spec("logistic 3-5-1", Network(3, 5, 1, "logistic", "logistic")),
    Spec(
        "softmax 4-6-3",
        Network(4, 6, 3, "logistic", "softmax"),
        Loss(error="softmax"),
        _nll,
    ),
    Spec(
        "logits 4-6-3",
        Network(4, 6, 3, "tanh"),
        Loss("mean", error="softmax", from_logits=True),
        _cross_entropy,
    ),
    Spec(
        "binary 4-5-1",
        Network(4, 5, 1, "logistic", "logistic"),
        Loss(error="bce"),
        _bce,
    ),
)
