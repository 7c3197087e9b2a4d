"""Networks of ordinary size: 784-128-10, whose 101,770 parameters are those of a first example on
MNIST.

All of it, with default probes in both dtypes, and how long it takes and how much memory: `python
tests/selfcheck/size.py`.
"""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.arithmetic.plain import Plain
from harness.core.formulation import Formulation
from harness.core.problem import QUANTITIES, Problem
from reference import Network, numpy_net, probes
from reference.mathematics.equations import evaluate
from reference.mathematics.questions import CHUNK
from tests.conftest import Mine

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
    """Every quantity passes in float32, so that no tensor is too wide to be judged: a full matrix
    takes 77 GiB.
    """
    mine.write(DIGITS.format(bias=True), mine.case("test_digits", **LARGE))
    mine.pytest("-q").assert_outcomes(passed=4)
    assert [verdict["status"] for verdict in mine.results()["verdicts"]] == ["PASS"] * 4


def test_a_large_network_that_is_wrong_is_told_why_and_has_a_short_script(
    mine: Mine, approved: Callable[..., None]
) -> None:
    """A bias is left out: it is named, and the script holds the few numbers that are not 0, not all
    of them.
    """
    mine.write(
        DIGITS.format(bias=False),
        mine.case("test_digits", **LARGE, checks='["forward", "gradient"]'),
    )
    mine.pytest("-q").assert_outcomes(failed=1)
    forward, _ = mine.results()["verdicts"]
    approved(forward["why"], mask_figures=True)
    script = Path(forward["alone"]).read_text(encoding="utf-8")
    assert "'hidden.weight': zeros_but((128, 784), {" in script
    # NumPy computes what is expected, from such numbers too
    assert "def network(W1, b, W2, b_w, x1):" in script
    assert len(script) < 10_000


def test_numpy_answers_a_stack_in_parts_as_it_answers_each_draw() -> None:
    """To the bit; a stack that fits no cache takes as long a problem as one that does."""
    network = Network((3, 2), 40, (2, 1), "logistic")
    [problem] = probes(0, draws=60, rows=60, kinds=["random"])(Formulation.identity(network))
    whole = numpy_net.observe(problem).values
    for draw in (0, 17, 59):
        alone = numpy_net.observe(problem.part(slice(draw, draw + 1))).values
        assert all(np.array_equal(whole[name][draw], alone[name][0]) for name in QUANTITIES)


def test_numpy_asks_for_no_more_numbers_at_once_than_fit_a_cache(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of 16,384 draws of the sine's network, a few hundred."""
    found: list[int] = []

    def noting(arithmetic: Plain, problem: Problem) -> dict[str, Any]:
        found.append(problem.draws)
        return evaluate(arithmetic, problem)

    monkeypatch.setattr(sys.modules["reference.implementations.numpy_net"], "evaluate", noting)
    sine = Formulation.identity(Network(1, 4, 1, "logistic"))
    [problem] = probes(0, draws=16_384, rows=50, kinds=["random"])(sine)
    assert numpy_net.observe(problem).values["loss"].shape == (16_384,)
    assert sum(found) == 16_384
    assert max(found) * (50 * 5 + 13) <= CHUNK


def test_a_problem_keeps_arrays_that_nobody_can_write_to_and_copies_others() -> None:
    """So that a question put anew takes no memory, and no user changes it."""
    formulation = Formulation.identity(Network(3, 4, 2))
    [problem] = probes(0, draws=3, kinds=["random"])(formulation)
    assert replace(problem, kind="again").own is problem.own
    given = problem.own.copy()
    seen = given.view()
    seen.flags.writeable = False
    for own in (given, seen):
        kept = Problem("own", formulation, own, problem.inputs, problem.targets).own
        before = kept.copy()
        given += 1
        assert np.array_equal(kept, before)
