"""Groups failures by their cause: the first failure of each cause, and further failures with the
same cause.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from harness.core.finding import Reach
from harness.core.verdict import Status, Verdict
from harness.words.wording import with_finding

MOST_BLOCKS = 5  # causes that are shown whole


class Cause(NamedTuple):
    """Failures with the same cause: the first verdict that shows it, and the others in their
    order.
    """

    first: Verdict
    followers: tuple[Verdict, ...] = ()


def list_causes(failures: Iterable[Verdict]) -> list[Cause]:
    """Return the failures grouped by their cause, in the order in which causes were first seen.

    A verdict names the first failure of its cause. If that failure is not in `failures`, as in a
    part of a run, the verdict is a group of its own.
    """
    firsts: dict[tuple[str, str], Verdict] = {}
    followers: dict[tuple[str, str], list[Verdict]] = {}
    for verdict in failures:
        key = verdict.case, verdict.follows or verdict.id
        if verdict.follows and key in firsts:
            followers[key].append(verdict)
        else:
            key = verdict.case, verdict.id
            firsts[key], followers[key] = verdict, []
    return [Cause(first, tuple(followers[key])) for key, first in firsts.items()]


def describe_causes(verdicts: Sequence[Verdict], where: str) -> str:
    """Return a text with the first failure of each cause of a case, and the number of causes that
    have no room.

    `where` tells the reader where these are described.
    """
    causes = list_causes(verdict for verdict in add_reach(verdicts) if verdict.status.fails)
    blocks = [cause.first.why for cause in causes[:MOST_BLOCKS]]
    if left := len(causes) - len(blocks):
        blocks.append(f"and {left} more causes: {where}")
    return "\n".join(blocks)


def add_reach(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Return copies of the verdicts in which the first failure of each cause names all trials with
    the same cause.
    """
    causes: dict[tuple[str, str], Cause] = {}
    for each in list_causes(verdict for verdict in verdicts if verdict.status.fails):
        causes[each.first.case, each.first.id] = each
    whole = []
    for verdict in verdicts:
        cause = causes.get((verdict.case, verdict.id))
        if cause is not None and cause.followers and verdict.finding is not None:
            reach = _find_reach(cause, verdicts)
            verdict = with_finding(verdict, replace(verdict.finding, reach=reach))
        whole.append(verdict)
    return whole


def _find_reach(cause: Cause, verdicts: Sequence[Verdict]) -> Reach:
    """Return the checks, dtypes and devices of the failed trials with one cause, and the checks
    that the same subject passes.
    """
    first = cause.first
    alike = [each for each in (first, *cause.followers) if each.subject == first.subject]
    same = [each for each in alike if each.check == first.check]
    checks = dict.fromkeys(each.check for each in alike)
    right: dict[str, bool] = {}
    for each in verdicts:
        if (each.case, each.subject) == (first.case, first.subject):
            right[each.check] = right.get(each.check, True) and each.status is Status.PASS
    return Reach(
        witnesses=_list(each.finding.against for each in same if each.finding is not None),
        devices=_list(each.device for each in same),
        dtypes=_list(each.dtype for each in same),
        checks=tuple(check for check in checks if check != first.check),
        right=tuple(check for check, passes in right.items() if passes),
        trials=len(cause.followers),
    )


def _list(names: Iterable[str]) -> tuple[str, ...]:
    """Return each name once, in order."""
    return tuple(dict.fromkeys(names))
