"""Networks of ordinary size: 784-128-10, whose 101,770 parameters are those of a first example on MNIST.

All of it, with default probes in both dtypes, and how long it takes and how much memory: `python tests/size.py`.
"""

import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Mine
from corpus import cases

from harness import Case
from harness.contract import Bounded, Bounds, Contract
from harness.formulation import Formulation
from harness.memo import Memo
from harness.problem import QUANTITIES, Problem
from reference import Network, numpy_net, probes
from reference.arithmetic.bounded import BoundedArithmetic
from reference.arithmetic.plain import Plain
from reference.chunks import CHUNK, chunks
from reference.equations import evaluate
from reference.numpy_net import NumpyNet
from reference.oracle import oracle

DIGITS = """
class Digits(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(784, 128, bias={bias})
        self.output = nn.Linear(128, 10)

    def forward(self, x):
        return self.output(torch.sigmoid(self.hidden(x)))


"""
LARGE = {
    "name": '"digits"',
    "network": 'Network(784, 128, 10, "logistic")',
    "subjects": "[Digits]",
    "problems": "probes(seed=0, draws=2)",
    "dtypes": '["float32"]',
}


def test_a_network_of_ordinary_size_is_judged(mine: Mine) -> None:
    """Every quantity passes in float32, so that no tensor is too wide to be judged: a full matrix takes 77 GiB."""
    mine.write(DIGITS.format(bias=True), mine.case("test_digits", **LARGE))
    mine.pytest("-q").assert_outcomes(passed=4)
    assert [verdict["status"] for verdict in mine.results()["verdicts"]] == ["PASS"] * 4


def test_a_large_network_that_is_wrong_is_told_why_and_has_a_short_script(
    mine: Mine, approved: Callable[..., None]
) -> None:
    """A bias is left out: it is named, and the script holds the few numbers that are not 0, not all of them."""
    mine.write(DIGITS.format(bias=False), mine.case("test_digits", **LARGE, checks='["forward", "gradient"]'))
    mine.pytest("-q").assert_outcomes(failed=2)
    forward, gradient = mine.results()["verdicts"]
    approved(forward["why"], mask_figures=True)
    script = Path(gradient["alone"]).read_text(encoding="utf-8")
    assert "'hidden.weight': zeros_but((128, 784), {" in script
    assert "def network(W1, b, W2, b_w, x1):" in script  # NumPy computes what is expected, from such numbers too
    assert len(script) < 10_000


def test_numpy_answers_a_stack_in_parts_as_it_answers_each_draw() -> None:
    """To the bit; a stack that fits no cache takes as long a problem as one that does."""
    network = Network((3, 2), 40, (2, 1), "logistic")
    [problem] = probes(0, draws=60, rows=60, kinds=["random"])(Formulation.identity(network))
    whole = numpy_net.observe(problem).values
    for draw in (0, 17, 59):
        alone = numpy_net.observe(problem.part(slice(draw, draw + 1))).values
        assert all(np.array_equal(whole[name][draw], alone[name][0]) for name in QUANTITIES)


def test_numpy_asks_for_no_more_numbers_at_once_than_fit_a_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 16,384 draws of the sine's network, a few hundred."""
    found: list[int] = []

    def noting(arithmetic: Plain, problem: Problem) -> dict[str, Any]:
        found.append(problem.draws)
        return evaluate(arithmetic, problem)

    monkeypatch.setattr(sys.modules["reference.numpy_net"], "evaluate", noting)
    sine = Formulation.identity(Network(1, 4, 1, "logistic"))
    [problem] = probes(0, draws=16_384, rows=50, kinds=["random"])(sine)
    assert numpy_net.observe(problem).values["loss"].shape == (16_384,)
    assert sum(found) == 16_384
    assert max(found) * (50 * 5 + 13) <= CHUNK


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
    clips: tuple[float | None, float | None], scale: float, anew: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is taken from the bounds under another clip is what the oracle computes without them, to the bit."""
    monkeypatch.setattr("reference.chunks.CHUNK", 400)
    problem = saturating(scale)
    known, alone = (oracle(problem, Contract(logistic_clip=clip)) for clip in clips)
    asked: list[int] = []

    def noting(arithmetic: BoundedArithmetic, part: Problem) -> dict[str, Bounded]:
        asked.append(part.draws)
        return evaluate(arithmetic, part)

    monkeypatch.setattr("reference.oracle.evaluate", noting)
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
                known, alone = (oracle(problem, Contract(logistic_clip=clip)) for clip in (first, second))
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
    memo, [problem] = Memo(case), probes(0, kinds=["few-term"])(Formulation.identity(network))
    plain = memo.oracle(problem, Contract())
    clipped = memo.oracle(problem, Contract(logistic_clip=15.0), NumpyNet(logistic_clip=15.0))
    assert all(clipped[name] is plain[name] for name in QUANTITIES)
    saturated = saturating(40.0)
    plain = memo.oracle(saturated, Contract())
    clipped = memo.oracle(saturated, Contract(logistic_clip=15.0), NumpyNet(logistic_clip=15.0))
    assert not np.array_equal(clipped["forward"].value, plain["forward"].value)
    assert same(clipped, oracle(saturated, Contract(logistic_clip=15.0)))


def test_a_problem_keeps_arrays_that_nobody_can_write_to_and_copies_others() -> None:
    """So that a question put anew takes no memory, and no user changes it."""
    problem, network = saturating(1.0), Network((3, 2), 6, (2, 1), "logistic", "logistic")
    assert replace(problem, kind="again").own is problem.own
    given = problem.own.copy()
    seen = given.view()
    seen.flags.writeable = False
    for own in (given, seen):
        kept = Problem("own", Formulation.identity(network), own, problem.inputs, problem.targets).own
        before = kept.copy()
        given += 1
        assert np.array_equal(kept, before)
