"""Records every operation of torch that runs, with its inputs.

The memory of tensors is followed, not their names. An array of memory (a storage) has versions, and
each operation that writes into it creates the next. A tensor is a place (size, strides, offset) in
a version. So views need no rule, and a write through one view is seen through all others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, UntypedStorage
from torch.autograd.function import BackwardCFunction
from torch.utils._python_dispatch import TorchDispatchMode

from harness.model.late import import_dynamo_late
from harness.rules.schemas import DRAWN, HIDDEN_WRITES, Signature, read_signature
from harness.shadow.layers import Source, find_hook
from harness.shadow.places import Place, list_places
from harness.shadow.rewriting import rewrite
from harness.shadow.run import Operation as Operation
from harness.shadow.run import Run as Run
from harness.shadow.run import Version
from harness.shadow.stops import Stops


class Unwatched(RuntimeError):
    """Raised for a tensor that cannot be followed: sparse, nested or complex."""


def require_real(tensor: Tensor) -> None:
    """Raise Unwatched for a tensor that is not an ordinary array of real numbers."""
    if tensor.layout is not torch.strided or tensor.is_complex() or tensor.is_quantized:
        kind = "complex" if tensor.is_complex() else str(tensor.layout).removeprefix("torch.")
        raise Unwatched(f"a {kind} tensor is not followed{ADVICE.get(kind, '')}")


ADVICE = {
    "complex": ": compute with its real and imaginary parts",
    "sparse_coo": ": a dense matrix, or an embedding with sparse=False, computes the same",
}
HOOKS = "BackwardHookFunctionBackward"  # the name of the node that calls a module's hooks
READ = "aten::_local_scalar_dense"  # reads a number, as float(tensor) does


def _is_function(node: Any) -> bool:
    """Is a node of autograd's an autograd Function, whose backward pass is Python's too? Torch has
    one of its own, which calls the hooks of modules.
    """
    return isinstance(node, BackwardCFunction) and type(node).__name__ != HOOKS


def _are_others(found: Sequence[Place | None], places: Any) -> bool:
    """Does an operation return other numbers than it has read at `places`?"""
    versions = {place.version for place in found if place is not None}
    return not versions <= {place.version for place in list_places(places)}


@import_dynamo_late
class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records the operations that run in its `with` block into `run`.

    `find_source` returns the layer and the user's lines of the running operation.
    """

    def __init__(self, find_source: Callable[[], Source] | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.run = Run()
        self._newest: dict[int, int] = {}  # the newest version of a storage
        self._places: dict[int, Place] = {}  # the last place of a version, which many share
        self._find_source = find_source or Source
        self._made_by: dict[int, int] = {}  # the forward operation of each node of autograd's
        self._stops = Stops(self.run.stops)

    def place(self, tensor: Tensor) -> Place:
        """Return the place of a tensor: the newest version of its memory (its contents since the
        last write), with size, strides and offset.

        Raises Unwatched for a tensor that is not an ordinary array of real numbers.
        """
        if tensor.is_neg():
            tensor = tensor.resolve_neg()
        version = self._find_version(tensor)
        size, stride, offset = tensor.shape, tensor.stride(), int(tensor.storage_offset())
        known = self._places.get(version)
        if known and known.size == size and known.stride == stride and known.offset == offset:
            return known
        self._places[version] = place = Place(version, size, stride, offset)
        return place

    def _find_version(self, tensor: Tensor) -> int:
        """Return the number of the newest version of a tensor's memory."""
        if tensor.layout is not torch.strided:
            require_real(tensor)
        storage = tensor.untyped_storage()
        version = self._newest.get(storage._cdata)
        if version is None:
            require_real(tensor)
            if tensor.grad_fn is not None:  # another thread has made it
                self.run.read_numbers.append(self._find_source().line)
            return self._add_version(storage, tensor, None)
        if self.run.versions[version].numbers.dtype is not tensor.dtype:
            require_real(tensor)
            raise Unwatched("numbers that are seen as another dtype (view) are not followed")
        return version

    def _add_version(self, storage: UntypedStorage, tensor: Tensor, before: int | None) -> int:
        whole = storage.nbytes() // tensor.element_size()
        numbers = tensor.detach()
        if numbers.numel() != whole or not numbers.is_contiguous():
            numbers = numbers.as_strided((whole,), (1,), 0)
        number = len(self.run.versions)
        self.run.versions.append(Version(numbers, before))
        self._newest[storage._cdata] = number
        return number

    def __torch_dispatch__(
        self, called: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        signature = read_signature(called)
        kwargs = kwargs or {}
        if signature.view:
            version = self._find_version(args[0])
            results = called(*args, **kwargs)
            if torch._C._current_autograd_node() is None:
                self._note_views(called, args, kwargs, results, version)
            return results
        self._stops.begin()
        places = self._to_places(args), self._to_places(kwargs) if kwargs else kwargs
        known = len(self.run.versions)
        written = self._list_written(signature, args, kwargs) if signature.written else []
        for tensor in written:
            self._freeze(tensor)
        results = called(*args, **kwargs)
        for tensor in written:
            storage = tensor.untyped_storage()
            self._add_version(storage, tensor, self._newest[storage._cdata])
        found = self._place_results(signature, results, written)
        if signature.name == READ:
            numbers = [self.run.versions[one.version].numbers for one in list_places(places)]
            if any(each.is_floating_point() for each in numbers):
                self.run.read_numbers.append(self._find_source().line)
        elif signature.name not in DRAWN and (
            len(self.run.versions) > known or _are_others(found, places)
        ):
            self._note(Operation(called, *places, found))
        return results

    def _place_results(
        self, signature: Signature, results: Any, written: Sequence[Tensor]
    ) -> tuple[Place | None, ...]:
        """Return the places of an operation's results, and of tensors that it wrote but does not
        return.
        """
        if isinstance(results, Tensor):
            return (self.place(results),)
        listed = results if isinstance(results, (tuple, list)) else ()
        found = [self.place(each) if isinstance(each, Tensor) else None for each in listed]
        if signature.name in HIDDEN_WRITES or not signature.returns:
            found += [self.place(tensor) for tensor in written]
        return tuple(found)

    def _to_places(self, given: Any) -> Any:
        """Return the arguments of an operation with each tensor replaced by its place in
        memory.
        """
        if isinstance(given, dict):
            return dict(zip(given, self._to_places(given.values()), strict=True))
        return tuple(
            [
                self._read(each)
                if isinstance(each, Tensor)
                else self._to_places(each)
                if isinstance(each, (tuple, list))
                else each
                for each in given
            ]
        )

    def _read(self, tensor: Tensor) -> Place:
        """Return the place of a tensor that an operation reads."""
        place = self.place(tensor)
        self._stops.read(place.version, tensor.requires_grad)
        return place

    def _list_written(
        self, signature: Signature, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> list[Tensor]:
        arguments = dict(zip(signature.parameters, args, strict=False)) | dict(kwargs)
        tensors: list[Tensor] = []
        for name in signature.written:
            value = arguments.get(name)
            listed = value if isinstance(value, (tuple, list)) else [value]
            tensors += [each for each in listed if isinstance(each, Tensor)]
        return tensors

    def _freeze(self, tensor: Tensor) -> None:
        """Copy the numbers of a storage before they are overwritten."""
        version = self.run.versions[self.place(tensor).version]
        version.numbers = version.numbers.clone()

    def _note(self, noted: Operation) -> None:
        """Add an operation to the run, with the module and the user's line that called it."""
        node = torch._C._current_autograd_node()
        origin = None
        if node is None:
            number = torch.autograd._get_sequence_nr() - 1
            self._made_by.setdefault(number, len(self.run.operations))
        else:
            origin = self._made_by.get(node._sequence_nr())
        if origin is None:
            noted.layer, noted.line, noted.caller = self._find_source()
        else:
            forward = self.run.operations[origin]
            noted.layer, noted.line, noted.caller = forward.layer, forward.line, forward.caller
        noted.backward = node is not None
        if node is not None and not _is_function(node) and (lines := find_hook()):
            noted.hooked, (noted.line, noted.caller) = True, lines
        for operation in rewrite(noted):
            self.run.operations.append(operation)
            if node is None:
                written = [place.version for place in filter(self._is_real, operation.results)]
                self._stops.end(operation, written, torch.is_grad_enabled())

    def _is_real(self, place: Place | None) -> bool:
        """Are there real numbers at a place?"""
        return place is not None and self.run.versions[place.version].numbers.is_floating_point()

    def _note_views(self, called: Any, args: Any, kwargs: Any, results: Any, version: int) -> None:
        """Note which views an operation has made of a version, and by which line.

        A view that is seen as another dtype is not followed.
        """
        given, before = args[0], len(self.run.operations)
        ends = called._schema.name == "aten::detach" or not torch.is_grad_enabled()
        whole, (layer, line, caller) = self.place(given), self._find_source()
        for each in results if isinstance(results, tuple | list) else (results,):
            if each.dtype is given.dtype and not each.is_neg():
                made = self.place(each)
                view = Operation(called, (whole, *args[1:]), kwargs, (made,), layer, line)
                view.caller = caller
                self.run.views.append((before, view))
                if given.requires_grad and ends:
                    self._stops.detach(version, view)
