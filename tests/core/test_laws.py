"""Laws of the judge, tried on what Hypothesis makes up: of a verdict, of the bounds, of the file
that holds them.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from math import inf, isfinite
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from harness import Case, Contract, Subject
from harness.arithmetic.rounding import DIRECTED
from harness.comparing.judge import Side, budget, judge
from harness.core.contract import Bounded
from harness.core.formulation import Formulation
from harness.core.layout import Layout
from harness.core.loss import Loss
from harness.core.problem import QUANTITIES
from harness.core.report import Cost, Fit, Race, Report, Row
from harness.core.verdict import Status, Verdict
from harness.judging.cache import Cache
from harness.reporting.older_results import add_finding
from harness.reporting.results import parse
from harness.running.trial import run
from reference import Network, numpy_net, probes
from tests.core.test_judge import LARGEST, asked, side

# The same examples in every run: what fails here fails for everybody.
seeded = settings(derandomize=True, deadline=None, database=None)
few = settings(seeded, max_examples=25)
fewest = settings(seeded, max_examples=8)  # each fails once, and is diagnosed
finite = st.floats(-1e6, 1e6, allow_nan=False)
stacks = arrays(np.float64, (4, 3), elements=finite)
shares = arrays(np.float64, (4, 3), elements=st.floats(-1.0, 1.0))
unjudgeable = st.sampled_from([np.nan, np.inf, -np.inf])


# Of a verdict


@seeded
@given(stacks, shares)
def test_an_implementation_against_itself_uses_nothing(
    value: np.ndarray, share: np.ndarray
) -> None:
    """Whatever its rounding within its bounds was."""
    me = side(value + 0.5 * share, value, 1.0)
    found = judge([me], [me], [np.zeros(3, dtype=np.intp)], LARGEST)
    assert found.budget_used == 0
    assert not found.status.fails


@seeded
@given(stacks, shares, st.floats(0.0, 1e6), st.floats(0.0, 1e6))
def test_the_budget_grows_with_the_error(
    value: np.ndarray, share: np.ndarray, small: float, large: float
) -> None:
    """Further away from the exact answer is never nearer to passing."""
    small, large = sorted((small, large))
    near, far = (asked(value + by * share, value, value=value).budget_used for by in (small, large))
    assert near <= far * (1 + 1e-9) + 1e-9


@seeded
@given(stacks, shares, st.floats(0.0, 1e6), st.floats(0.0, 1e6))
def test_the_budget_shrinks_as_the_bound_grows(
    value: np.ndarray, share: np.ndarray, small: float, large: float
) -> None:
    """And who passes within a bound passes within a wider one, if it says anything at all."""
    small, large = sorted((small, large))
    tight, loose = (
        asked(value + share, value, value=value, error=error) for error in (small, large)
    )
    assert loose.budget_used <= tight.budget_used
    assert tight.status.fails or not loose.status.fails


@seeded
@given(stacks, shares, st.permutations(range(4)))
def test_the_order_of_the_draws_does_not_matter(
    value: np.ndarray, share: np.ndarray, order: list[int]
) -> None:
    """Only the draw's number in the worst index follows it."""
    answer, owner = value + share, np.array([0, 1, 1])
    found = asked(answer, value, value=value, owner=owner)
    moved = asked(answer[order], value[order], value=value[order], owner=owner)
    place = (order[moved.index[0]], moved.index[1])
    used = budget(answer - value, np.full(value.shape, 0.25))
    assert (used[found.index], used[place]) == (found.factor, moved.factor)
    assert used.max() == found.budget_used
    assert (moved.actual, moved.expected) == (answer[place], value[place])
    unplaced = {"index": (), "actual": 0.0, "expected": 0.0, "factor": 0.0}
    assert replace(moved, **unplaced) == replace(found, **unplaced)


@seeded
@given(
    stacks,
    shares,
    arrays(np.float64, (4, 3), elements=st.floats(0.0, 2.0)),
    st.permutations(range(3)),
)
def test_the_order_of_the_elements_does_not_matter(
    value: np.ndarray, share: np.ndarray, error: np.ndarray, order: list[int]
) -> None:
    """As long as each keeps its bound and its tensor: the judge knows nothing of places."""
    owner = np.array([0, 1, 1])
    found = asked(value + share, value, value=value, error=error, owner=owner)
    moved = asked(
        (value + share)[:, order],
        value[:, order],
        value=value[:, order],
        error=error[:, order],
        owner=owner[order],
    )
    unplaced: dict[str, Any] = {"index": (), "actual": 0.0, "expected": 0.0, "allowed": 0.0}
    assert replace(moved, **unplaced) == replace(found, **unplaced)


@seeded
@given(
    stacks,
    unjudgeable,
    st.integers(0, 3),
    st.integers(0, 2),
    st.sampled_from(["mine", "theirs", "both"]),
)
def test_nothing_that_is_not_finite_passes(
    value: np.ndarray, bad: float, draw: int, place: int, whose: str
) -> None:
    """In any place, of either or of both, however wide the bound: it fails, and there."""
    spoiled = value.copy()
    spoiled[draw, place] = bad
    for error in (0.0, 1.0, 1e300):
        found = asked(
            value if whose == "theirs" else spoiled,
            value if whose == "mine" else spoiled,
            value=value,
            error=error,
        )
        assert (found.status, found.budget_used, found.index) == (
            Status.FAIL,
            np.inf,
            (draw, place),
        )


SHAPES = array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=3)


@seeded
@given(SHAPES, SHAPES, st.integers(0, 5))
def test_shapes_are_equal_or_refused(
    shape: tuple[int, ...], other: tuple[int, ...], which: int
) -> None:
    """Nothing is broadcast and nothing empty is judged, whichever of the six arrays it is."""
    given = [np.ones(other if number == which else shape) for number in range(6)]
    mine, theirs = (
        Side(answer, Bounded(value, error)) for answer, value, error in (given[:3], given[3:])
    )
    owners = [np.zeros(mine.oracle.value.shape[1:], dtype=np.intp)]
    if shape == other and 0 not in shape:
        assert judge([mine], [theirs], owners, LARGEST).budget_used == 0
    else:
        with pytest.raises(ValueError, match=r".") as refused:
            judge([mine], [theirs], owners, LARGEST)
        assert refused.traceback[-1].path.name == "judge.py"


# Of hidden units in another order

NET = Network((2, 1), 4, (1, 2), "tanh", "logistic")
SHAPES_OF_NET = {block.name: block.places.shape for block in NET.layout.blocks}
orders = st.permutations(range(NET.hidden))


def renumbered(
    rows: list[int], columns: list[int]
) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """The blocks with the hidden units in another order: as the rows of the first layer, the
    columns of the second.
    """

    def blocks(p: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: block[:, columns]
            if name[1:] == "2"
            else block[rows]
            if name[:2] != "b_"
            else block
            for name, block in p.items()
        }

    return blocks


@few
@given(
    orders,
    st.integers(0, 1 << 16),
    st.sampled_from(["float64", "float32"]),
    st.sampled_from([0.0, 0.1]),
)
def test_bounds_follow_the_hidden_units(
    order: list[int], seed: int, dtype: str, decay: float
) -> None:
    """Renumbered, with the map that says so: every value and bound the same to the bit, each at its
    new place.
    """
    identity = Formulation.identity(NET)
    mapped = Formulation.from_meaning(
        Layout.of_shapes(SHAPES_OF_NET), NET, renumbered(order, order)
    )
    for problem in probes(seed, draws=2, rows=2, loss=Loss(decay=decay))(identity):
        own = mapped.pull_back(problem.own)  # of a permutation the transpose is the way back
        moved = replace(problem, formulation=mapped, own=own)
        plain, found = (NET.oracle(asked, Contract(dtype)) for asked in (problem, moved))
        for quantity in QUANTITIES:
            for here, there in (
                (plain[quantity].value, found[quantity].value),
                (plain[quantity].error, found[quantity].error),
            ):
                assert np.array_equal(
                    mapped.pull_back(here) if quantity == "gradient" else here, there
                ), quantity


@few
@given(orders, st.integers(0, 1 << 16), st.sampled_from(["float64", "float32"]))
def test_bounds_do_not_depend_on_the_order_of_the_hidden_units(
    order: list[int], seed: int, dtype: str
) -> None:
    """Summed in another order the exact answers are the same within the bounds, and so, but for
    rounding, are these.
    """
    moved = renumbered(order, order)
    for problem in probes(seed, draws=2, rows=2)(Formulation.identity(NET)):
        own = np.stack([NET.layout.join(moved(NET.layout.split(each))) for each in problem.own])
        plain, found = (
            NET.oracle(asked, Contract(dtype)) for asked in (problem, replace(problem, own=own))
        )
        for quantity in ("forward", "loss", "input_gradient"):
            here, there = plain[quantity], found[quantity]
            assert (abs(here.value - there.value) <= np.minimum(here.error, there.error)).all(), (
                quantity
            )
            # by which bounds are rounded up
            assert (here.error <= there.error * DIRECTED).all(), quantity
            assert (there.error <= here.error * DIRECTED).all(), quantity


def in_torch(
    x1: Any, x2: Any, W1: Any, V1: Any, b: Any, W2: Any, b_w: Any, V2: Any, b_v: Any
) -> Any:
    """The network in PyTorch."""
    h = torch.tanh(x1 @ W1.T + x2 @ V1.T + b)
    return torch.sigmoid(h @ W2.T + b_w), torch.sigmoid(h @ V2.T + b_v)


@fewest
@given(orders, orders)
def test_a_subject_passes_with_the_matching_map_and_with_no_other(
    rows: list[int], columns: list[int]
) -> None:
    """Whatever the order of its hidden units, if it is that of both layers; a mismatch fails from
    the outputs on.
    """
    for mine, status in (
        (rows, {Status.PASS}),
        (columns, {Status.PASS if rows == columns else Status.FAIL}),
    ):
        subject = Subject(in_torch, shapes=SHAPES_OF_NET, parameters=renumbered(rows, mine))
        case = Case(
            "renumbered",
            NET,
            [subject],
            [numpy_net],
            probes(0, draws=3),
            dtypes=["float64"],
            checks=["forward", "loss"],
        )
        cache = Cache(case)
        assert {run(trial, cache).status for trial in case.trials()} == status


# Of the file

PLAIN = Verdict(*["a"] * 8, status=Status.FAIL)
number = st.floats(allow_nan=False, allow_infinity=False)
some = st.none() | number
text = st.text() | st.just("../<b>`x`</b>|\x1b[31m\u202e\udcff")
seconds = st.floats(0, 1e9)
few_of = partial(st.lists, max_size=2)


@st.composite
def verdicts(draw: st.DrawFn) -> Verdict:
    """Anything that a trial may come to; infinity and NaN where a figure is."""
    status, expect = draw(st.sampled_from(Status)), draw(st.sampled_from(["equal", "differs"]))
    near = status is Status.PASS and expect == "equal"
    used = draw(st.floats(0, 1) if near else st.none() | st.floats(min_value=0))
    figures = {
        name: draw(st.none() | st.floats())
        for name in ("actual", "expected", "allowed", "contract_share")
    }
    said = {
        name: draw(text)
        for name in ("id", "case", "subject", "reference", "source", "check", "device", "dtype")
    }
    rest = {
        "where": draw(st.none() | text),
        "why": draw(text),
        "question": draw(text),
        "seconds": draw(seconds),
    }
    return Verdict(**said, status=status, budget_used=used, expect=expect, **figures, **rest)


costs = st.builds(Cost, text, st.integers(0, 10**6), seconds, seconds)
curves = st.none() | few_of(st.tuples(number, some))
plots = st.none() | st.fixed_dictionaries({"x": few_of(number), "y": few_of(some)})
named = st.none() | st.dictionaries(text, number, max_size=2)
counts = st.none() | st.dictionaries(text, st.integers(0, 100), max_size=2)
fits = st.builds(
    Fit,
    text,
    text,
    text,
    st.integers(1, 100),
    curves,
    plots,
    named,
    named,
    counts,
    st.none() | text,
    *[some] * 8,
)
rows = st.builds(Row, text, text, st.integers(1, 100), some, some, some)
quartiles = st.none() | st.tuples(number, number)
races = st.builds(
    Race,
    text,
    text,
    text,
    text,
    number,
    st.integers(1, 100),
    quartiles,
    some,
    quartiles,
    some,
    some,
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | number | text, few_of, max_leaves=4
)
points = st.none() | st.fixed_dictionaries({"x": few_of(number), "y": few_of(number)})
texts = st.dictionaries(text, text, max_size=2)
reports = st.builds(
    Report,
    st.dictionaries(text, values, max_size=3),
    few_of(verdicts()),
    few_of(costs),
    texts,
    st.booleans(),
    texts,
    few_of(fits),
    few_of(rows),
    few_of(races),
    points,
    texts,
)


@seeded
@given(reports)
def test_a_report_read_back_is_the_report(report: Report) -> None:
    """To the last bit of every number and letter of every text; infinity and NaN are null, as JSON
    has it.

    Each failure has a finding, as judged ones have.
    """
    report = replace(report, verdicts=[add_finding(verdict) for verdict in report.verdicts])
    written = json.dumps(report.record(), allow_nan=False)
    found = parse(written.encode())
    assert json.dumps(found.record(), allow_nan=False) == written
    for one, again in zip(report.verdicts, found.verdicts, strict=True):
        assert again == replace(
            one,
            **{
                name: None
                for name, value in vars(one).items()
                if value in (inf, -inf) or value != value
            },
        )


@seeded
@given(st.floats())
def test_a_number_read_back_is_the_number(value: float) -> None:
    """Every float64 by its bits, 0 with its sign and the smallest too."""
    one = replace(PLAIN, actual=value)
    [again] = parse(json.dumps(Report({}, [one]).record()).encode()).verdicts
    assert again.actual is None if not isfinite(value) else again.actual.hex() == value.hex()
