"""A property that is computed when it is first read, and then kept in the object."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from functools import cached_property as lazy
else:

    class lazy:
        """Computes a property when it is first read, as functools.cached_property does.

        In Python 3.11 that takes a lock each time, which costs as much as what is computed here: a
        few operations on small arrays, of thousands of objects.
        """

        def __init__(self, compute):
            self.compute, self.__doc__ = compute, compute.__doc__

        def __set_name__(self, owner, name):
            self.name = name

        def __get__(self, owner, kind=None):
            if owner is None:
                return self
            value = vars(owner)[self.name] = self.compute(owner)
            return value


__all__ = ["lazy"]
