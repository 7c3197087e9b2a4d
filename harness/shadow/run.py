"""A recorded run: the operations that torch has run, and the memory that they read and wrote.

An array of memory (a storage) has versions, and each operation that writes into it creates the
next. A tensor is a place (size, strides, offset) in a version.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from harness.rules.schemas import Signature, read_signature
from harness.shadow.places import Place, list_places, view_place


@dataclass(eq=False, slots=True)
class Version:
    """The numbers of a storage between two writes; `before` is the number of the version before it.

    `numbers` is contiguous and holds the whole storage, in the shape of the tensor that showed it,
    or flat.
    """

    numbers: Tensor
    before: int | None = None  # the version that a write has changed


@dataclass(eq=False, slots=True)
class Operation:
    """One call of an operation: its arguments and results, in which each tensor is replaced by its
    place in memory.

    `layer` is the name of the module that ran it, `line` the user's line of source that called it,
    and `caller` the user's line that called the function of that line, or "".
    A `backward` operation belongs to the layer and line of the forward operation whose gradient it
    computes. If it is `hooked`, a user's hook called it, at the line that it has.
    """

    called: Any
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    results: tuple[Place | None, ...]
    layer: str = ""
    line: str = ""
    backward: bool = False
    caller: str = ""
    hooked: bool = False
    signature: Signature = field(init=False)  # the facts of the operation's schema
    places: list[Place] = field(init=False)  # of all tensors among the arguments

    def __post_init__(self) -> None:
        self.signature = read_signature(self.called)
        self.places = list_places(self.args)
        if self.kwargs:
            self.places += list_places(self.kwargs)

    @property
    def name(self) -> str:
        """The name of the operation in its schema, as "aten::addmm"."""
        return self.signature.name

    @property
    def functional(self) -> str:
        """The name of the operation that computes the same without writing into its arguments:
        "aten::add" for "aten::add_".
        """
        return self.signature.functional


@dataclass(eq=False)
class Run:
    """A recorded run: the operations in their order, and the versions of all memory."""

    versions: list[Version] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)
    # the user's lines where numbers left torch, or came from operations that nobody saw
    read_numbers: list[str] = field(default_factory=list)
    # views made on the way forward, each with the number of operations that ran before
    views: list[tuple[int, Operation]] = field(default_factory=list)
    stops: list[Operation] = field(default_factory=list)  # where gradients are cut off

    def read(self, place: Place) -> Tensor:
        """Return the tensor at a place, as it was observed."""
        return view_place(self.versions[place.version].numbers, place)
