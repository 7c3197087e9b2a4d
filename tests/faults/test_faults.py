"""Every planted fault turns red where it should, and what correct equations give does not."""

from collections import Counter
from functools import cache

import numpy as np
import pytest

from harness import Contract, Formulation, Loss
from harness.core.contract import Bounded
from harness.core.problem import QUANTITIES, Problem
from reference import Network, probes
from reference.explaining.likely import likely, offered
from reference.faults.bounds import bounds
from reference.faults.kinds import Fault, Off, solve
from reference.mistakes.catalogue import FAULTS, OPERATORS
from tests.conftest import Approved
from tests.selfcheck.corpus import first_outside, outside, weighed
from tests.support import ACTIVATIONS, DTYPES, asked, dual

NETWORKS = {f"{g}-{f}": dual(g, f) for g, f in ACTIVATIONS}
NETWORKS["skip"] = Network((3, 2), 4, (3, 1), "tanh", skip=True)
DECAYED = probes(0, draws=4, kinds=["random"], loss=Loss(decay=0.1))
PROBLEMS = {
    name: [*asked(network), *map(weighed, DECAYED(Formulation.identity(network)))]
    for name, network in NETWORKS.items()
}
CHECKED = [
    pytest.param(fault, name, id=f"{fault.name}-{name}")
    for fault in FAULTS
    for name, network in NETWORKS.items()
    if fault.fits(network)
]


def inert_in_float32(fault: Fault) -> bool:
    """Does float32 round it away?"""
    return fault.name.endswith(("1ulp", "float32", "nnet_clip")) or (
        fault.size is not None and fault.size < 2.0**-24
    )


class Known:
    """A fault that answers each problem once, however often it is tried."""

    def __init__(self, fault: Fault) -> None:
        self.name = fault.name
        self.words = fault.words
        self.run = cache(fault.run)
        self.fault = fault
        self.across_draws = fault.across_draws
        self.spoils = fault.spoils


@bounds.register
def _(known: Known, problem: Problem, contract: Contract) -> dict[str, Bounded]:
    return bounds(known.fault, problem, contract)


def spoiled(
    fault: Fault | Known, problems: list[Problem], dtype: str
) -> list[dict[str, np.ndarray]]:
    return [fault.run(problem, Contract(dtype)) for problem in problems]


def first_spoiled(fault: Fault, problems: list[Problem], dtype: str) -> str:
    """The first quantity that is outside in any stack; "" for none. Stacks after it are not run."""
    run = cache(lambda problem: fault.run(problem, Contract(dtype)))
    return next(
        (
            quantity
            for quantity in QUANTITIES
            if any(outside([problem], [run(problem)], quantity, dtype) for problem in problems)
        ),
        "",
    )


def test_the_catalogue_has_at_least_60_operators_with_names_of_their_own() -> None:
    """Each fault can be made somewhere, and no two share a name."""
    assert len(OPERATORS) >= 60
    assert any(fault.sized for fault in OPERATORS)
    assert max(Counter(fault.name for fault in FAULTS).values()) == 1
    assert {fault.name for fault in FAULTS} == {param.values[0].name for param in CHECKED}


def test_a_fault_fits_where_it_changes_something() -> None:
    """One unit has nothing to exchange, blocks of different shapes cannot be swapped, another
    activation is absent.
    """
    small = {fault.name for fault in FAULTS if not fault.fits(Network(1, 1, 1, "tanh"))}
    ragged = {fault.name for fault in FAULTS if not fault.fits(Network((3, 5), 4, (2, 3), "relu"))}
    swaps = {
        "inputs_swapped",
        "heads_swapped",
        "head_weights_swapped",
        "head_bias_swapped",
        "gradients_swapped",
    }
    turned = {"W1_transposed", "W2_transposed", "gradient_transposed"}
    alone = {
        "bias_rolled",
        "bias_shared",
        "units_exchanged",
        "units_reversed",
        "W1_column_order",
        "W2_column_order",
    }
    alone |= {
        "columns_rolled",
        "columns_reversed",
        "targets_rolled",
        "gradient_column_order",
        "V1_detached",
        "V2_detached",
        "second_bias_dropped",
    }
    sizes = "1e-3", "1e-6", "1e-12"
    alone |= {f"V1_off_{size}" for size in sizes}
    skip = {"skip_dropped", "skip_first", "S1_w_transposed", "S1_w_column_order"}
    skip |= {f"S1_w_{what}_{size}" for what in ("off", "grad_off") for size in sizes}
    logistic = {"tanh_for_logistic", "logistic_slope_h", "hard_sigmoid", "nnet_clip"}
    outputs = {"output_activation_twice", "no_output_activation", "output_slope"}
    tanh = {"logistic_for_tanh", "hard_clip", "hard_tanh", "atan_for_tanh", "half_argument"}
    tanh |= {"tanh_slope_1-h", "slope_at_h", "activation_in_float32"}
    assert small == swaps | turned | alone | skip | logistic | outputs | {
        "leaky_relu",
        "softplus",
        "elu",
        "relu6",
    }
    assert ragged == swaps | turned | skip | logistic | outputs | tanh


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_equations_themselves_are_inside(name: str, dtype: str) -> None:
    """Without a fault nothing is outside."""
    problems = PROBLEMS[name]
    assert first_outside(problems, [solve(p, Contract(dtype)) for p in problems], dtype)[0] == ""


@pytest.mark.parametrize(("fault", "name"), CHECKED)
def test_a_fault_is_caught_first_where_it_is_made(fault: Fault, name: str) -> None:
    """In float64 the first quantity outside is the one that the fault spoils."""
    assert first_spoiled(fault, PROBLEMS[name], "float64") == fault.spoils


@pytest.mark.parametrize(
    ("fault", "name"), [param for param in CHECKED if not inert_in_float32(param.values[0])]
)
def test_a_fault_is_caught_in_float32_too(fault: Fault, name: str) -> None:
    """Down to a relative size of 1e-6 in one weight, by the few-term probes."""
    assert first_spoiled(fault, PROBLEMS[name], "float32") == fault.spoils


def test_one_ulp_in_a_weight_is_caught_by_exact_probes_alone() -> None:
    """Where nothing rounds the numbers must be equal, so one unit in the last place shows."""
    problems = [p for p in PROBLEMS["relu-relu"] if p.kind == "exact"]
    for fault in FAULTS:
        if fault.name.endswith("1ulp"):
            assert first_spoiled(fault, problems, "float64") == "forward"


@pytest.fixture
def once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draws are taken, right answers and their bounds computed once, for all that is observed."""
    monkeypatch.setattr("reference.explaining.likely.solve", cache(solve))
    monkeypatch.setattr(Network, "oracle", cache(Network.oracle))
    part = Problem.part

    @cache
    def take(problem: Problem, start: int | None, stop: int) -> Problem:
        return part(problem, slice(start, stop))

    def take_once(problem: Problem, draws: slice) -> Problem:
        return take(problem, draws.start, draws.stop)

    monkeypatch.setattr(Problem, "part", take_once)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_large_fault_is_named(name: str, once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is observed under a structural fault is explained by that fault, or by one that is the
    same mistake.
    """
    problems = [problem.part(slice(5)) for problem in PROBLEMS[name]]
    made = {fault: Known(fault) for fault in FAULTS if fault.fits(NETWORKS[name])}
    monkeypatch.setattr(
        "reference.explaining.likely.made_in", lambda network, losses: list(made.values())
    )
    monkeypatch.setattr("reference.explaining.likely._Search.propose", lambda search: [])
    wrong = {}
    for fault, known in made.items():
        if not isinstance(fault, Off) and not inert_in_float32(fault):
            observed = spoiled(known, problems, "float64")
            offer = offered(problems, observed, fault.spoils, Contract())
            named = offer.name if offer else ""
            if fault.name != named:
                twins = [twin for twin in made.values() if twin.name == named]
                same = twins and all(
                    (abs(a[quantity] - b[quantity]) <= 1e-12 * abs(a[quantity]).max()).all()
                    for a, b in zip(observed, spoiled(twins[0], problems, "float64"), strict=True)
                    for quantity in a
                )
                if not same:
                    wrong[fault.name] = named
    assert wrong == {}


def test_nothing_is_offered_for_a_difference_that_no_fault_explains() -> None:
    """Noise is not given a name."""
    problems = PROBLEMS["tanh-identity"]
    rng = np.random.default_rng(0)
    observed = [
        {
            name: value + rng.standard_normal(value.shape)
            for name, value in solve(p, Contract()).items()
        }
        for p in problems
    ]
    assert likely(problems, observed, "forward", Contract()) == ""


def test_the_words_of_a_likely_fault(approved: Approved) -> None:
    """The sentence says what was done."""
    network = Network(1, 4, 1, "logistic")
    problems = asked(network)
    fault = next(fault for fault in FAULTS if fault.name == "bias_grad_twice")
    sentence = likely(problems, spoiled(fault, problems, "float64"), "gradient", Contract())
    approved(sentence)
