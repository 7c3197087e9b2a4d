"""A property that is computed when it is first read, and then kept in the object."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar, overload

T = TypeVar("T")


class lazy(Generic[T]):
    """Computes a property when it is first read, as functools.cached_property does.

    In Python 3.11 that takes a lock each time, which costs as much as what is computed here: a few
    operations on small arrays, of thousands of objects.
    """

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self.compute = compute
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, owner: None, kind: type) -> Self: ...
    @overload
    def __get__(self, owner: object, kind: type) -> T: ...
    def __get__(self, owner: object | None, kind: type) -> T | Self:
        if owner is None:
            return self
        value: T = self.compute(owner)
        vars(owner)[self.name] = value
        return value
