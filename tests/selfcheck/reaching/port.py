"""Right PyTorch modules with a place for a fault at every tensor that they compute, forward and
backward.

A site is such a tensor: "x" (all inputs), a block of parameters by its name, "z1", "z2", ... (sums
of hidden layers), "o" (all outputs), "t" (all targets) and "e" (errors of the loss). What happens
there is a `Change`: a function of the tensor and of the call's `State`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from harness import Subject
from reference import Equations, Network
from tests.selfcheck.styles import ACTS


@dataclass
class State:
    """What a port knows in a call: the inputs as they were given, its parameters by name, and the
    modes in which it is called.
    """

    given: Sequence[Tensor]
    blocks: dict[str, Tensor]
    modes: frozenset[str] = frozenset()

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(self.given[0])


Change = Callable[[Tensor, State], Tensor]


@dataclass(frozen=True)
class Changes:
    """The changes of a port: forward and backward, by site."""

    there: dict[str, Change] = field(default_factory=dict)
    back: dict[str, Change] = field(default_factory=dict)

    @property
    def of_loss(self) -> bool:
        """Does the port need a loss of its own?"""
        return not {"t", "e"}.isdisjoint([*self.there, *self.back])


@dataclass(frozen=True)
class Plan:
    """The layers of a network by the names of their blocks.

    Each hidden layer has weights, side by side, and a bias. Each head has weights, side by side
    too, skip connections, and a bias.
    """

    hidden: list[tuple[list[str], str]]
    heads: list[tuple[list[str], list[str], str]]
    acts: list[str]


def plan_of(network: Network) -> Plan:
    """Return the plan of a network with one hidden layer."""
    blocks = network.layout.blocks
    hidden = [block.name for block in blocks if block.layer == 1 and block.role == "weight"]
    heads = []
    for head in range(len(network.outputs)):
        mine = [block for block in blocks if block.layer == 2 and block.head == head]
        weights = [b.name for b in mine if b.role == "weight" and b.group is None]
        skips = [b.name for b in mine if b.role == "weight" and b.group is not None]
        heads.append((weights, skips, next(b.name for b in mine if b.role == "bias")))
    return Plan([(hidden, "b")], heads, [network.activation, network.output])


def deep(widths: Sequence[int], acts: Sequence[str]) -> tuple[Equations, Plan]:
    """Return a network of several hidden layers, written as equations, and its plan.

    `widths` are those of the inputs, the hidden layers and the outputs; `acts` has an activation
    for each layer but the inputs.
    """
    shapes: dict[str, int | tuple[int, ...]] = {}
    for layer, (width, before) in enumerate(zip(widths[1:], widths, strict=False), start=1):
        shapes |= {f"A{layer}": (width, before), f"a{layer}": (width,)}

    def forward(m: Any, p: Any, x: Any) -> Any:
        for layer, act in enumerate(acts, start=1):
            x = m.act(act, m.affine(x, p[f"A{layer}"], p[f"a{layer}"]))
        return x

    network = Equations("deep", widths[0], widths[-1], shapes, forward)
    last = len(acts)
    hidden = [([f"A{layer}"], f"a{layer}") for layer in range(1, last)]
    return network, Plan(hidden, [([f"A{last}"], [], f"a{last}")], list(acts))


class _Back(torch.autograd.Function):
    """The identity; its gradient is changed on its way back."""

    @staticmethod
    def forward(ctx: Any, v: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
        ctx.change = change
        return v.view_as(v)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return ctx.change(gradients[0]), None


class Port(nn.Module):
    """A network as its plan says, with changes."""

    def __init__(self, network: Network | Equations, plan: Plan, changes: Changes) -> None:
        super().__init__()
        self.widths = network.inputs, network.outputs
        self.plan, self.changes, self.built = plan, changes, id(self)
        for block in network.layout.blocks:
            self.register_parameter(block.name, nn.Parameter(torch.zeros(block.places.shape)))

    def modes(self, parameters: Sequence[Tensor]) -> frozenset[str]:
        """Return the modes in which it is called."""
        holds = {
            "eval()": not self.training,
            "no_grad()": not torch.is_grad_enabled() and not torch.is_inference_mode_enabled(),
            "inference_mode()": torch.is_inference_mode_enabled(),
            "a frozen parameter": not all(p.requires_grad for p in parameters),
            "accumulated gradients": any(p.grad is not None for p in parameters),
            "a copy": id(self) != self.built,
        }
        return frozenset(mode for mode, is_so in holds.items() if is_so)

    def forward(self, *xs: Tensor) -> Any:
        blocks = dict(self.named_parameters())
        state = State(xs, blocks, self.modes(list(blocks.values())))

        def at(site: str, v: Tensor) -> Tensor:
            return changed(self.changes, site, v, state)

        p = {name: at(name, block) for name, block in state.blocks.items()}
        x = h = at("x", torch.cat(xs, -1))
        for layer, (weights, bias) in enumerate(self.plan.hidden, start=1):
            W = torch.cat([p[name] for name in weights], 1)
            z = at(f"z{layer}", h @ W.T + p[bias])
            h = ACTS[self.plan.acts[layer - 1]](z)
        heads = []
        for weights, skips, bias in self.plan.heads:
            o = p[bias]
            if weights:
                o = h @ torch.cat([p[name] for name in weights], 1).T + o
            if skips:
                o = o + x @ torch.cat([p[name] for name in skips], 1).T
            heads.append(ACTS[self.plan.acts[-1]](o))
        if len(heads) == 1:  # as it is: gradients arrive in whatever layout they have
            return at("o", heads[0])
        return at("o", torch.cat(heads, -1)).split(self.widths[1], -1)


def changed(changes: Changes, site: str, v: Tensor, state: State) -> Tensor:
    """Return the tensor of a site after the changes there."""
    if site in changes.back:
        back = changes.back[site]
        v = _Back.apply(v, lambda g: back(g, state))
    return changes.there[site](v, state) if site in changes.there else v


def subject_of(network: Network | Equations, plan: Plan, changes: Changes, name: str) -> Subject:
    """Return a port as its user hands it in, with its own loss if a change is of the loss."""

    def own(outputs: Any, targets: Any) -> Tensor:
        o, t = (
            torch.cat(list(side), -1) if isinstance(side, list) else side
            for side in (outputs, targets)
        )
        state = State([t], {"t": t})
        t = changed(changes, "t", t, state)
        return (changed(changes, "e", o - t, state) ** 2).sum()

    def build() -> Port:
        return Port(network, plan, changes)

    return Subject(build, name=name, loss=own if changes.of_loss else None)
