"""Chains of layers: several linear layers, one after the other, with activations between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from harness.looking.seen import Seen
from reference.mathematics.custom_network import Equations
from reference.notation.activations import OUTPUTS

FEWEST = 2  # layers


@dataclass(frozen=True)
class Layer:
    """A linear layer: the names and shape of its parameters, and the activation after it.

    The bias is "" if there is none, and the activation is "" if there is none.
    """

    weight: str
    bias: str
    width: int
    height: int
    activation: str = ""


@dataclass(frozen=True)
class Chain:
    """Layers from the inputs to the outputs."""

    layers: tuple[Layer, ...]

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the blocks W1, b1, W2, ..."""
        found: dict[str, tuple[int, ...]] = {}
        for number, layer in enumerate(self.layers, 1):
            found[f"W{number}"] = (layer.height, layer.width)
            if layer.bias:
                found[f"b{number}"] = (layer.height,)
        return found

    def words(self) -> dict[str, str]:
        """Return a dict from each block's name to the name of the model's parameter."""
        found = {}
        for number, layer in enumerate(self.layers, 1):
            found[f"W{number}"] = layer.weight
            if layer.bias:
                found[f"b{number}"] = layer.bias
        return found

    def network(self) -> Equations:
        """Return the equations of the chain."""

        def forward(m: Any, p: Any, x: Any) -> Any:
            for number, layer in enumerate(self.layers, 1):
                bias = [p[f"b{number}"]] if layer.bias else []
                x = m.affine(x, p[f"W{number}"], *bias)
                if layer.activation:
                    x = m.act(layer.activation, x)
            return x

        first, last = self.layers[0], self.layers[-1]
        return Equations("layers", first.width, last.height, self.shapes(), forward)

    def sentence(self) -> str:
        """Return the layers in a few words."""
        parts = []
        for layer in self.layers:
            bias = "" if layer.bias else " without bias"
            activation = f", {layer.activation}" if layer.activation else ""
            parts.append(f"{layer.width} to {layer.height}{bias}{activation}")
        return f"layers {'; '.join(parts)}"

    def lines(self) -> list[str]:
        """Return the lines of Python, below a `def forward(m, p, x):`, that compute the chain."""
        found = []
        for number, layer in enumerate(self.layers, 1):
            bias = f', p["b{number}"]' if layer.bias else ""
            value = f'm.affine(x, p["W{number}"]{bias})'
            if layer.activation:
                value = f'm.act("{layer.activation}", {value})'
            found.append(f"    x = {value}")
        return [*found, "    return x"]


def list_chains(seen: Seen) -> Iterator[Chain]:
    """Yield the chain that a model's parameters form, if they form one.

    Its activations are those that the model calls, in their order.
    """
    for call in seen.calls:
        if len(call.inputs) == 1 and len(call.outputs) == 1:
            layers = _read_layers(seen, call.inputs[0])
            activations = list(seen.activations)
            fits = len(layers) >= FEWEST and layers[-1].height == call.outputs[0]
            if fits and _may_stand(activations, len(layers)):
                yield _with_activations(layers, activations)


def _read_layers(seen: Seen, width: int) -> list[Layer]:
    """Return the layers that the parameters form in their order; an empty list if they form no
    chain.
    """
    layers: list[Layer] = []
    for name, shape in seen.shapes.items():
        before = layers[-1] if layers else None
        if len(shape) == 2 and shape[1] == width:
            layers.append(Layer(name, "", width, shape[0]))
            width = shape[0]
        elif before is not None and shape == (before.height,) and not before.bias:
            layers[-1] = Layer(before.weight, name, before.width, before.height)
        else:
            return []
    return layers


def _may_stand(activations: Sequence[str], layers: int) -> bool:
    """Are the activations known ones, as many as layers or one fewer?"""
    return len(activations) in (layers - 1, layers) and set(activations) <= set(OUTPUTS)


def _with_activations(layers: Sequence[Layer], activations: Sequence[str]) -> Chain:
    found = []
    for layer, activation in zip(layers, [*activations, ""], strict=False):
        found.append(Layer(layer.weight, layer.bias, layer.width, layer.height, activation))
    return Chain(tuple(found))
