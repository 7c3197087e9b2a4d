"""The shadow of an evaluation: its answers in float64, and bounds on the errors of the model's
answers.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from harness.rules.registry import Error
from harness.shadow.adjoint import Nodes, Sum
from harness.shadow.branching import add_branches, takes_other_branch
from harness.shadow.local import Checked, bound_again, check_operations
from harness.shadow.narrow import bound_in_claimed, is_narrower, list_lost
from harness.shadow.recording import Operation
from harness.shadow.replay import Replay, Results, replay
from harness.shadow.watch import Watched


@dataclass(frozen=True, eq=False)
class Reach:
    """The largest error of a number, from the errors of all operations.

    `in_float64` bounds the error of the number in the shadow (the run repeated in float64), and
    `as_run` the error of the number as the model computes it. `as_declared` is the bound if every
    operation ran in the claimed dtype. `unruled` are the operations that the number depends on and
    for which no rounding bound is known. `lost` has, for each operation that lost digits in a
    narrower dtype, its part of `as_run` beyond its part of `as_declared`, the largest first.
    `spared` is the sum of the same parts of operations that lost no digits there. `moved` has by
    how much the observed errors of the first ones move the number, the largest first.
    """

    in_float64: float
    as_run: float
    as_declared: float
    unruled: tuple[Operation, ...]
    lost: tuple[tuple[float, Operation], ...]
    moved: tuple[tuple[float, Operation], ...] = ()
    spared: float = 0.0


class Shadow:
    """A recorded evaluation repeated in float64, with the error bounds of its operations.

    `dtype` is the dtype that the model claims to compute in. `exact` has exact numbers that the
    evaluation stored rounded, by the number of their version (the contents of memory between two
    writes).
    """

    def __init__(
        self, watched: Watched, dtype: str, exact: Mapping[int, Tensor] | None = None
    ) -> None:
        self.watched, self.dtype, self.exact = watched, dtype, exact or {}
        self._rounded: Mapping[int, Tensor] = {}
        self._answers: dict[str, Tensor] = {}
        self.checked = check_operations(watched.run)
        self.replay: Replay = replay(watched.run, self.exact)

    def read(self, name: str) -> Tensor:
        """Return an answer as repeated in float64, so that autograd can differentiate it."""
        if name not in self._answers:
            self._answers[name] = self.replay.read(self.watched.answers[name])
        return self._answers[name]

    def hold(self, numbers: Mapping[int, Tensor]) -> Shadow:
        """Return this shadow with some numbers that are not repeated (contiguous, float64), by the
        number of their version.
        """
        held = copy.copy(self)
        held.__dict__.pop("nodes", None)
        held._answers = {}
        held.replay = replay(self.watched.run, self.exact, held=numbers)
        return held

    def leaves(self) -> dict[int, Tensor]:
        """Return the arrays that no operation has computed (parameters, inputs, constants),
        repeated in float64.

        The keys are numbers of versions: a version is the contents of memory between two writes.
        """
        computed = {
            place.version
            for operation in self.watched.run.operations
            for place in operation.results
            if place is not None
        }
        numbers = self.replay.numbers.items()
        return {version: each for version, each in numbers if version not in computed}

    @cached_property
    def nodes(self) -> Nodes:
        """The results of all operations with their errors in three scenarios, or four.

        In the first, every operation runs in float64, with the bounds at its repeated inputs, once
        an operation before it has taken another branch than observed. In the second, each runs in
        the dtype in which it ran. In the third, it runs in the claimed dtype if it ran in a
        narrower one. In the fourth, only operations err that lost digits in a narrower dtype, by as
        much as observed.
        """
        in_float64, as_run, as_declared = [], [], []
        after_narrow = self._list_after_narrow()
        elsewhere = False
        for checked, results in zip(self.checked, self.replay.results, strict=True):
            exact = checked.exact
            in_float64.append(self._bound_again(checked, results) if elsewhere else checked.wide)
            if exact and not takes_other_branch(self.replay, checked.operation):
                exact = ()
            elsewhere = elsewhere or bool(exact)
            as_run.append(add_branches(checked.errors, exact, results))
            if not self._lost:
                as_declared.append(as_run[-1])
                continue
            if checked.operation in after_narrow:  # a narrow dtype has moved its inputs
                exact = ()
            as_declared.append(add_branches(self._declared(checked), exact, results))
        factors = [checked.factor for checked in self.checked]
        scenarios = [in_float64, as_run, as_declared]
        if self._lost:
            scenarios.append([self._lost.get(one.operation, ()) for one in self.checked])
        return Nodes(self.replay, scenarios, factors, self._rounded_numbers)

    def _bound_again(self, checked: Checked, results: Results) -> Sequence[Error]:
        found = tuple(None if each is None else each.detach() for each in results)
        return bound_again(checked, lambda place: self.replay.read(place).detach(), found)

    @property
    def _rounded_numbers(self) -> list[tuple[Tensor, Sequence[Error]]]:
        """The numbers that the run stored rounded, each with the error that this causes in the
        scenarios of `nodes`.
        """
        fourth: list[Error] = [None] if self._lost else []
        rounded: list[tuple[Tensor, Sequence[Error]]] = []
        for version, numbers in self.exact.items():
            held = self.replay.get(version)
            stored = self.watched.run.versions[version].numbers.double()
            difference = abs(stored.reshape(held.shape) - numbers.reshape(held.shape))
            rounded.append((held, [None, difference, difference, *fourth]))
        for version, error in self._rounded.items():
            held = self.replay.get(version)
            rounded.append((held, [error.reshape(held.shape), None, None, *fourth]))
        return rounded

    @cached_property
    def _suspects(self) -> list[tuple[int, Checked]]:
        """The operations without a bound or in a narrower dtype than the claimed one, each with the
        number of its node.
        """
        suspects = []
        for node, operation in enumerate(self.nodes.operations):
            if operation is not None:  # None is a number that was held rounded
                checked = self.checked[operation]
                if not checked.ruled or self._is_narrow(checked):
                    suspects.append((node, checked))
        return suspects

    @cached_property
    def _lost(self) -> dict[Operation, Sequence[Error]]:
        """The operations that lost digits in a narrower dtype than the claimed one, in their order,
        with the errors of their results.
        """
        return list_lost(self.watched.run, self.checked, self.dtype)

    @property
    def loses_digits(self) -> bool:
        """Did operations lose digits in a narrower dtype than the claimed one?"""
        return bool(self._lost)

    def forgive(self, operations: frozenset[Operation]) -> None:
        """Count no digits as lost by some operations in a narrower dtype: another model holds their
        results.
        """
        kept = {each: errors for each, errors in self._lost.items() if each not in operations}
        self.__dict__["_lost"] = kept

    def allow_rounded(self, constants: Mapping[int, Tensor]) -> None:
        """Allow constants to be rounded where they are created, as torch.tensor(0.1) in float32 is.

        `constants` has their errors by the number of the version (the contents of memory between
        two writes).
        """
        self._rounded = constants
        self.__dict__.pop("nodes", None)

    def reach(self, numbers: Sequence[Tensor]) -> list[Reach]:
        """Return bounds on the errors of some numbers of the shadow (tensors of one element in the
        run repeated in float64).
        """
        return self.reach_sums([[(number, torch.ones_like(number))] for number in numbers])

    def reach_sums(self, sums: Sequence[Sum]) -> list[Reach]:
        """Return bounds on the errors of weighted sums of tensors of the shadow (the run repeated
        in float64).
        """
        whole, parts = self.nodes.reach(sums, [node for node, _ in self._suspects])
        return [self._sum_up(*each) for each in zip(whole.tolist(), parts.tolist(), strict=True)]

    def _sum_up(self, whole: Sequence[float], parts: Sequence[Sequence[float]]) -> Reach:
        """Return the bounds on one number's error.

        `whole` has the effect of all errors on it in the three scenarios of `nodes`, and `parts`
        the same of each suspect.
        """
        unruled, lost, moved, spared = [], [], [], 0.0
        for (_, checked), (_, ran, declared, *by) in zip(self._suspects, parts, strict=True):
            if not checked.ruled and ran > 0:
                unruled.append(checked.operation)
            elif checked.operation not in self._lost:
                spared += ran - declared
            elif ran - declared > 0:
                lost.append((ran - declared, checked.operation))
            if any(by):
                moved.append((by[0], checked.operation))
        for listed in (lost, moved):
            listed.sort(key=lambda one: -one[0])
        in_float64, as_run, as_declared = whole[:3]
        if not lost and as_run > as_declared:  # by branches that a narrow dtype has moved
            lost += [(as_run - as_declared, operation) for operation in [*self._lost][:1]]
        named = tuple(dict.fromkeys(unruled))
        return Reach(in_float64, as_run, as_declared, named, tuple(lost), tuple(moved), spared)

    def _declared(self, checked: Checked) -> Sequence[Error]:
        """Return the errors of an operation, in the claimed dtype if it ran in a narrower one."""
        narrow = self._is_narrow(checked)
        return bound_in_claimed(checked, self.dtype) if narrow else checked.errors

    def _is_narrow(self, checked: Checked) -> bool:
        """Did an operation run in a narrower dtype than the claimed one?"""
        return bool(checked.dtype) and is_narrower(checked.dtype, self.dtype)

    def _list_after_narrow(self) -> set[Operation]:
        """Return the operations with inputs that a rounding in a narrower dtype than the claimed
        one has moved.
        """
        after: set[Operation] = set()
        if not self._lost:
            return after
        moved: set[int] = set()  # numbers of versions
        for checked in self.checked:
            operation = checked.operation
            if any(place.version in moved for place in operation.places):
                after.add(operation)
            elif operation not in self._lost:
                continue
            moved |= {place.version for place in operation.results if place is not None}
        return after
