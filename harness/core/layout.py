"""Where each named number of a parameter vector lives."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.core.text import exact, shown


@dataclass(frozen=True, eq=False)
class Block:
    """A named tensor of the vector: `places` has the tensor's shape and holds positions, -1 where
    no parameter is.
    """

    name: str
    places: NDArray[np.intp]

    @cached_property
    def _in_a_row(self) -> bool:
        first = self.places.flat[0] if self.places.size else -1
        return bool(
            first >= 0 and np.array_equal(self.places.ravel(), first + np.arange(self.places.size))
        )

    def of(self, vector: NDArray[Any]) -> NDArray[Any]:
        """This block (..., *shape) of vectors (..., size), 0 where no parameter is; a view where it
        can be one.
        """
        if self._in_a_row:
            whole = vector[..., self.places.flat[0] : self.places.flat[0] + self.places.size]
            return whole.reshape(*vector.shape[:-1], *self.places.shape)
        padded = np.concatenate([vector, np.zeros((*vector.shape[:-1], 1), vector.dtype)], axis=-1)
        picked: NDArray[Any] = padded[..., self.places]
        return picked


@dataclass(frozen=True, eq=False)
class Layout:
    """A flat vector of `size` numbers and the named blocks that it consists of."""

    size: int
    blocks: tuple[Block, ...]

    @classmethod
    def of_shapes(cls, shapes: Mapping[str, tuple[int, ...]]) -> Self:
        """Blocks one after the other, each in row-major order: how a module's own parameters are
        laid out.
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

    def split(self, vector: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """The blocks of `vector` (..., size), each (..., *its shape), 0 where no parameter is."""
        return {block.name: np.array(block.of(vector), dtype=np.float64) for block in self.blocks}

    def join(self, tensors: Mapping[str, ArrayLike]) -> NDArray[np.float64]:
        """The vector (size,) of these blocks; a scalar fills its block.

        Raises ValueError when a block is missing, unknown or of another shape.
        """
        names = [block.name for block in self.blocks]
        if not isinstance(tensors, Mapping):
            raise ValueError(
                f"{shown(tensors, 40)} was given, expected a dict with {', '.join(names)}"
            )
        if set(tensors) != set(names):
            missing = sorted(set(names) - set(tensors))
            unknown = sorted(set(tensors) - set(names))
            raise ValueError(
                f"blocks {', '.join(tensors) or 'none'} were given, expected {', '.join(names)}"
                + (
                    f"; missing {', '.join(missing)} (write 0 for a block that is held at zero)"
                    if missing
                    else ""
                )
                + (f"; unknown {', '.join(unknown)}" if unknown else "")
            )
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
    def owners(self) -> NDArray[np.intp]:
        """For each position the number of its block (size,)."""
        owners = np.full(self.size + 1, -1, dtype=np.intp)
        for number, block in enumerate(self.blocks):
            owners[block.places] = number
        return owners[:-1]

    def label(self, position: int) -> str:
        """What a person calls this position: `V1[3, 2]`."""
        block: Block = self.blocks[int(self.owners[position])]
        if block.places.ndim == 0:
            return block.name
        index = np.argwhere(block.places == position)[0]
        return f"{block.name}[{', '.join(map(str, index))}]"
