"""Finds where gradients are cut off: by detach(), by `.data`, or under torch.no_grad()."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class Stops:
    """Follows which numbers carry a gradient back to a leaf, as autograd would see them.

    Numbers that carry one, and that are then read without it, have been cut off. `found` gets the
    operations that cut them off. Versions are contents of memory between two writes.
    """

    def __init__(self, found: list[Any]) -> None:
        self.found = found
        self._carrying: dict[int, Any] = {}  # by version, the operation that cuts it off, if any
        self._live = False
        self._cut: list[int] = []

    def begin(self) -> None:
        """Begin with a new operation."""
        self._live, self._cut = False, []

    def read(self, version: int, live: bool) -> None:
        """Note that the operation reads a version; `live` says that autograd follows it there."""
        self._live |= live
        if not live and version in self._carrying:
            self._cut.append(version)

    def detach(self, version: int, operation: Any) -> None:
        """Note a view of a version that autograd does not follow, though it follows the version."""
        self._carrying[version] = operation

    def end(self, operation: Any, written: Sequence[int], follows: bool) -> None:
        """Note the forward operation that has just run, and the versions with real numbers that it
        has written.

        `follows` says that gradients were enabled, as they are not under torch.no_grad().
        """
        cuts = [self._carrying.get(version) for version in self._cut]
        if follows:
            for version in dict.fromkeys(self._cut):
                self.found.append(self._carrying.pop(version) or operation)
            self._cut = []
        if (not self._live and (follows or not cuts)) or makes_constants(operation):
            return
        cut = None if follows else next(filter(None, cuts), operation)
        self._carrying |= dict.fromkeys(written, cut)


def makes_constants(operation: Any) -> bool:
    """Does an operation read only the shape of its argument, as zeros_like does?"""
    name = operation.functional.removeprefix("aten::")
    return bool(name.endswith("_like") or name.startswith("new_"))
