"""Lists all layouts that put numbers at other places."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.layouts.gates import list_gates
from harness.layouts.heads import list_heads
from harness.layouts.layout import Layout
from harness.layouts.parts import Named

KINDS = (list_gates, list_heads)


def list_layouts(theirs: Sequence[Named], ours: Sequence[Named]) -> Iterator[Layout]:
    """Yield the layouts that fit the shapes of the reference's tensors and of the subject's."""
    for list_kind in KINDS:
        yield from list_kind(theirs, ours)
