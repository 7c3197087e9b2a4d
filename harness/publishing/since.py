"""What has changed since the baseline, grouped for the page and its Markdown."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from harness.core.report import grouped
from harness.publishing.banner import UNKNOWN, write_date
from harness.reporting.causes import Cause
from harness.reporting.headline import count
from harness.reporting.regressions import Comparison, Kind

MOST = 100  # groups that are shown


class ChangeGroup(NamedTuple):
    """Changes of the same kind that read alike: the first trial, and how many others."""

    kind: Kind
    trial: str
    others: int
    told: str


class Since(NamedTuple):
    """What has changed since the baseline: a sentence, and groups of changes, worst first.

    `got_worse` says in words what makes the run fail, "" if nothing does. `left` is the number of
    groups that are left out.
    """

    sentence: str
    groups: list[ChangeGroup]
    left: int
    got_worse: str


def describe_since(comparison: Comparison, causes: Sequence[Cause]) -> Since:
    """Return what has changed since the baseline; failures of the same cause are one group."""
    if comparison.error:
        sentence = f"Not compared with the baseline, which is a failure: {comparison.error}"
        return Since(sentence, [], 0, sentence)
    counts = Counter(change.kind for change in comparison.changes)
    failing = [count(counts[kind], kind) for kind in Kind if kind.fails and counts[kind]]
    others = [f"{counts[kind]:,} {kind}" for kind in Kind if not kind.fails and counts[kind]]
    sentence = f"{count(len(comparison.changes), 'check')} compared with {_name_run(comparison)}: "
    sentence += ", ".join(failing + others)
    groups = _group_changes(comparison, _name_causes(causes))
    worse = f"Worse than the baseline: {', '.join(failing)}" if failing else ""
    return Since(sentence, groups[:MOST], max(len(groups) - MOST, 0), worse)


def _name_run(comparison: Comparison) -> str:
    """Return the run of the baseline in words."""
    parts = [f"of {write_date(comparison.date)}"] if comparison.date else []
    if comparison.commit not in UNKNOWN:
        parts.append(f"at commit {comparison.commit}")
    return " ".join(["a run", *parts])


def _name_causes(causes: Sequence[Cause]) -> dict[str, str]:
    """Return the name of a cause's first failure by the name of each of its failures."""
    names = {}
    for cause in causes:
        for verdict in (cause.first, *cause.followers):
            names[f"{verdict.case}: {verdict.id}"] = f"{cause.first.case}: {cause.first.id}"
    return names


def _group_changes(comparison: Comparison, causes: Mapping[str, str]) -> list[ChangeGroup]:
    """Return changes in groups: those of a cause, and others that read alike."""
    changes = [change for change in comparison.changes if change.kind is not Kind.UNCHANGED]
    by_words = grouped(
        changes,
        lambda change: (change.kind, causes.get(change.trial) or change.told + change.found),
    )
    groups = []
    for (kind, name), members in by_words.items():
        first = next((change for change in members if change.trial == name), members[0])
        words = f"{first.told}: {first.found}" if first.found else first.told
        groups.append(ChangeGroup(kind, first.trial, len(members) - 1, words))
    return groups
