"""The named blocks of a parameter vector, and their roles in a network.

A place is a position in this vector.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.core.contract import Array, Indices, Number
from harness.text.harmless import exact, shown

Role = Literal["weight", "bias"]


@dataclass(frozen=True, eq=False)
class Block:
    """A named tensor, and the positions of its numbers in a parameter vector.

    `places` has the tensor's shape and holds the position of each number in the vector; -1 marks an
    entry that is no parameter. A block of a network has a `role`, a `layer` (1 is the first), the
    `group` of inputs that it multiplies and the `head` of outputs that it computes (0 is the first
    of each). None means unknown, or all of them. `left_out` is the network's name of a bias that
    the model does not have, if the block represents one.
    """

    name: str
    places: Indices
    role: Role | None = None
    layer: int | None = None
    group: int | None = None
    head: int | None = None
    left_out: str = ""

    @cached_property
    def _in_a_row(self) -> bool:
        first = self.places.flat[0] if self.places.size else -1
        in_a_row = np.arange(first, first + self.places.size)
        return bool(first >= 0 and (self.places.ravel() == in_a_row).all())

    def of(self, vector: NDArray[Number]) -> NDArray[Number]:
        """Return this block (..., *shape) of vectors (..., size), with 0 for entries that are no
        parameters.

        The result is a view of the vectors if that is possible.
        """
        if self._in_a_row:
            whole = vector[..., self.places.flat[0] : self.places.flat[0] + self.places.size]
            return whole.reshape(*vector.shape[:-1], *self.places.shape)
        padded = np.concatenate([vector, np.zeros((*vector.shape[:-1], 1), vector.dtype)], axis=-1)
        picked: NDArray[Number] = padded[..., self.places]
        return picked


@dataclass(frozen=True, eq=False)
class Layout:
    """A flat vector of `size` numbers, and the named blocks (tensors) to which its numbers
    belong.
    """

    size: int
    blocks: tuple[Block, ...]

    @classmethod
    def of_shapes(cls, shapes: Mapping[str, tuple[int, ...]]) -> Self:
        """Return the layout of blocks of these shapes, by name, one after the other, each in
        row-major order.

        A module's own parameters are laid out in this way. Raises ValueError for a name that is not
        a text on one line.
        """
        blocks, start = [], 0
        for name, shape in shapes.items():
            if not isinstance(name, str) or len(name.splitlines()) != 1:
                raise ValueError(
                    f"a parameter is called {shown(name)}, expected a name on one line"
                )
            length = int(np.prod(shape))
            blocks.append(
                Block(exact(name), np.arange(start, start + length, dtype=np.intp).reshape(shape))
            )
            start += length
        return cls(start, tuple(blocks))

    def with_left_out(self, biases: Iterable[Block]) -> Self:
        """Return this layout with more blocks at the end: one for each of the network's biases that
        a model does not have.
        """
        blocks, size = list(self.blocks), self.size
        for bias in biases:
            count = bias.places.size
            places = np.arange(size, size + count, dtype=np.intp).reshape(bias.places.shape)
            blocks.append(Block(left_out_as(bias.name), places, left_out=bias.name))
            size += count
        return type(self)(size, tuple(blocks))

    def split(self, vector: Array) -> dict[str, Array]:
        """Return the blocks of `vector` (..., size) by name, each (..., *its shape), with 0 for
        entries that are no parameters.
        """
        return {block.name: np.array(block.of(vector), dtype=np.float64) for block in self.blocks}

    def join(self, tensors: Mapping[str, ArrayLike]) -> Array:
        """Return the vector (size,) that consists of these tensors, by block name; a scalar fills
        its block.

        Raises ValueError when a block is missing, unknown or of another shape.
        """
        names = [block.name for block in self.blocks]
        if not isinstance(tensors, Mapping):
            raise ValueError(
                f"{shown(tensors, 40)} was given, expected a dict with {', '.join(names)}"
            )
        if set(tensors) != set(names):
            message = (
                f"blocks {', '.join(tensors) or 'none'} were given, expected {', '.join(names)}"
            )
            if missing := sorted(set(names) - set(tensors)):
                message += (
                    f"; missing {', '.join(missing)} (write 0 for a block that is held at zero)"
                )
            if unknown := sorted(set(tensors) - set(names)):
                message += f"; unknown {', '.join(unknown)}"
            raise ValueError(message)
        vector = np.zeros(self.size + 1)
        for block in self.blocks:
            tensor = np.asarray(tensors[block.name], dtype=np.float64)
            if tensor.shape not in ((), block.places.shape):
                raise ValueError(
                    f"block {block.name} has shape {tensor.shape}, expected {block.places.shape}"
                )
            vector[block.places] = tensor
        return vector[:-1]

    @cached_property
    def owners(self) -> Indices:
        """The number of the block that each position of the vector (size,) belongs to; -1 if it is
        in none.
        """
        owners = np.full(self.size + 1, -1, dtype=np.intp)
        for number, block in enumerate(self.blocks):
            owners[block.places] = number
        return owners[:-1]

    def label(self, position: int) -> str:
        """Return the name of a position in the vector, such as `V1[3, 2]`."""
        block: Block = self.blocks[int(self.owners[position])]
        if block.places.ndim == 0:
            return block.name
        if block._in_a_row:
            index = np.unravel_index(position - block.places.flat[0], block.places.shape)
        else:
            index = tuple(np.argwhere(block.places == position)[0])
        return f"{block.name}[{', '.join(map(str, index))}]"


def left_out_as(bias: str) -> str:
    """Return the name of the own parameter that represents the network's bias `bias`, which the
    model does not have.
    """
    return f"{bias} (left out)"
