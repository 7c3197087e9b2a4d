"""The shadow of a watched evaluation, and the numbers that are judged in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from harness.rules.precision import precision_of
from harness.rules.registry import Error
from harness.shadow.adjoint import Errors, Nodes, find_slopes, list_nodes, weigh
from harness.shadow.local import Checked, check_operations
from harness.shadow.recording import Operation
from harness.shadow.replay import Replay, replay
from harness.shadow.watch import Watched


@dataclass(frozen=True, eq=False)
class Reach:
    """How far the errors of all operations may move a number.

    `in_float64` bounds the error of the shadow itself, `as_run` that of the number as the model
    computes it, and `as_declared` the same if every operation ran in the claimed dtype. `unruled`
    are the operations without a rule that it depends on. `lost` has what each operation in a
    narrower dtype adds to `as_run` beyond its share of `as_declared`, the largest first.
    """

    in_float64: float
    as_run: float
    as_declared: float
    unruled: tuple[Operation, ...]
    lost: tuple[tuple[float, Operation], ...]


class Shadow:
    """A watched evaluation in float64, with what its operations may lose.

    `dtype` is the dtype that the model claims to compute in. `exact` has numbers, by version, that
    the evaluation could only hold rounded.
    """

    def __init__(
        self, watched: Watched, dtype: str, exact: Mapping[int, Tensor] | None = None
    ) -> None:
        self.watched, self.dtype = watched, dtype
        self.checked = check_operations(watched.run)
        self.replay: Replay = replay(watched.run, exact)

    def read(self, name: str) -> Tensor:
        """Return the shadow of an answer, in autograd's graph."""
        return self.replay.read(self.watched.answers[name])

    @cached_property
    def nodes(self) -> Nodes:
        """The results that may be off in the model's run."""
        return list_nodes(self.replay, self._errors)

    @property
    def _errors(self) -> Errors:
        return [one.errors for one in self.checked]

    def reach(self, number: Tensor) -> Reach:
        """Return how far errors may move a number of the shadow (a tensor of one element)."""
        slopes = find_slopes(number, self.nodes)
        in_float64 = weigh(slopes, self.nodes.pick([one.in_float64 for one in self.checked]))
        as_run = weigh(slopes, self.nodes.pick(self._errors))
        as_declared = weigh(slopes, self.nodes.pick([self._declared(one) for one in self.checked]))
        unruled, lost = [], []
        for node, operation in enumerate(self.nodes.operations):
            checked = self.checked[operation]
            if not checked.ruled and as_run[node] > 0:
                unruled.append(checked.operation)
            if as_run[node] > as_declared[node]:
                lost.append((float(as_run[node] - as_declared[node]), checked.operation))
        lost.sort(key=lambda one: -one[0])
        return Reach(
            float(in_float64.sum()),
            float(as_run.sum()),
            float(as_declared.sum()),
            tuple(dict.fromkeys(unruled)),
            tuple(lost),
        )

    def _declared(self, checked: Checked) -> list[Error]:
        """Return the errors of an operation, or those in the claimed dtype if it ran in a narrower
        one.
        """
        claimed = precision_of(self.dtype).stored
        if checked.dtype == "" or precision_of(checked.dtype).stored <= claimed:
            return list(checked.errors)
        factor = claimed / 2.0**-53
        return [None if error is None else factor * error for error in checked.in_float64]
