"""Bounds of the equations with a mistake: what makes the mistake is inside, what does not is
outside.
"""

from collections.abc import Iterator

import numpy as np
import pytest

from harness import Contract, Problem
from harness.core.contract import Bounded
from reference.faults.bounds import _Replaced, bounds
from reference.faults.kinds import Answers, Fault, solve
from reference.mathematics.oracle import oracle
from reference.mistakes.catalogue import FAULTS
from tests.conftest import Approved
from tests.selfcheck import planted
from tests.selfcheck.corpus import Case
from tests.support import ACTIVATIONS, DTYPES, dual, used

CASES = {f"{g}-{f}": Case(dual(g, f), seed=5, rows=3, draws=4) for g, f in ACTIVATIONS}


@pytest.fixture(autouse=True, scope="module")
def once() -> Iterator[None]:
    """Bounds of right answers are computed once for all faults that change answers."""
    known: dict[tuple[object, ...], dict[str, Bounded]] = {}

    def recall(problem: Problem, contract: Contract) -> dict[str, Bounded]:
        key = problem.key, problem.exact, problem.formulation, contract
        if key not in known:
            known[key] = oracle(problem, contract)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reference.faults.bounds.oracle", recall)
        yield


def inside(answers: Answers, bound: dict[str, Bounded], contract: Contract) -> bool:
    """Are all answers, which are as many as there are bounds, inside these?"""
    return all(
        bool((used(answers[name], each, contract.largest) <= 1).all())
        for name, each in bound.items()
    )


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CASES)
def test_the_equations_with_a_fault_are_inside_its_bounds_and_right_ones_are_not(
    name: str, dtype: str
) -> None:
    """Every fault of the catalogue, in every stack; in float64 what is right is outside those of a
    large one.
    """
    case, contract = CASES[name], Contract(dtype)
    right = [solve(problem, contract) for problem in case.problems]
    for fault in (each for each in FAULTS if each.size in (None, 1e-3) and each.fits(case.network)):
        bound = [bounds(fault, problem, contract) for problem in case.problems]
        wrong = [fault.run(problem, contract) for problem in case.problems]
        assert all(inside(*each, contract) for each in zip(wrong, bound, strict=True)), fault.name
        if (
            dtype == "float64"
            and fault.size is None
            and not fault.name.endswith(("1ulp", "answers_in_float32"))
        ):
            assert not all(inside(*each, contract) for each in zip(right, bound, strict=True)), (
                fault.name
            )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "fault",
    [
        fault
        for fault in FAULTS
        if fault.name in ("heads_swapped", "mean_for_sum", "rows_reversed", "hard_clip")
    ],
    ids=lambda fault: fault.name,
)
def test_a_module_with_a_fault_is_inside_its_bounds(fault: Fault, dtype: str) -> None:
    """By its own parameters, which stand in another order than the network's."""
    case, contract = CASES["tanh-identity"], Contract(dtype)
    answers = planted.answers(case, dtype, planted.planted(fault, case.network))
    for problem, found in zip(planted.asked(case), answers, strict=True):
        assert inside(found, bounds(fault, problem, contract), contract), problem.kind


def test_another_activation_is_bounded_by_its_values_at_both_ends() -> None:
    """Of what z may be: ReLU6 around its kinks, where its slope may be 0 or 1."""
    relu6 = next(fault for fault in FAULTS if fault.name == "relu6")
    z = Bounded(np.array([[[-1.0, 0.05, 3.0, 5.95, 9.0]]]), np.full((1, 1, 5), 0.1))
    h, slope = _Replaced(Contract(), 1, relu6.change, 0).act("relu", z)
    assert slope is not None
    assert h.value.tolist() == [[[0, 0.05, 3, 5.95, 6]]]
    assert h.error == pytest.approx(np.array([[[0, 0.1, 0.1, 0.1, 0]]]))
    assert slope.value.tolist() == [[[0, 1, 1, 1, 0]]]
    assert ((slope.error >= 1) == [[[False, True, False, True, False]]]).all()


def test_a_kind_of_fault_without_bounds_is_refused(approved: Approved) -> None:
    """Nothing is explained by bounds that nobody derived."""

    class Another(Fault):
        def run(self, problem: object, contract: Contract) -> Answers:
            return {"forward": np.zeros(1)}

    with approved.raises(TypeError):
        bounds(Another("another", "", lambda: None), CASES["tanh-identity"].problems[0], Contract())
