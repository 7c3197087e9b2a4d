"""Compares the numbers of two implementations, and decides whether they match.

In shapes, D counts draws (problems of a stack), R rows of data and O outputs; (D, ...) is the shape
of any quantity. The oracle computes the exact answer, and a bound on the error of any
implementation that keeps its contract (the arithmetic that it promises). A side is the subject (the
implementation that is judged) or the reference.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from harness.comparing.evidence import Groups, find_evidence
from harness.comparing.ranges import find_draws_beyond, join_masks
from harness.comparing.showing import find_telling, rank_elements
from harness.core.changed import changed
from harness.core.contract import Array, Bounded, Indices, Mask
from harness.core.finding import Who
from harness.core.verdict import Status

FLOAT64_LARGEST = float(np.finfo(np.float64).max)


@dataclass(frozen=True)
class Side:
    """An implementation's answer, and the exact answer with its bound under the same contract; both
    are (D, ...).
    """

    answer: Array
    oracle: Bounded


@dataclass(frozen=True)
class Judgement:
    """The result of a comparison: a status, the element that is shown, and the tensors that were
    not judged.

    `budget_used` is the largest share of an allowed difference that any element uses. The element
    that is shown is that element or, in a failure, the element with the largest difference relative
    to its tensor. `stack` is the number of its stack of problems, and `index` its index there, the
    problem first. `actual`, `expected` and `allowed` are its figures, and `factor` is its
    difference divided by the allowed one. `contract_share` is the part of `allowed` that comes from
    different declarations in the two contracts (the arithmetic that each side promises). `outside`
    names the sides (subject, reference) that are outside their own bounds at this element.

    Tensors are given by number: `tensors_outside` are outside their bounds, `unseen` are 0 in all
    problems, and `too_wide` have bounds that are too wide to judge by. `undefined` counts the
    problems that were left out, because the exact answer leaves the dtype's range.
    """

    status: Status
    budget_used: float
    stack: int
    index: tuple[int, ...]
    actual: float
    expected: float
    allowed: float
    factor: float
    contract_share: float = 0.0
    outside: tuple[Who, ...] = ()
    tensors_outside: tuple[int, ...] = ()
    unseen: tuple[int, ...] = ()
    too_wide: tuple[int, ...] = ()
    undefined: int = 0


def budget(difference: Array, allowed: Array) -> Array:
    """Return |difference| / allowed for each element: the share of the allowed difference that is
    used.

    0 / 0 gives 0 (equal, as demanded). x / 0, infinite and NaN differences give infinity.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        used = abs(difference) / allowed
    if np.isnan(used).any():
        used = np.where(difference == 0, 0.0, np.where(np.isnan(used), np.inf, used))
    return used


def outside(answer: Array, bound: Bounded, largest: float) -> bool:
    """Does any element of an answer (D, ...) differ from the exact value by more than its bound?

    Elements whose exact value may exceed `largest`, the dtype's largest number, do not count.
    """
    return bool(draws_outside(answer, bound, largest).any())


def draws_outside(answer: Array, bound: Bounded, largest: float) -> Mask:
    """Return a mask (D,) of the draws (single problems) with an element outside its bound, see
    `outside`.
    """
    differs = ~(abs(answer - bound.value) <= bound.error)
    if not differs.any():  # nearly always, and found sooner
        return np.zeros(len(answer), dtype=bool)
    in_range = abs(bound.value) + bound.error <= largest
    draws: Mask = np.any((in_range & differs).reshape(len(answer), -1), axis=1)
    return draws


def judge(
    subjects: Sequence[Side],
    references: Sequence[Side],
    owners: Sequence[Indices],
    largest: float,
    every_draw: bool = False,
) -> Judgement:
    """Compare a subject's answers with a reference's; return the status and the element to show.

    Each sequence has one entry for each stack of problems. The exact answers under the two
    contracts (the arithmetic that each side promises) may differ; this declared difference is
    subtracted first. The remaining difference may be as large as the sum of both bounds. Each side
    is also compared with the exact answer under its own contract, which shows who is outside.
    `owners` gives for each stack the number of the tensor that each element belongs to (in the
    shape of one problem). `largest` is the dtype's largest finite number. A draw (a single problem)
    beyond its range is left out, and the others decide; with `every_draw` it makes the status
    UNDEFINED. In a draw in which only the reference is undefined, the subject is compared with its
    own exact answer alone.

    Raises ValueError when there is nothing to judge: no evidence is not a pass.
    """
    if not subjects or any(0 in (side.answer.size, side.oracle.value.size) for side in subjects):
        raise ValueError("nothing to judge: no stack of answers, or an empty one")
    worst: list[tuple[float, tuple[int, ...]]] = []
    stacks: list[_Stack] = []
    undefined, tensors_outside = 0, set[int]()
    count = 1 + max(int(owner.max()) for owner in owners)
    seen, narrow = np.zeros(count, dtype=bool), np.zeros(count, dtype=bool)
    grouped = Groups.of(owners[0])
    for stack, (subject, reference, owner) in enumerate(
        zip(subjects, references, owners, strict=True)
    ):
        mine, theirs = subject.oracle, reference.oracle
        _expect_shapes(subject, reference)
        with np.errstate(over="ignore", invalid="ignore"):
            beyond_range, lost = _find_undefined(mine, theirs, largest)
            declared = mine.value - theirs.value
            rounding = mine.error + theirs.error
            shares = budget((subject.answer - reference.answer) - declared, rounding)
            beyond = _find_beyond({"subject": subject, "reference": reference})
        if lost is not None:  # the reference is undefined there; the subject need not be
            shares = np.where(lost, 0.0, shares)
            beyond |= {who: np.where(lost, 0.0, beyond[who]) for who in beyond if who != "subject"}
        if beyond_range is not None:  # such draws say nothing, but the others may fail
            shares = np.where(beyond_range, 0.0, shares)
            beyond = {who: np.where(beyond_range, 0.0, own) for who, own in beyond.items()}
        left_out = join_masks(beyond_range, lost)
        if left_out is not None:
            undefined += int(left_out.sum())
            rounding = np.where(left_out, np.inf, rounding)
        if owner is not grouped.owner and not np.array_equal(owner, grouped.owner):
            grouped = Groups.of(owner)
        tensors = grouped.tensors
        other_than_zero, judged = find_evidence(mine.size, rounding, grouped)
        seen[tensors] |= other_than_zero
        narrow[tensors] |= judged
        for own in beyond.values():
            shares = np.maximum(shares, np.where(own > 1, own, 0.0))
        ranks = rank_elements(shares, subject.answer)
        index = _top(ranks)
        rank = float(ranks[index])
        if rank > 1:
            tensors_outside.update(np.unique(owner[(shares > 1).any(axis=0)]).tolist())
        compared = _Stack(stack, subject, reference, owner, shares, declared, rounding, beyond)
        worst.append((rank, index))
        stacks.append(compared)
    number = max(range(len(worst)), key=lambda stack: worst[stack][0])
    shown = _choose_shown(stacks[number].show(worst[number][1]), stacks)
    concluded = _conclude(shown, tensors_outside, undefined, seen, narrow)
    if every_draw and undefined and concluded.status is not Status.FAIL:
        return replace(concluded, status=Status.UNDEFINED)
    return concluded


def _find_undefined(
    mine: Bounded, theirs: Bounded, largest: float
) -> tuple[Mask | None, Mask | None]:
    """Return the masks of the draws that are undefined for the subject and for the reference, see
    `find_draws_beyond`.

    A reference's answers may be as large as float64 holds.
    """
    beyond_range = find_draws_beyond(mine, largest)
    if theirs is mine and largest == FLOAT64_LARGEST:
        return beyond_range, beyond_range
    return beyond_range, find_draws_beyond(theirs, FLOAT64_LARGEST)


def _expect_shapes(subject: Side, reference: Side) -> None:
    """Raise ValueError unless all answers and bounds of both sides have the same shape."""
    expected = subject.oracle.value.shape
    of_subject = subject.answer, subject.oracle.error
    of_reference = reference.answer, reference.oracle.value, reference.oracle.error
    shapes = [array.shape for array in (*of_subject, *of_reference)]
    if shapes.count(expected) < len(shapes):
        found = " and ".join(map(str, dict.fromkeys(shapes)))
        raise ValueError(f"shapes {found}, expected {expected}")


class _Stack(NamedTuple):
    """The comparison of one stack of problems, element by element (D, ...).

    `shares` are the differences as shares of the allowed ones. `declared` are the differences
    between the exact answers under the two contracts, and `rounding` the sums of both bounds.
    `beyond` is about each side with any element outside its own bounds: the shares of these bounds
    that it uses. `owner` has the number of each element's tensor.
    """

    number: int
    subject: Side
    reference: Side
    owner: Indices
    shares: Array
    declared: Array
    rounding: Array
    beyond: Mapping[Who, Array]

    def show(self, index: tuple[int, ...]) -> Judgement:
        """Return a judgement that shows the element at `index`; its status is PASS."""
        declared, share = float(abs(self.declared[index])), float(self.shares[index])
        return Judgement(
            Status.PASS,
            share,
            self.number,
            index,
            actual=float(self.subject.answer[index]),
            expected=float(self.reference.answer[index]),
            allowed=float(self.rounding[index] + abs(self.declared[index])),
            factor=share,
            contract_share=declared,
            outside=tuple(who for who, own in self.beyond.items() if own[index] > 1),
        )

    def measure_differences(self) -> Array:
        """Return the size of each element's difference (D, ...).

        It is the difference of the two sides' answers, less the declared one. For a side that is
        somewhere outside its own bounds, the distance from its exact answer counts too, if it is
        larger.
        """
        excess = (self.subject.answer - self.reference.answer) - self.declared
        differences = abs(excess)
        for who, side in (("subject", self.subject), ("reference", self.reference)):
            if who in self.beyond:
                differences = np.maximum(differences, abs(side.answer - side.oracle.value))
        return differences

    def measure_factors(self) -> Array:
        """Return by which factor each element's two answers differ by more than is allowed.

        Where they do not, one side is outside its own bounds: there it is the share of these.
        """
        allowed = self.rounding + abs(self.declared)
        factors = budget(self.subject.answer - self.reference.answer, allowed)
        return np.where((factors > 1) & np.isfinite(factors), factors, self.shares)


def _choose_shown(worst: Judgement, stacks: Sequence[_Stack]) -> Judgement:
    """Return the judgement to show.

    It is `worst`, the judgement of the worst element. If that element is outside its bounds, it is
    the judgement of the element with the largest difference relative to its tensor.
    """
    if worst.budget_used <= 1:
        return worst
    found = []
    with np.errstate(over="ignore", invalid="ignore"):
        for each in stacks:
            differences, exact = each.measure_differences(), each.subject.oracle.value
            factors = each.measure_factors()
            rank, index = find_telling(differences, each.shares, factors, exact, each.owner)
            found.append((rank, replace(each.show(index), factor=float(factors[index]))))
    shown = max(found, key=lambda ranked: ranked[0])[1]
    return replace(shown, budget_used=worst.budget_used)


def _find_beyond(sides: Mapping[Who, Side]) -> dict[Who, Array]:
    """Return, for each side with an element outside its own bounds, the share of its bound that
    each element uses, by the side's name.
    """
    beyond: dict[Who, Array] = {}
    for who, side in sides.items():
        difference, bound = side.answer - side.oracle.value, side.oracle.error
        if not (abs(difference) <= bound).all():
            beyond[who] = budget(difference, bound)
    return beyond


def _top(ranks: Array) -> tuple[int, ...]:
    """Return the index of the largest rank."""
    return tuple(int(i) for i in np.unravel_index(int(ranks.argmax()), ranks.shape))


def _judge_element(
    status: Status, index: tuple[int, ...], used: Array, *figures: Array
) -> Judgement:
    """Return the judgement of the element at `index`.

    `used` are the shares of allowed differences that elements use; `figures` are three arrays: the
    subject's answers, the reference's answers and the allowed differences.
    """
    actual, expected, allowed = (float(figure[index]) for figure in figures)
    share = float(used[index])
    return Judgement(status, share, 0, index, actual, expected, allowed, share)


def _conclude(
    worst: Judgement,
    tensors_outside: set[int],
    undefined: int,
    seen: Mask,
    narrow: Mask,
) -> Judgement:
    """Return the `worst` element's judgement with the status of the whole trial.

    The status follows from this element and, if it passes, from the tensors that were not judged:
    `seen` marks the tensors with values other than 0, `narrow` those with a narrow bound. Undefined
    draws are no evidence; other draws may be.
    """
    unseen, too_wide = (~seen).nonzero()[0], (seen & ~narrow).nonzero()[0]
    status = Status.PASS
    if worst.budget_used > 1:
        status = Status.FAIL
    elif unseen.size or too_wide.size:
        status = Status.UNDEFINED if undefined else Status.VACUOUS
    return changed(
        worst,
        status=status,
        tensors_outside=tuple(sorted(tensors_outside)),
        undefined=undefined,
        unseen=tuple(map(int, unseen)),
        too_wide=tuple(map(int, too_wide)),
    )


def judge_contrast(subject: Bounded, reference: Bounded) -> tuple[Judgement, Judgement]:
    """Judge the claim that a contrast is 0 for the subject and other than 0 for the reference.

    A contrast is a linear combination of rows of outputs, see `combining`. Return two judgements.
    The first passes if the subject's contrast is 0 within its bounds in all problems and outputs.
    The second passes if the reference's contrast lies somewhere beyond both bounds together; its
    figures belong to the largest such contrast.
    """
    used = budget(subject.value, subject.error)
    top = _top(used)
    status = Status.PASS if used[top] <= 1 else Status.FAIL
    claim = _judge_element(status, top, used, subject.value, np.zeros_like(used), subject.error)
    both = subject.error + reference.error
    beyond = np.where(
        (abs(reference.value) > both) & np.isfinite(reference.value), abs(reference.value), 0.0
    )
    best = _top(beyond)
    status = Status.PASS if beyond[best] > 0 else Status.FAIL
    return claim, _judge_element(
        status, best, budget(reference.value, both), subject.value, reference.value, both
    )
