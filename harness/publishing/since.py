"""The changes since the baseline, grouped for the page and its Markdown."""

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
    """Changes of the same kind with equal texts.

    `trial` is the name of the first trial, `others` the number of further trials, and `told` the
    text.
    """

    kind: Kind
    trial: str
    others: int
    told: str


class Since(NamedTuple):
    """The changes since the baseline: a sentence, and groups of changes, worst first.

    `got_worse` names, in words, the changes that make the run fail; "" if there are none. `left` is
    the number of omitted groups.
    """

    sentence: str
    groups: list[ChangeGroup]
    left: int
    got_worse: str


def describe_since(comparison: Comparison, causes: Sequence[Cause]) -> Since:
    """Return the changes since the baseline; failures with the same cause form one group."""
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
    """Return the name of the baseline's run: its date and commit."""
    parts = [f"of {write_date(comparison.date)}"] if comparison.date else []
    if comparison.commit not in UNKNOWN:
        parts.append(f"at commit {comparison.commit}")
    return " ".join(["a run", *parts])


def _name_causes(causes: Sequence[Cause]) -> dict[str, str]:
    """Return, by the name of each failure, the name of the first failure with the same cause."""
    names = {}
    for cause in causes:
        for verdict in (cause.first, *cause.followers):
            names[f"{verdict.case}: {verdict.id}"] = f"{cause.first.case}: {cause.first.id}"
    return names


def _group_changes(comparison: Comparison, causes: Mapping[str, str]) -> list[ChangeGroup]:
    """Return changes in groups: changes with the same cause of failure form one group, other
    changes form groups by equal texts.
    """
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
