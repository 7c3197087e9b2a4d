"""The shadow of a watched evaluation, and the numbers that are judged in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from harness.rules.precision import precision_of
from harness.rules.registry import Error
from harness.shadow.adjoint import Nodes
from harness.shadow.branching import add_branches, takes_other_branch
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
        self.watched, self.dtype, self.exact = watched, dtype, exact or {}
        self._rounded: Mapping[int, Tensor] = {}
        self.checked = check_operations(watched.run)
        self.replay: Replay = replay(watched.run, self.exact)

    def read(self, name: str) -> Tensor:
        """Return the shadow of an answer, in autograd's graph."""
        return self.replay.read(self.watched.answers[name])

    def leaves(self) -> dict[int, Tensor]:
        """Return the numbers that no operation has made, by version: parameters, inputs and
        constants.
        """
        made = {
            place.version
            for operation in self.watched.run.operations
            for place in operation.results
            if place is not None
        }
        numbers = self.replay.numbers.items()
        return {version: each for version, each in numbers if version not in made}

    @cached_property
    def nodes(self) -> Nodes:
        """The results that may be off, with their errors in float64, as run and as declared."""
        in_float64, as_run, as_declared = [], [], []
        for checked, results in zip(self.checked, self.replay.results, strict=True):
            exact = checked.exact
            if exact and not takes_other_branch(self.replay, checked.operation):
                exact = ()
            in_float64.append(checked.in_float64)
            as_run.append(add_branches(checked.errors, exact, results))
            as_declared.append(add_branches(self._declared(checked), exact, results))
        return Nodes(self.replay, [in_float64, as_run, as_declared], self._held)

    @property
    def _held(self) -> list[tuple[Tensor, Sequence[Error]]]:
        """The numbers that the run could only hold rounded, and what this changes: in the run, or
        for constants in the shadow itself.
        """
        held: list[tuple[Tensor, Sequence[Error]]] = []
        for version, numbers in self.exact.items():
            apart = abs(self.watched.run.versions[version].numbers.double() - numbers)
            held.append((self.replay.get(version), [None, apart, apart]))
        for version, error in self._rounded.items():
            held.append((self.replay.get(version), [error, None, None]))
        return held

    def allow_rounded(self, constants: Mapping[int, Tensor]) -> None:
        """Let constants, by version, be off by errors: they are rounded already where they are
        made, as torch.tensor(0.1) in float32.
        """
        self._rounded = constants
        self.__dict__.pop("nodes", None)

    def reach(self, numbers: Sequence[Tensor]) -> list[Reach]:
        """Return how far errors may move numbers of the shadow (tensors of one element)."""
        return [self._sum_up(each) for each in self.nodes.reach(numbers)]

    def _sum_up(self, reach: Tensor) -> Reach:
        """Return the sums over all operations of a number's (nodes, 3)."""
        unruled, lost = [], []
        beyond = (reach[:, 1] - reach[:, 2]).tolist()
        for node, operation in enumerate(self.nodes.operations):
            if operation is None:  # a number that was held rounded
                continue
            checked = self.checked[operation]
            if not checked.ruled and float(reach[node, 1]) > 0:
                unruled.append(checked.operation)
            elif beyond[node] > 0:
                lost.append((beyond[node], checked.operation))
        lost.sort(key=lambda one: -one[0])
        in_float64, as_run, as_declared = reach.sum(0).tolist()
        named = tuple(dict.fromkeys(unruled))
        return Reach(in_float64, as_run, as_declared, named, tuple(lost))

    def _declared(self, checked: Checked) -> Sequence[Error]:
        """Return the errors of an operation, or those in the claimed dtype if it ran in a narrower
        one.
        """
        claimed = precision_of(self.dtype).stored
        if checked.dtype == "" or precision_of(checked.dtype).stored <= claimed:
            return checked.errors
        factor = claimed / 2.0**-53
        return [None if error is None else factor * error for error in checked.in_float64]
