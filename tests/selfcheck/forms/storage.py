"""Forms in which a model holds its parameters, and what they mean.

Each class holds the blocks of a network in tensors of its own; `blocks()` returns them by name, as
forward reads them, and `meaning` is what its author writes as `Subject(parameters=...)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from harness.core.layout import Block
from reference import Network

Blocks = dict[str, Tensor]


class Named(nn.Module):
    """Parameters named as the blocks."""

    meaning: Any = None

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network
        self.hold(network.layout.blocks)

    def hold(self, blocks: tuple[Block, ...]) -> None:
        """Make the parameters."""
        for block in blocks:
            self.register_parameter(block.name, nn.Parameter(torch.zeros(block.places.shape)))

    def blocks(self) -> Blocks:
        """Return the blocks by name."""
        return dict(self.named_parameters())


class InList(Named):
    """A ParameterList, from the last block to the first."""

    def hold(self, blocks: tuple[Block, ...]) -> None:
        backwards = blocks[::-1]
        self.held = nn.ParameterList([torch.zeros(b.places.shape) for b in backwards])
        self.meaning = {b.name: f"held.{number}" for number, b in enumerate(backwards)}

    def blocks(self) -> Blocks:
        return dict(zip(self.meaning, self.held, strict=True))


class InDict(Named):
    """A ParameterDict."""

    def hold(self, blocks: tuple[Block, ...]) -> None:
        self.held = nn.ParameterDict({b.name: torch.zeros(b.places.shape) for b in blocks})
        self.meaning = {b.name: f"held.{b.name}" for b in blocks}

    def blocks(self) -> Blocks:
        return dict(self.held.items())


class Transposed(Named):
    """Weights (k, n), as who writes x @ W."""

    def hold(self, blocks: tuple[Block, ...]) -> None:
        for b in blocks:
            self.register_parameter(b.name, nn.Parameter(torch.zeros(b.places.shape[::-1])))
        self.meaning = {b.name: f"{b.name}.T" for b in blocks if b.role == "weight"}

    def blocks(self) -> Blocks:
        return {name: p.t() for name, p in self.named_parameters()}


class Linears(Named):
    """An nn.Linear for the hidden layer of all inputs, one for each head, and one for its skips."""

    def hold(self, blocks: tuple[Block, ...]) -> None:
        network, self.meaning = self.network, {}
        inputs = sum(network.inputs)
        if network.hidden:
            self.hidden = nn.Linear(inputs, network.hidden)
            self.meaning["b"] = "hidden.bias"
        self.heads, self.skips = nn.ModuleList(), nn.ModuleList()
        for head, width in enumerate(network.outputs):
            letter = "WV"[head]
            if network.hidden:
                self.heads.append(nn.Linear(network.hidden, width))
                self.meaning |= {f"{letter}2": f"heads.{head}.weight"}
                self.meaning |= {f"b_{letter.lower()}": f"heads.{head}.bias"}
            if network.has_skip:
                self.skips.append(nn.Linear(inputs, width, bias=not network.hidden))
            if not network.hidden:
                self.meaning |= {f"b_{letter.lower()}": f"skips.{head}.bias"}
        start = 0
        for group, width in enumerate(network.inputs):
            part = f"[:, {start}:{start + width}]"
            start += width
            if network.hidden:
                self.meaning["WV"[group] + "1"] = f"hidden.weight{part}"
            for head in range(len(self.skips)):
                self.meaning[f"S{group + 1}_{'wv'[head]}"] = f"skips.{head}.weight{part}"

    def blocks(self) -> Blocks:
        network = self.network
        found: Blocks = {}
        if network.hidden:
            found["b"] = self.hidden.bias
            for letter, part in zip("WV", self._by_group(self.hidden), strict=False):
                found[f"{letter}1"] = part
        for number, head in enumerate(cast(Any, self.heads)):
            found["WV"[number] + "2"], found[f"b_{'wv'[number]}"] = head.weight, head.bias
        for number, skip in enumerate(cast(Any, self.skips)):
            for group, part in enumerate(self._by_group(skip)):
                found[f"S{group + 1}_{'wv'[number]}"] = part
            if skip.bias is not None:
                found[f"b_{'wv'[number]}"] = skip.bias
        return found

    def _by_group(self, layer: nn.Linear) -> tuple[Tensor, ...]:
        return layer.weight.split(self.network.inputs, 1)


class ByFunction(Named):
    """Parameters whose meaning is a function of all; subclasses say how each block is held."""

    def hold(self, blocks: tuple[Block, ...]) -> None:
        for block in blocks:
            for name, shape in self.tensors(block).items():
                self.register_parameter(name, nn.Parameter(torch.zeros(shape)))
        self.meaning = self.read

    def tensors(self, block: Block) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the tensors of a block, by name."""
        return {block.name: block.places.shape}

    def read(self, own: Mapping[str, Any]) -> dict[str, Any]:
        """Return the blocks, of arrays and of tensors."""
        return {block.name: self.block(own, block) for block in self.network.layout.blocks}

    def block(self, own: Mapping[str, Any], block: Block) -> Any:
        """Return one block."""
        raise NotImplementedError

    def blocks(self) -> Blocks:
        return self.read(dict(self.named_parameters()))


class Flat(ByFunction):
    """One vector, of which blocks are views."""

    def hold(self, blocks: tuple[Block, ...]) -> None:
        size = sum(block.places.size for block in blocks)
        self.flat = nn.Parameter(torch.zeros(size))
        starts = np.cumsum([0, *(block.places.size for block in blocks)])
        self.starts = {b.name: int(start) for b, start in zip(blocks, starts, strict=False)}
        self.meaning = self.read

    def block(self, own: Mapping[str, Any], block: Block) -> Any:
        start = self.starts[block.name]
        return own["flat"][start : start + block.places.size].reshape(block.places.shape)


class Negated(ByFunction):
    """Numbers with the other sign."""

    def block(self, own: Mapping[str, Any], block: Block) -> Any:
        return -own[block.name]


class Halved(ByFunction):
    """Half of each number."""

    def block(self, own: Mapping[str, Any], block: Block) -> Any:
        return 2 * own[block.name]


class Summed(ByFunction):
    """Each block is the sum of two tensors."""

    def tensors(self, block: Block) -> dict[str, tuple[int, ...]]:
        shape = block.places.shape
        return {block.name: shape, f"{block.name}_more": shape}

    def block(self, own: Mapping[str, Any], block: Block) -> Any:
        return own[block.name] + own[f"{block.name}_more"]


class Kernels(ByFunction):
    """Weights (O, I, 1) as of a convolution, biases (1, O)."""

    def tensors(self, block: Block) -> dict[str, tuple[int, ...]]:
        shape = block.places.shape
        return {block.name: (*shape, 1) if block.role == "weight" else (1, *shape)}

    def block(self, own: Mapping[str, Any], block: Block) -> Any:
        return own[block.name].reshape(block.places.shape)


class Backwards(ByFunction):
    """Hidden units from the last to the first."""

    def block(self, own: Mapping[str, Any], block: Block) -> Any:
        order = list(range(self.network.hidden))[::-1]
        if block.layer == 1:
            return own[block.name][order]
        if block.role == "weight" and block.group is None:
            return own[block.name][:, order]
        return own[block.name]


class Rows(ByFunction):
    """A parameter for each row of a weight."""

    def tensors(self, block: Block) -> dict[str, tuple[int, ...]]:
        if block.role == "bias":
            return {block.name: block.places.shape}
        height, width = block.places.shape
        return {f"{block.name}_{row}": (1, width) for row in range(height)}

    def block(self, own: Mapping[str, Any], block: Block) -> Any:
        if block.role == "bias":
            return own[block.name]
        rows = [own[f"{block.name}_{row}"] for row in range(len(block.places))]
        return torch.cat(rows) if isinstance(rows[0], Tensor) else np.concatenate(rows)


class WithBias(ByFunction):
    """A bias as the first column of the first weights that it is added to."""

    def hold(self, blocks: tuple[Block, ...]) -> None:
        self.of: dict[str, str] = {}
        for block in blocks:
            if block.role == "bias":
                into = (b for b in blocks if b.role == "weight" and b.layer == block.layer)
                self.of[next(b.name for b in into if b.head == block.head)] = block.name
        super().hold(tuple(block for block in blocks if block.role == "weight"))

    def tensors(self, block: Block) -> dict[str, tuple[int, ...]]:
        height, width = block.places.shape
        return {block.name: (height, width + (block.name in self.of))}

    def block(self, own: Mapping[str, Any], block: Block) -> Any:
        if block.role == "bias":
            weight = next(weight for weight, bias in self.of.items() if bias == block.name)
            return own[weight][:, 0]
        return own[block.name][:, 1:] if block.name in self.of else own[block.name]


class Masked(Named):
    """Parameters, and buffers of ones that they are multiplied with."""

    def hold(self, blocks: tuple[Block, ...]) -> None:
        super().hold(blocks)
        for block in blocks:
            self.register_buffer(f"mask_{block.name}", torch.ones(block.places.shape))

    def blocks(self) -> Blocks:
        return {name: p * getattr(self, f"mask_{name}") for name, p in self.named_parameters()}


class Twice(Named):
    """Every parameter under two names."""

    def hold(self, blocks: tuple[Block, ...]) -> None:
        super().hold(blocks)
        for block in blocks:
            self.register_parameter(f"{block.name}_again", getattr(self, block.name))

    def blocks(self) -> Blocks:
        return {b.name: getattr(self, f"{b.name}_again") for b in self.network.layout.blocks}


class _Turned(nn.Module):
    def forward(self, stored: Tensor) -> Tensor:
        return stored.mT

    def right_inverse(self, weight: Tensor) -> Tensor:
        return weight.mT


class Parametrized(Linears):
    """Layers whose weights are stored transposed, by torch.nn.utils.parametrize."""

    def hold(self, blocks: tuple[Block, ...]) -> None:
        super().hold(blocks)
        for module in list(self.modules()):
            if isinstance(module, nn.Linear):
                parametrize.register_parametrization(module, "weight", _Turned())
        words = {}
        for name, said in self.meaning.items():
            layer, is_weight, part = said.partition(".weight")
            if is_weight:
                columns = part.replace("[:, ", "[").replace("]", ", :]")
                said = f"{layer}.parametrizations.weight.original{columns}.T"
            words[name] = said
        self.meaning = words


STORAGE: tuple[type[Named], ...] = (
    Named,
    InList,
    InDict,
    Transposed,
    Linears,
    Flat,
    Negated,
    Halved,
    Summed,
    Kernels,
    Backwards,
    Rows,
    WithBias,
    Masked,
    Twice,
    Parametrized,
)
