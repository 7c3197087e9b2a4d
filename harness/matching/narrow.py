"""Compares the digits that two models lose of an answer in narrower dtypes than they claim."""

from __future__ import annotations

from dataclasses import dataclass

from harness.matching.outcomes import WORSE_BITS, bits, divide
from harness.shadow.local import find_dtype
from harness.shadow.recording import Operation
from harness.shadow.shadow import Reach, Shadow


@dataclass(frozen=True)
class Narrow:
    """The digits that a model loses of an answer, by operations in narrower dtypes than the claimed
    one.

    `bits` is the number of bits that it may lose by the bounds, most of them in `operation`.
    `share` is the share of the answer's size by which the observed roundings of these operations
    move it, most of them in `mover`. `dtypes` are the dtypes of the operations; `first` is
    the first of them.
    """

    bits: float = 0.0
    share: float = 0.0
    operation: Operation | None = None
    mover: Operation | None = None
    dtypes: frozenset[str] = frozenset()
    first: Operation | None = None

    def count_beyond(self, other: Narrow) -> float:
        """Return the number of bits that the model may lose. If the other model loses bits in the
        same dtypes, only the bits beyond its loss count, and none if another form may lose as many.
        """
        if not self.dtypes <= other.dtypes:
            return self.bits
        beyond = self.bits - other.bits
        return beyond if beyond > WORSE_BITS else 0.0

    def moves_more(self, other: Narrow, roundoff: float) -> bool:
        """Do the observed roundings move the answer by more than `roundoff` of its size? If the
        other model's roundings in the same dtypes move it too, do these do so by much more?
        """
        alike = self.dtypes <= other.dtypes and self.share <= 2**WORSE_BITS * other.share
        return self.share > roundoff and not alike


NOTHING = Narrow()


def find_narrow(shadow: Shadow, reach: Reach, size: float) -> Narrow:
    """Return the digits that a model loses of an answer of a size, given the bounds on it."""
    if not (reach.lost or reach.moved):
        return NOTHING
    operations = [operation for _, operation in (*reach.lost, *reach.moved)]
    run = shadow.watched.run
    return Narrow(
        bits(reach.as_run - reach.spared, reach.as_declared),
        divide(sum(moved for moved, _ in reach.moved), size),
        reach.lost[0][1] if reach.lost else None,
        reach.moved[0][1] if reach.moved else None,
        frozenset(find_dtype(run, operation) for operation in operations),
        min(operations, key=run.operations.index),
    )
