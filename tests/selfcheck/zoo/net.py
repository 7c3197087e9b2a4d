"""A random model as a chain of blocks, and its answers."""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from harness.evaluating.evaluation import GRADIENT
from tests.selfcheck.zoo.block import Block

Answers = dict[str, Tensor]


class Net(nn.Module):
    """Blocks one after the other, and a loss."""

    def __init__(self, blocks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.loss: nn.Module = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return x


@dataclass(frozen=True, eq=False)
class Example:
    """A model with its data: inputs, targets and the seed of what it draws.

    `depth` counts its layers with parameters. `label` says what it is made of.
    """

    net: Net
    inputs: Tensor
    targets: Tensor
    family: str
    depth: int
    dtype: str
    label: str

    def in_float64(self) -> Example:
        """Return the data in float64, for a model that is."""
        wide = [
            each.double() if each.is_floating_point() else each
            for each in (self.inputs, self.targets)
        ]
        return replace(self, inputs=wide[0], targets=wide[1])

    def redraw(self, seed: int) -> Example:
        """Return the model with other inputs of the same size; the targets stay."""
        generator = torch.Generator().manual_seed(seed)
        given = self.inputs
        if given.is_floating_point():
            drawn = torch.randn(given.shape, generator=generator) * float(given.double().std())
        else:
            drawn = torch.randint(int(given.max()) + 1, given.shape, generator=generator)
        return replace(self, inputs=drawn.to(given.dtype))

    def answers(self, net: Net) -> Callable[[], Answers]:
        """Return a function that evaluates a model on the data: its output, loss, gradients and
        buffers, which it may change.
        """
        inputs = self.inputs.clone()
        if inputs.is_floating_point():
            inputs.requires_grad_()

        def call() -> Answers:
            torch.manual_seed(1)
            output = net(inputs)
            loss = net.loss(output, self.targets)
            named = dict(net.named_parameters())
            wanted = [*named.values(), *([inputs] if inputs.requires_grad else [])]
            slopes: Sequence[Tensor | None] = [None] * len(wanted)
            if loss.requires_grad:
                slopes = torch.autograd.grad(loss, wanted, allow_unused=True)
            answers = {"output": output, "loss": loss}
            for name, slope in zip(named, slopes, strict=False):
                if slope is not None:
                    answers[GRADIENT + name] = slope
            last = slopes[-1] if inputs.requires_grad else None
            if last is not None:
                answers["input gradient"] = last
            return answers | {f"buffer {name}": each for name, each in net.named_buffers()}

        return call


def list_blocks(net: Net) -> dict[str, Block]:
    """Return the blocks of a model by name."""
    return {name: part for name, part in net.named_modules() if isinstance(part, Block)}


def measure_inputs(net: Net, inputs: Tensor, targets: Tensor | None = None) -> dict[str, float]:
    """Return the largest size of what each block is given, by the block's name, in float64: not a
    number if it is given numbers at a kink.
    """
    net = copy.deepcopy(net).double()
    largest: dict[str, float] = {}

    def make_hook(name: str, block: Block) -> Any:
        def note(part: nn.Module, given: Any) -> None:
            if given and isinstance(given[0], Tensor) and given[0].is_floating_point():
                size = float(abs(given[0].detach()).max())
                at_kink = math.isnan(largest.get(name, 0.0)) or block.is_at_kink(given[0].detach())
                largest[name] = math.nan if at_kink else max(largest.get(name, 0.0), size)

        return note

    for name, block in list_blocks(net).items():
        block.register_forward_pre_hook(make_hook(name, block))
    torch.manual_seed(1)
    output = net(inputs.double() if inputs.is_floating_point() else inputs)
    if targets is not None:
        net.loss(output, targets.double() if targets.is_floating_point() else targets)
    return largest


def rewrite(example: Example, rng: random.Random, costly: bool = False) -> tuple[Net, list[str]]:
    """Return the model by other formulas, and the names of these.

    With `costly`, formulas that may lose more bits are among them.
    """
    largest = measure_inputs(example.net, example.inputs, example.targets)
    net = copy.deepcopy(example.net)
    chosen = []
    for name, block in list_blocks(net).items():
        known = largest.get(name, 0.0)
        styles = [style for style, safe in block.list_styles().items() if known <= safe]
        if not costly:
            styles = [style for style in styles if style not in block.list_costly()]
        if len(styles) > 1 and rng.random() < 0.7:
            block.style = rng.choice(styles)
        chosen.append(f"{name} {type(block).__name__} {block.style}")
    return net, chosen
