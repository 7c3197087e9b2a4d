"""Compares the results of two runs: finds the change of each trial since the older one."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from reprlib import repr as shown  # whatever the depth and length
from typing import Any

from harness.core.report import Report, grouped
from harness.core.verdict import R, Status, Verdict
from harness.reporting.results import read
from harness.text.lines import fold
from harness.words.wording import headline

# a budget used that grew by more than this, to more than this, has drifted
FACTOR, FLOOR = 2.0, 0.1
LINES = 30  # of a comparison on the screen, however many trials there were
# facts of the environment that change rounding, anywhere and in R
ROUNDING = ("processor", "threads", "torch", "numpy")
ROUNDING_IN_R = ("R", "nnet")


class Kind(StrEnum):
    """The kind of a trial's change between an older report and a newer one, worst first."""

    REGRESSION = "regression"  # passed, fails now
    NEW_FAILURE = "new failure"  # was not asked, gave no evidence, or was known; fails now
    LOST = "lost"  # passed or failed, gives no evidence now
    GONE = "gone"  # is not asked now
    DRIFT = "drift"  # passes, nearer to its limit
    STILL_FAILING = "still failing"
    KNOWN = "known"  # fails, as its case says that it does
    NOT_COMPARABLE = "not comparable"  # passes, but its budget used has another meaning now
    NEW = "new"  # was not asked, or gave no evidence; does not fail
    IMPROVEMENT = "improvement"  # failed, passes now
    UNCHANGED = "unchanged"

    @property
    def fails(self) -> bool:
        """Return whether a change of this kind fails the comparison."""
        return self in (Kind.REGRESSION, Kind.NEW_FAILURE)


@dataclass(frozen=True)
class Change:
    """The change of one trial since the older report; `told` describes it in words.

    `size` ranks the changes of a kind; the largest is the worst. For a trial that fails now,
    `found` is the finding of the failure in one line, `failure` has all its sentences, and `cause`
    names the first failed trial of the same cause, which may be the trial itself.
    """

    kind: Kind
    trial: str
    told: str
    size: float = 0.0
    found: str = ""
    failure: str = ""
    cause: str = ""


def compare(old: Report, new: Report, factor: float = FACTOR, floor: float = FLOOR) -> list[Change]:
    """Return the change of every trial from the older report to the newer one, worst first.

    A trial drifts if the share of its bound that it uses grows by more than `factor`, to more than
    `floor`. The changes are sorted by kind, then by size. Raises ValueError, with a sentence, if
    the reports cannot be compared.
    """
    before, after = _trials("older", old), _trials("newer", new)
    if not any(_is_judged(before.get(key)) and _is_judged(now) for key, now in after.items()):
        raise ValueError("no trial was judged in both reports: give two runs of the same cases")
    lacking = [was for key, was in before.items() if key not in after]
    changes = [
        Change(Kind.GONE, f"{was.case}: {was.id}", f"{was.status} before, not asked now")
        for was in lacking
    ]
    for key, now in after.items():
        changes.append(
            _compare_trial(
                before.get(key), now, _describe_rounding_changes(now, old, new), factor, floor
            )
        )
    if lacking and not new.complete and not any(change.kind.fails for change in changes):
        raise ValueError(
            f"the newer run ended early and lacks {len(lacking)} trials: let it run to its end"
        )
    return sorted(changes, key=lambda change: (list(Kind).index(change.kind), -change.size))


def _trials(which: str, report: Report) -> dict[tuple[str, str], Verdict]:
    trials: dict[tuple[str, str], Verdict] = {}
    for verdict in report.verdicts:
        if trials.setdefault((verdict.case, verdict.id), verdict) is not verdict:
            name = f"{verdict.case}: {verdict.id}"
            raise ValueError(
                f"the {which} report has two trials {name}: give each case a name of its own"
            )
    return trials


def _is_judged(verdict: Verdict | None) -> bool:
    return verdict is not None and verdict.status.judges


def _compare_trial(
    was: Verdict | None, now: Verdict, rounding: str, factor: float, floor: float
) -> Change:
    earlier = was.status if was and _is_judged(was) else None
    failed = earlier not in (None, Status.PASS)
    used, uses = was.budget_used if was else None, now.budget_used
    told = f"{was.status if was else 'not asked'} before, {now.status} now"
    size = math.inf if uses is None else uses
    if not _is_judged(now):
        kind = Kind.LOST if earlier else Kind.UNCHANGED if was else Kind.NEW
        told = f"{told}: {now.why}"
    elif now.status.fails:
        passed = earlier is Status.PASS
        kind = (
            Kind.STILL_FAILING
            if was and was.status.fails
            else Kind.REGRESSION
            if passed
            else Kind.NEW_FAILURE
        )
    elif now.status is Status.KNOWN:
        kind, told = Kind.KNOWN, f"{told}: {now.known}"
    elif was is None or earlier is None:
        kind = Kind.NEW
    elif was.expect != now.expect:
        kind = Kind.NOT_COMPARABLE
        told = f"{told}, but claimed {was.expect} before, {now.expect} now"
    elif failed:
        kind = Kind.IMPROVEMENT
    elif rounding:
        kind = Kind.NOT_COMPARABLE
        told = f"passes as before; what it uses of its bound is not compared: {rounding}"
    elif (
        now.expect == "equal"
        and used is not None
        and uses is not None
        and uses > max(floor, factor * used)
    ):
        kind, told = Kind.DRIFT, f"passes, used {used:.2g} of its bound, uses {uses:.2g} now"
    else:
        kind = Kind.UNCHANGED
    trial = f"{now.case}: {now.id}"
    if now.status.fails:
        cause = f"{now.case}: {now.follows or now.id}"
        return Change(kind, trial, told, size, headline(now), now.why, cause)
    return Change(kind, trial, told, size)


def _describe_rounding_changes(now: Verdict, old: Report, new: Report) -> str:
    """Return in words the differences between two runs of a trial that can change its rounding
    errors; "" if there are none.

    These are differences of the machine, of versions and of the subject's contract (dtype and other
    properties of its arithmetic).
    """
    names = list(ROUNDING)
    if now.source in R:
        names += ROUNDING_IN_R
    if now.device != "cpu":
        names += ["device", now.device.partition(":")[0]]
    pairs = [(name, old.environment.get(name), new.environment.get(name)) for name in names]
    contract = f"{now.subject} {now.dtype}"
    pairs += [
        (f"the contract of {contract}", old.contracts.get(contract), new.contracts.get(contract))
    ]
    texts = [(name, _text(was), _text(here)) for name, was, here in pairs]
    return ", ".join(f"{name} was {was}, is {here}" for name, was, here in texts if was != here)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "not known" if value is None else shown(value)


def summary_lines(changes: Sequence[Change], width: int, whole: int = 0) -> list[str]:
    """Return the changes in sentences, worst first, then the number of each kind; at most LINES
    lines.

    Changes with equal texts are one sentence, and so are failures with the same cause. The first
    `whole` sentences are followed by the full text of their failures. Lines have at most `width`
    columns.
    """
    causes = grouped(changes, lambda change: (change.kind, change.cause or change))
    firsts = {_find_first(alike): len(alike) - 1 for alike in causes.values()}
    groups = grouped(list(firsts), lambda change: (change.kind, change.told, change.found))
    lines: list[str] = []
    for number, ((kind, what, found), [first, *others]) in enumerate(groups.items()):
        name = (
            first.trial if len(first.trial) < 120 else f"{first.trial[:80]}...{first.trial[-36:]}"
        )
        name += f" and {len(others)} more" if others else ""
        followers = sum(firsts[each] for each in (first, *others))
        name += f" (and {followers} more of the same cause)" if followers else ""
        in_full = first.failure.split("\n") if kind.fails and number < whole else ()
        if kind is not Kind.UNCHANGED:
            lines += fold(
                f"{kind}: {name}: {what}{f': {found}' if found and not in_full else ''}", width
            )
            lines += [line for sentence in in_full for line in fold(f"    {sentence}", width)]
    if len(lines) > LINES - 1:
        lines = [*lines[: LINES - 2], f"... and {len(lines) - LINES + 2} lines more"]
    counts = Counter(change.kind for change in changes)
    shares = ", ".join(f"{counts[kind]} {kind}" for kind in Kind if counts[kind])
    return [*lines, f"{len(changes)} trials compared: {shares}"]


def _find_first(alike: Sequence[Change]) -> Change:
    """Return the change that shows a cause first; of several without one, the worst."""
    return next((change for change in alike if change.trial == change.cause), alike[0])


@dataclass(frozen=True)
class Comparison:
    """A comparison of a run with an older report, the baseline. `date` and `commit` identify the
    run of the baseline.

    `error` is the reason why they cannot be compared, or "".
    """

    changes: Sequence[Change] = ()
    date: str = ""
    commit: str = ""
    error: str = ""

    @property
    def fails(self) -> bool:
        """Does a change make the run fail, or is a comparison impossible?"""
        return bool(self.error) or any(change.kind.fails for change in self.changes)


def compare_with_baseline(path: Path, new: Report) -> Comparison:
    """Compare a run with the report at `path`."""
    try:
        old = read(path)
        return Comparison(
            compare(old, new), str(old.environment.get("date", "")), old.commit, error=""
        )
    except ValueError as error:
        return Comparison(error=str(error))


def comparison_lines(comparison: Comparison, width: int) -> list[str]:
    """Return the lines of a comparison that a terminal shows."""
    if comparison.error:
        said = f"not compared with the baseline, which is a failure: {comparison.error}"
        return fold(said, width)
    return summary_lines(comparison.changes, width)
