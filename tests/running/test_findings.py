"""Findings of several processes become one value, however they are put together."""

from dataclasses import fields
from functools import reduce
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.core.report import Cost, Fit, Race, Row
from harness.core.verdict import Status, Verdict
from harness.plugin.xdist import _pack, _unpack
from harness.running.findings import CaseCount, Failure, Findings, KnownFailure, merge

NAMES = st.sampled_from(["a", "b", "c"])
COUNTS = st.integers(0, 3)
VERDICTS = st.builds(
    Verdict,
    *(NAMES for _ in range(8)),
    st.sampled_from(Status),
    budget_used=st.none() | st.floats(0, 2),
)


def mappings(values: st.SearchStrategy[Any], keys: Any = NAMES) -> Any:
    """Mappings of few keys, so that two often share one."""
    return st.dictionaries(keys, values, max_size=3)


def tuples(values: st.SearchStrategy[Any]) -> Any:
    """Tuples of few values."""
    return st.lists(values, max_size=3).map(tuple)


def distinct(values: st.SearchStrategy[Any]) -> Any:
    """Tuples of few values, each of them once."""
    return st.lists(values, max_size=3, unique=True).map(tuple)


PAIRS = st.tuples(NAMES, NAMES)
FINDINGS = st.builds(
    Findings,
    verdicts=mappings(VERDICTS),
    failures=tuples(st.builds(Failure, NAMES, COUNTS, VERDICTS)),
    collected=COUNTS,
    called=COUNTS,
    cases=mappings(st.builds(CaseCount, NAMES, COUNTS)),
    known=mappings(st.builds(KnownFailure, NAMES, COUNTS), PAIRS),
    uncollected=distinct(PAIRS),
    environment=mappings(NAMES),
    devices=mappings(NAMES),
    contracts=mappings(NAMES),
    versions=distinct(PAIRS),
    fits=mappings(st.builds(Fit, NAMES, NAMES, NAMES, COUNTS), PAIRS),
    rows=tuples(st.builds(Row, NAMES, NAMES, COUNTS)),
    answers=mappings(NAMES),
    points=st.none() | st.just({"x": [0.0], "y": [1.0]}),
    races=tuples(st.builds(Race, NAMES, NAMES, NAMES, NAMES, st.floats(0, 2), COUNTS)),
    costs=mappings(st.builds(Cost, NAMES, COUNTS, st.floats(0, 2), st.floats(0, 2))),
    lost=tuples(NAMES),
)


def in_order(found: Findings) -> list[Any]:
    """The fields, with the order of their keys, which is that of the report."""
    values = [getattr(found, each.name) for each in fields(found)]
    return [list(value.items()) if isinstance(value, dict) else value for value in values]


@settings(max_examples=60, deadline=None)
@given(FINDINGS, FINDINGS, FINDINGS)
def test_merging_is_associative(first: Findings, second: Findings, third: Findings) -> None:
    """In values and in the order of keys, in whatever groups parts are merged."""
    left = merge(merge(first, second), third)
    right = merge(first, merge(second, third))
    assert in_order(left) == in_order(right)


@settings(max_examples=60, deadline=None)
@given(FINDINGS)
def test_merging_with_nothing_changes_nothing(found: Findings) -> None:
    """On either side: no field is forgotten."""
    assert in_order(merge(Findings(), found)) == in_order(found)
    assert in_order(merge(found, Findings())) == in_order(found)


@settings(max_examples=30, deadline=None)
@given(FINDINGS)
def test_findings_travel_between_processes(found: Findings) -> None:
    """What is packed is what is unpacked."""
    assert in_order(_unpack(_pack(found))) == in_order(found)


def test_what_counts_if_both_have_found_something() -> None:
    """Every process collects the same trials, and runs tests of its own; a later value replaces an
    earlier one, lists are joined, and what is listed once stays so.
    """
    parts = [
        Findings(collected=7, called=1, contracts={"a": "old"}, rows=(Row("d", "c", 1),)),
        Findings(collected=7, called=2, contracts={"a": "new"}, rows=(Row("d", "c", 1),)),
        Findings(collected=7, versions=(("R", "4.3"),), lost=("one",)),
        Findings(versions=(("R", "4.4"), ("R", "4.3")), lost=("two", "one")),
    ]
    found = reduce(merge, parts)
    assert (found.collected, found.called, found.chosen) == (7, 3, 10)
    assert (found.contracts, len(found.rows)) == ({"a": "new"}, 2)
    assert found.versions == (("R", "4.3"), ("R", "4.4"))
    assert found.lost == ("one", "two", "one")


def test_only_findings_and_failures_are_unpacked() -> None:
    """Anything else that a report carries under our name is refused."""
    with pytest.raises(AssertionError):
        _unpack(_pack({"verdicts": {}}))  # type: ignore[arg-type]
