"""Detects that numbers leave torch. Computations in NumPy or Python cannot be followed."""

from __future__ import annotations

import sys
from typing import Any

from harness.shadow.layers import find_line
from harness.shadow.unfused import StepByStep

WAYS = ("numpy", "tolist", "__array__", "__dlpack__")


class Leaving(StepByStep):
    """Notes in `lines` the user's lines that read a tensor's numbers. One mode does both, since
    torch takes time for each mode that a call passes through.
    """

    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self.lines = lines

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if getattr(function, "__name__", "") in WAYS:
            self.lines.append(find_line(sys._getframe(1)))
        return super().__torch_function__(function, types, args, kwargs)
