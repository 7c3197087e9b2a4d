"""The causes of failures: the first failure of each, and the failures that follow from it."""

from collections.abc import Iterable
from typing import NamedTuple

from harness.core.verdict import Verdict


class Cause(NamedTuple):
    """A cause of failures: the verdict that shows it first, and those that follow from it."""

    first: Verdict
    followers: tuple[Verdict, ...] = ()


def list_causes(failures: Iterable[Verdict]) -> list[Cause]:
    """Return the causes of failures in the order in which they were first seen.

    A failure whose first failure is not among them, as in a part of a run, is a cause of its own.
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
