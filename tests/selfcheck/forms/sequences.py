"""Forms of a network of one group and one head as a sequence of PyTorch's own layers."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import Tensor, nn

from reference import Network

LAYERS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "logistic": nn.Sigmoid,
    "tanh": nn.Tanh,
    "identity": nn.Identity,
}


def layers(network: Network) -> list[nn.Module]:
    """Return the layers of a network."""
    (inputs,), (outputs,) = network.inputs, network.outputs
    return [
        nn.Linear(inputs, network.hidden),
        LAYERS[network.activation](),
        nn.Linear(network.hidden, outputs),
        LAYERS[network.output](),
    ]


def sequential(network: Network) -> nn.Module:
    return nn.Sequential(*layers(network))


def named(network: Network) -> nn.Module:
    names = ["into", "act", "out", "last"]
    return nn.Sequential(OrderedDict(zip(names, layers(network), strict=True)))


def nested(network: Network) -> nn.Module:
    into, act, out, last = layers(network)
    return nn.Sequential(nn.Sequential(into, act), nn.Sequential(out, last))


def without_identities(network: Network) -> nn.Module:
    return nn.Sequential(*(one for one in layers(network) if not isinstance(one, nn.Identity)))


class Listed(nn.Module):
    """A ModuleList, one layer after the other."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers(network))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


def lazy(network: Network) -> nn.Module:
    _, act, _, last = layers(network)
    into, out = nn.LazyLinear(network.hidden), nn.LazyLinear(network.outputs[0])
    return nn.Sequential(into, act, out, last)


def convolved(network: Network) -> nn.Module:
    """Layers of convolutions of one point."""
    into, act, out, last = layers(network)
    assert isinstance(into, nn.Linear)
    assert isinstance(out, nn.Linear)
    return nn.Sequential(
        nn.Unflatten(1, (into.in_features, 1)),
        nn.Conv1d(into.in_features, into.out_features, 1),
        act,
        nn.Conv1d(out.in_features, out.out_features, 1),
        last,
        nn.Flatten(),
    )


def scripted(network: Network) -> nn.Module:
    return torch.jit.script(sequential(network))


SEQUENCES: tuple[Callable[[Network], nn.Module], ...] = (
    sequential,
    named,
    nested,
    without_identities,
    Listed,
    lazy,
    convolved,
    scripted,
)
