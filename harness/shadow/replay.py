"""Repeats a recorded run in float64, with derivatives by all results.

A result has two values in float64. Its *shadow* is computed by all operations from the first to
this one in float64. Its *local* value is computed by its own operation alone in float64, from the
inputs that were recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from harness.rules.registry import REPEATED
from harness.shadow.places import Place, find_order, read_place
from harness.shadow.recording import Operation, Run

Results = tuple[Tensor | None, ...]
# Functions of torch that are called in less time than the operations of the same names.
QUICK: dict[str, Any] = {
    "aten::add": torch.add,
    "aten::addmm": torch.addmm,
    "aten::cat": torch.cat,
    "aten::clone": torch.clone,
    "aten::div": torch.div,
    "aten::mean": torch.mean,
    "aten::mm": torch.mm,
    "aten::mul": torch.mul,
    "aten::pow": torch.pow,
    "aten::sub": torch.sub,
    "aten::sum": torch.sum,
    "aten::tanh": torch.tanh,
}


@dataclass(eq=False)
class Replay:
    """A recorded run, repeated in float64: the numbers of each version (of memory, between two
    writes), and the results of each operation.

    A result is a node of autograd's graph, so that later numbers can be differentiated by it. The
    numbers of a version are contiguous, in the order of memory, and have the shape of the result
    that wrote them: most are read as they were written. `held` has the numbers of versions that are
    not repeated, in the order of memory.
    """

    run: Run
    numbers: dict[int, Tensor] = field(default_factory=dict)
    results: list[Results] = field(default_factory=list)
    held: Mapping[int, Tensor] = field(default_factory=dict)
    _parts: dict[Place, Tensor] = field(default_factory=dict)  # that have been read

    def read(self, place: Place) -> Tensor:
        """Return the tensor at a place, as repeated in float64."""
        numbers = self.get(place.version)
        if numbers.shape == place.size and numbers.stride() == place.stride:
            return numbers
        if place not in self._parts:
            self._parts[place] = read_place(numbers, place)
        return self._parts[place]

    def get(self, version: int) -> Tensor:
        """Return the numbers of a version (the contents of memory between two writes), as repeated
        in float64.

        A version that no operation wrote has the recorded numbers.
        """
        numbers = self.numbers.get(version)
        if numbers is None:
            numbers = widen(self.run.versions[version].numbers)
            if numbers.is_floating_point():
                numbers.requires_grad_()
            self.numbers[version] = numbers
        return numbers

    def repeat(self, operation: Operation) -> Results:
        """Return the results of an operation, repeated in float64 or held."""
        repeated = repeat_operation(operation, *fill(operation, self.read))
        results = fill_gaps(self.run, operation, repeated)
        if not self.held:
            return results
        return tuple(
            read_place(self.held[place.version], place).detach()
            if place is not None and place.version in self.held
            else result
            for place, result in zip(operation.results, results, strict=False)
        )

    def put(self, place: Place, result: Tensor) -> None:
        """Write a result to its place in memory; everything else in that memory is copied from the
        version before.
        """
        version = self.run.versions[place.version]
        whole = version.numbers.numel()
        order = find_order(place, whole)
        if order is not None:
            ordered = result.permute(order) if order else result
            self.numbers[place.version] = ordered.contiguous()
            return
        numbers = self.numbers.get(place.version)
        if numbers is None and version.before is not None:
            numbers = self.get(version.before)
        if numbers is None:
            numbers = torch.zeros(whole, dtype=result.dtype, device=result.device)
        # not as_strided_scatter, whose derivative is wrong for a gradient that is expanded
        places = torch.arange(whole, device=result.device)
        places = places.as_strided(place.size, place.stride, place.offset).reshape(-1)
        flat = numbers.to(result.dtype).reshape(-1)
        self.numbers[place.version] = flat.scatter(0, places, result.reshape(-1))


def replay(
    run: Run,
    exact: Mapping[int, Tensor] | None = None,
    operations: Sequence[Operation] | None = None,
    held: Mapping[int, Tensor] | None = None,
) -> Replay:
    """Return a run repeated in float64 (its shadow): all its operations, or only some.

    `exact` has the numbers (contiguous, float64) to use instead of the recorded ones, by the number
    of the version (the contents of memory between two writes). `held` has the numbers to use
    instead of the repeated ones. Raises the errors of torch if an operation cannot be repeated.
    """
    repeated = Replay(run, held=held or {})
    for version, numbers in (exact or {}).items():
        repeated.numbers[version] = numbers.detach().clone().requires_grad_()
    for operation in run.operations if operations is None else operations:
        results = repeated.repeat(operation)
        for result in results:
            # one that follows from constants alone may be off too: it begins a graph of its own
            if result is not None and result.is_floating_point() and not result.requires_grad:
                result.requires_grad_()
        repeated.results.append(results)
        for place, result in zip(operation.results, results, strict=False):
            if place is not None and result is not None:
                repeated.put(place, result)
    return repeated


def repeat_operation(operation: Operation, args: Any, kwargs: Any) -> Results:
    """Return the results of an operation in float64 for arguments in float64."""
    name = operation.functional
    called = REPEATED.get(name) or QUICK.get(name) or find_functional(operation)
    outputs = operation.signature.outputs
    if operation.signature.typed:
        args = _widen_dtypes(args)
    if kwargs:
        given = {name: value for name, value in kwargs.items() if name not in outputs}
        kwargs = dict(zip(given, _widen_dtypes(given.values()), strict=True))
    results = called(*args, **kwargs)
    if _is_narrow(results):
        with _default_of_float64():
            results = called(*args, **kwargs)
    return _widen_results(results)


def repeat_as_run(operation: Operation, args: Any, kwargs: Any) -> Results:
    """Return the results of an operation repeated in its own dtype, converted to float64."""
    outputs = operation.signature.outputs
    kwargs = {name: kwargs[name] for name in kwargs if name not in outputs}
    return _widen_results(find_functional(operation)(*args, **kwargs))


def _widen_results(results: Any) -> Results:
    if isinstance(results, Tensor):
        return (_widen_result(results),)
    return tuple(map(_widen_result, results if isinstance(results, tuple | list) else [results]))


def _is_narrow(result: Any) -> bool:
    """Is a result of numbers in float64 of a narrower dtype? Then it is torch's default dtype."""
    if not isinstance(result, Tensor):
        return False
    return result.is_floating_point() and result.dtype is not torch.float64


@contextmanager
def _default_of_float64() -> Iterator[None]:
    """Make float64 torch's default dtype in this context.

    It is the dtype of quotients and roots of whole numbers, and of tensors that are made without a
    dtype, as by torch.linspace(0, 1, 5).
    """
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(default)


def _widen_result(result: Any) -> Tensor | None:
    """Return a floating-point result in float64, other tensors as they are; None for anything
    else.
    """
    if not isinstance(result, Tensor):
        return None
    if result.dtype is torch.float64 or not result.is_floating_point():
        return result
    return result.double()


def find_gaps(run: Run, operation: Operation, results: Results) -> list[int]:
    """Return the positions of those floating-point results of an operation that its repetition does
    not return.
    """
    gaps: list[int] = []
    if len(results) == len(operation.results) and all(each is not None for each in results):
        return gaps
    for number, place in enumerate(operation.results):
        if place is None or (number < len(results) and results[number] is not None):
            continue
        if run.versions[place.version].numbers.is_floating_point():
            gaps.append(number)
    return gaps


def fill_gaps(run: Run, operation: Operation, results: Results) -> Results:
    """Return the repeated results of an operation, completed by recorded numbers for results that
    the repetition does not return.

    Autograd can differentiate by these too; their error is infinite (see `local`).
    """
    gaps = find_gaps(run, operation, results)
    if not gaps:
        return results
    filled = list(results) + [None] * (len(operation.results) - len(results))
    for number in gaps:
        place = operation.results[number]
        assert place is not None
        filled[number] = widen(run.read(place)).requires_grad_()
    return tuple(filled)


def find_functional(operation: Operation) -> Any:
    """Return the torch operation that computes the same as a recorded one, without writing into its
    arguments.

    Its overload follows from the arguments: the names of overloads differ between the two.
    """
    if operation.functional == operation.name and not operation.signature.outputs:
        return operation.called
    name = operation.functional.removeprefix("aten::")
    return getattr(torch.ops.aten, name, operation.called)


def widen(tensor: Tensor) -> Tensor:
    """Return a copy of floating-point numbers in float64; integers and booleans keep their
    dtype.
    """
    tensor = tensor.detach()
    return tensor.to(torch.float64 if tensor.is_floating_point() else tensor.dtype, copy=True)


def fill(operation: Operation, read: Callable[[Place], Tensor]) -> tuple[Any, Any]:
    """Return the arguments of a recorded call, by position and by name, with each place replaced by
    its tensor, which `read` returns.
    """
    named = operation.kwargs
    if named:
        named = dict(zip(named, _fill(named.values(), read), strict=True))
    return _fill(operation.args, read), named


def _fill(given: Iterable[Any], read: Callable[[Place], Tensor]) -> Any:
    return tuple(
        [
            read(each)
            if type(each) is Place
            else _fill(each, read)
            if type(each) is tuple
            else each
            for each in given
        ]
    )


def _widen_dtypes(values: Iterable[Any]) -> list[Any]:
    """Return the values with float64 in place of each floating-point dtype."""
    return [
        torch.float64 if isinstance(value, torch.dtype) and value.is_floating_point else value
        for value in values
    ]
