"""Bounds under nnet's clip are those without it where no |z| nears it: shared, and the same to the
bit.
"""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from harness import Case
from harness.arithmetic.bounded import BoundedArithmetic
from harness.core.contract import BCE_LEAST, Bounded, Bounds, Contract
from harness.core.formulation import Formulation
from harness.core.loss import Loss
from harness.core.problem import QUANTITIES, Problem
from harness.judging.cache import Cache
from reference import Network, numpy_net, probes, r_nnet
from reference.implementations.numpy_net import NumpyNet
from reference.mathematics.equations import evaluate
from reference.mathematics.oracle import oracle
from reference.mathematics.questions import chunks
from tests.selfcheck.corpus import cases


def saturating(scale: float, draws: int = 40) -> Problem:
    """Draws of a logistic network whose |z| go up to some 15 at a scale of 4."""
    network = Network((3, 2), 6, (2, 1), "logistic", "logistic")
    formulation, rng = Formulation.identity(network), np.random.default_rng(1)
    own = rng.uniform(-scale, scale, (draws, network.layout.size))
    inputs, targets = rng.uniform(-1, 1, (draws, 5, 5)), rng.uniform(0, 1, (draws, 5, 3))
    return Problem("saturated", formulation, own, inputs, targets)


def same(a: Bounds, b: Bounds) -> bool:
    """Are all values and bounds the same, to the bit?"""
    return all(
        np.array_equal(a[name].value, b[name].value, equal_nan=True)
        and np.array_equal(a[name].error, b[name].error, equal_nan=True)
        for name in QUANTITIES
    )


@pytest.mark.parametrize("clips", [(None, 15.0), (15.0, None)])
@pytest.mark.parametrize(("scale", "anew"), [(0.5, "none"), (4.0, "some"), (40.0, "all")])
def test_bounds_are_shared_where_no_clip_acts(
    clips: tuple[float | None, float | None],
    scale: float,
    anew: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is taken from the bounds under another clip is what the oracle computes without them, to
    the bit.
    """
    monkeypatch.setattr("reference.mathematics.questions.CHUNK", 400)
    problem = saturating(scale)
    known, alone = (oracle(problem, Contract(logistic_clip=clip)) for clip in clips)
    asked: list[int] = []

    def noting(arithmetic: BoundedArithmetic, part: Problem) -> dict[str, Bounded]:
        asked.append(part.draws)
        return evaluate(arithmetic, part)

    monkeypatch.setattr("reference.mathematics.oracle.evaluate", noting)
    shared = oracle(problem, Contract(logistic_clip=clips[1]), known=known)
    assert same(shared, alone)
    assert shared.reach == alone.reach
    parts = len(chunks(problem))
    assert {"none": not asked, "some": 0 < len(asked) < parts, "all": len(asked) == parts}[anew]


@pytest.mark.parametrize("seed", range(3))
def test_bounds_of_random_networks_are_the_same_whether_shared_or_not(seed: int) -> None:
    """All kinds of probes, exact and saturated ones, with decay and without."""
    for case in islice(cases(seed), 4):
        for problem in case.problems:
            for first, second in ((None, 15.0), (15.0, None)):
                known, alone = (
                    oracle(problem, Contract(logistic_clip=clip)) for clip in (first, second)
                )
                assert same(oracle(problem, Contract(logistic_clip=second), known=known), alone)


def test_what_is_not_finite_is_not_shared() -> None:
    """A |z| that is no number says nothing of the clip."""
    bounds = Bounds({}, None, [1.0, np.nan, np.inf, 15.0])
    assert bounds.unclipped(15.0) == [True, False, False, True]
    assert Bounds({}, 15.0, [12.0, 15.5]).unclipped(None) == [True, False]
    assert Bounds({}, 15.0, [9.0, 12.0]).unclipped(10.0) == [True, False]


def test_r_and_numpy_share_bounds_in_a_case() -> None:
    """The arrays are the same ones where no |z| nears 15: R's bounds take no time and no memory."""
    network = Network(3, 4, 2, "logistic")
    case = Case("port", network, [lambda: None], [numpy_net], probes(0, kinds=["random"]))
    cache, [problem] = Cache(case), probes(0, kinds=["few-term"])(Formulation.identity(network))
    plain = cache.oracle(problem, Contract())
    clipped = cache.oracle(problem, Contract(logistic_clip=15.0), NumpyNet(logistic_clip=15.0))
    assert all(clipped[name] is plain[name] for name in QUANTITIES)
    saturated = saturating(40.0)
    plain = cache.oracle(saturated, Contract())
    clipped = cache.oracle(saturated, Contract(logistic_clip=15.0), NumpyNet(logistic_clip=15.0))
    assert not np.array_equal(clipped["forward"].value, plain["forward"].value)
    assert same(clipped, oracle(saturated, Contract(logistic_clip=15.0)))


def test_each_part_of_a_stack_has_a_reach_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large numbers in the first part do not count in the others."""
    monkeypatch.setattr("reference.mathematics.questions.CHUNK", 1)
    problem = saturating(0.01, draws=3)
    large = np.concatenate([problem.own[:1] * 1e4, problem.own[1:]])
    first, *others = oracle(replace(problem, own=large), Contract()).reach
    assert first > 15
    assert all(0 < reach < 0.1 for reach in others)


def test_how_far_a_logistic_reaches_is_noted() -> None:
    """The largest size of what it may have been put to so far, with its bound, on either side; NaN
    stays NaN.
    """
    m = BoundedArithmetic(Contract())
    assert m.reach == 0.0
    for values, errors, reach in (
        ([-3.0, 1.0], [0.5, 0.0], 3.5),
        ([1.0, 2.0], [0.25, 0.25], 3.5),
        ([9.0], [1.0], 10.0),
    ):
        m.act("logistic", Bounded(np.array(values), np.array(errors)))
        assert m.reach == reach
    m.act("tanh", Bounded(np.array([99.0]), np.array([0.0])))
    assert m.reach == 10.0
    m.act("logistic", Bounded(np.array([np.nan]), np.array([0.0])))
    assert np.isnan(m.reach)


def test_a_subject_and_nnet_share_the_bounds_of_squares(monkeypatch: pytest.MonkeyPatch) -> None:
    """What their contracts say of logarithms is nothing to squares: the oracle is asked once."""
    asked: list[int] = []

    def noting(arithmetic: BoundedArithmetic, part: Problem) -> dict[str, Bounded]:
        asked.append(part.draws)
        return evaluate(arithmetic, part)

    problem = saturating(0.5)
    subject = Contract(log_least=BCE_LEAST, unfused_slope=True)
    alone = oracle(problem, subject)
    monkeypatch.setattr("reference.mathematics.oracle.evaluate", noting)
    for loss, times in ((problem.loss, 1), (Loss(error="bce"), 2)):
        asked.clear()
        given = replace(problem, loss=loss)
        cache = Cache(Case("squares", Network(1, 1, 1), [], [numpy_net], lambda formulation: []), 2)
        first, second = (cache.oracle(given, each) for each in (subject, r_nnet.contract()))
        assert sum(asked) == times * problem.draws
        if times == 1:
            assert same(first, alone)
            assert same(second, alone)
