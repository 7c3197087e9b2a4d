"""What is offered as likely explains all that was observed; what does not, is not offered."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from harness import Contract, Formulation, Problem
from reference import Network, probes
from reference.explaining.likely import offered
from reference.faults.kinds import Answers, solve
from reference.mistakes.catalogue import FAULTS, FURTHER, OF_CLASSIFIERS, made_in
from tests.conftest import Approved
from tests.own_networks import two_hidden
from tests.selfcheck import planted
from tests.selfcheck.corpus import Case, first_outside
from tests.selfcheck.offers import strangers
from tests.support import dual

NETWORK = dual("tanh", "identity")
CASE = Case(NETWORK, seed=3, rows=3, draws=5)
BY_NAME = {fault.name: fault for fault in FAULTS}


def offer(
    name: str, dtype: str = "float64", then: Callable[[Answers], Answers] = lambda answers: answers
) -> str:
    """The fault that is offered for one that was planted in the equations, and what was done to the
    answers then.
    """
    observed = [
        then(
            {
                q: v.astype(dtype).astype(float)
                for q, v in BY_NAME[name].run(problem, Contract(dtype)).items()
            }
        )
        for problem in CASE.problems
    ]
    found = offered(
        CASE.problems, observed, first_outside(CASE.problems, observed, dtype)[0], Contract(dtype)
    )
    return found.name if found else ""


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    "name", ["gradient_halved", "half_square", "mean_for_sum", "input_gradient_twice"]
)
def test_what_is_inside_before_tells_against_a_fault(name: str, dtype: str) -> None:
    """A loss that is right is not halved, though its gradient is; a gradient that is right has no
    slope off.
    """
    assert offer(name, dtype) == name


def test_a_second_mistake_that_shows_later_leaves_nothing_to_offer() -> None:
    """The first explains the outputs, but not the gradient: neither alone is what was observed."""
    assert offer("bias_dropped") == "bias_dropped"
    assert offer("bias_dropped", then=lambda a: {**a, "gradient": 2 * a["gradient"]}) == ""


def test_every_stack_is_explained_and_not_only_the_largest_numbers() -> None:
    """What is wrong in probes of small numbers too does not drown in those of large ones."""
    count = 0

    def noise_in_the_second(answers: Answers) -> Answers:
        nonlocal count
        count += 1
        return {q: v + (count == 2) * 0.01 * np.cos(99 * v) for q, v in answers.items()}

    assert offer("bias_dropped", then=noise_in_the_second) == ""


def test_rounding_that_a_fault_cannot_explain_tells_not_against_it() -> None:
    """In float32 a stack may hold little more than rounding."""
    assert offer("hard_clip", "float32") == "hard_clip"


def test_a_stranger_is_offered_nothing() -> None:
    """Two mistakes at once, blocks mixed at random, noise: none of them is what the catalogue
    has.
    """
    for stranger in strangers(CASE, seed=0, count=3):
        observed = [stranger.run(problem, Contract()) for problem in CASE.problems]
        outside = first_outside(CASE.problems, observed, "float64")[0]
        assert outside, stranger.name
        assert offered(CASE.problems, observed, outside, Contract()) is None, stranger.name


@pytest.mark.parametrize(
    "name", ["rows_reversed", "columns_reversed", "one_row_for_all", "columns_rolled"]
)
def test_inputs_read_wrongly_by_a_module_are_named(name: str) -> None:
    """Whose gradient by the inputs is, as autograd's, by those that it was given."""
    wrong = planted.answers(CASE, "float64", planted.planted(BY_NAME[name], NETWORK))
    found = offered(planted.asked(CASE), wrong, "forward", Contract())
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize("name", ["W1_off_1e-3", "bias_grad_twice", "mean_for_sum"])
def test_decay_acts_on_parameters_as_they_are(name: str) -> None:
    """In a module whose outputs stay below 1, so that decay is most of its loss, the fault is named
    all the same.
    """
    case = Case(Network((3, 4), 2, (1, 3), "logistic", "logistic"), seed=4, rows=2, draws=5)
    wrong = planted.answers(case, "float64", planted.planted(BY_NAME[name], case.network))
    found = offered(planted.asked(case), wrong, BY_NAME[name].spoils, Contract())
    assert found is not None
    assert found.name == name


def swapped(dtype: str = "float32") -> tuple[list[Problem], list[Answers]]:
    """Heads given back in the wrong order: in a stack of these little is left but rounding."""
    network = Network((5, 5), 10, (5, 5), "logistic")
    problems = probes(seed=1)(Formulation.identity(network))
    rounded = Contract(dtype).rounded
    return problems, [
        {
            name: rounded(answer)
            for name, answer in BY_NAME["heads_swapped"].run(problem, Contract(dtype)).items()
        }
        for problem in problems
    ]


def test_swapped_heads_in_float32_are_named_without_a_fit_of_scalings(
    approved: Callable[..., None],
) -> None:
    """By bounds of the wrong equations the rest is rounding; looking for factors took 161,199
    evaluations.
    """
    said: list[str] = []
    found = offered(*swapped(), "forward", Contract("float32"), say=said.append)
    assert found is not None
    assert found.name == "heads_swapped"
    assert len(said) <= len(made_in(swapped()[0][0].formulation.network)) + 2
    approved([said[-1], found.words], mask_figures=True)


def test_more_than_rounding_in_a_stack_without_the_fault_tells_against_it() -> None:
    """A stack that the fault leaves alone is off by 60 units of roundoff, which its bounds do not
    allow.
    """
    count = 0

    def off_in_the_second(answers: Answers) -> Answers:
        nonlocal count
        count += 1
        return {**answers, "forward": answers["forward"] * (1 + 60 * 2.0**-24 * (count == 2))}

    assert offer("hard_clip", "float32") == "hard_clip"
    assert offer("hard_clip", "float32", off_in_the_second) == ""


def without_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing be tried but scalings."""
    monkeypatch.setattr("reference.explaining.likely.made_in", lambda network, losses: [])
    monkeypatch.setattr("reference.explaining.likely._Search.propose", lambda search: [])


def test_a_fit_of_scalings_that_does_not_end_is_given_up(
    monkeypatch: pytest.MonkeyPatch, approved: Callable[..., None]
) -> None:
    """After 50 evaluations for each of 40 numbers and one more; how far it is, is said."""
    without_faults(monkeypatch)
    said: list[str] = []
    assert offered(*swapped(), "forward", Contract("float32"), say=said.append) is None
    assert len(said) == 50 * 41
    approved(said[-1])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_scaling_is_found_long_before_that(
    dtype: str, monkeypatch: pytest.MonkeyPatch, approved: Callable[..., None]
) -> None:
    """Inputs that are standardised, by numbers of their own, take 10 evaluations a number at
    most.
    """
    without_faults(monkeypatch)
    sd, mean = np.linspace(0.4, 2.5, 8), np.linspace(-2, 2, 8)
    problems = probes(seed=3)(Formulation.identity(NETWORK))
    given = [replace(problem, inputs=(problem.inputs - mean) / sd) for problem in problems]
    observed = [
        {"forward": Contract(dtype).rounded(solve(problem, Contract())["forward"])}
        for problem in given
    ]
    said: list[str] = []
    found = offered(problems, observed, "forward", Contract(dtype), say=said.append)
    assert found is not None
    approved(found.words)
    assert len(said) <= 10 * (2 * 16 + 1)


def test_a_fit_of_scalings_that_would_take_too_much_memory_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its slopes are a matrix of all outputs by all numbers."""
    without_faults(monkeypatch)
    monkeypatch.setattr("reference.explaining.scaling.MOST_SLOPES", 1_000)
    said: list[str] = []
    assert offered(*swapped(), "forward", Contract("float32"), say=said.append) is None
    assert said == []


def test_the_catalogue_is_told_as_it_stands(approved: Approved) -> None:
    """Of nnet's networks, and of one's own."""
    known = {fault.name for fault in (*FAULTS, *OF_CLASSIFIERS, *FURTHER)}
    own = [fault for fault in made_in(two_hidden()) if fault.name not in known]
    approved(f"{fault.name}: {fault.words}" for fault in (*FAULTS, *FURTHER, *own))
