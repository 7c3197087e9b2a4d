"""Stores the outputs of a call, to detect that a later call overwrites them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from harness.calling.modes import have_same_numbers

if TYPE_CHECKING:
    from torch import Tensor


class Kept(NamedTuple):
    """The outputs of a call, one tensor for each head, and copies made at once after the call."""

    heads: Sequence[Tensor]
    copies: Sequence[Tensor]

    @classmethod
    def of(cls, heads: Sequence[Tensor]) -> Kept:
        """Return the outputs of a call together with copies of them."""
        detached = [head.detach() for head in heads]
        return cls(detached, [head.clone() for head in detached])

    def are_overwritten(self, others: Sequence[Tensor]) -> bool:
        """Did a later call change the outputs?

        Return False for outputs that share memory with `others`, the inputs and parameters: these
        may change.
        """
        places = {other.untyped_storage().data_ptr() for other in others}
        if any(head.untyped_storage().data_ptr() in places for head in self.heads):
            return False
        return not have_same_numbers(self.copies, self.heads)
