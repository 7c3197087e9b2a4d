"""The oracle as a whole: what it adds to its arithmetics, on problems whose bounds are known."""

from dataclasses import replace

import numpy as np
import pytest

from harness.arithmetic.bounded import BoundedArithmetic
from harness.core.contract import Bounded, Contract
from harness.core.formulation import Formulation
from harness.core.loss import Loss
from harness.core.problem import QUANTITIES, STEP, Problem
from harness.core.recipe import Recipe
from reference import Network, probes
from reference.mathematics.equations import evaluate
from reference.mathematics.oracle import certificates, oracle, stages
from reference.mathematics.questions import CHUNK
from tests.conftest import Approved
from tests.support import dual

FLOAT32 = Contract("float32")


def stack(draws: int, exact: bool = False) -> Problem:
    """Random draws of a small network, which the oracle is asked to prove exact or not."""
    [problem] = probes(0, draws=draws, rows=2, kinds=["random"])(
        Formulation.identity(dual("tanh", "identity"))
    )
    return replace(problem, exact=exact)


def test_draws_are_bounded_by_themselves() -> None:
    """However many there are at once: more than the oracle takes at a time give what each one gives
    alone.
    """
    network = Network(2, 40, 1)
    [problem] = probes(0, draws=40, rows=60, kinds=["random"])(Formulation.identity(network))
    assert problem.draws * problem.rows * network.widest > 2 * CHUNK
    whole = oracle(problem, FLOAT32)
    for draw in (0, 17, 39):
        alone = oracle(problem.part(slice(draw, draw + 1)), FLOAT32)
        for quantity in QUANTITIES:
            assert whole[quantity].value.shape[0] == problem.draws
            assert np.array_equal(whole[quantity].value[draw], alone[quantity].value[0]), quantity
            assert np.array_equal(whole[quantity].error[draw], alone[quantity].error[0]), quantity


@pytest.mark.parametrize(
    ("rows", "draws", "taken"), [(60, 40, [15, 15, 10]), (1100, 2, [1, 1]), (1, 9, [9])]
)
def test_as_many_draws_are_taken_at_once_as_fit(
    rows: int, draws: int, taken: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that their numbers, of the longest sum's layer and the gradient, are at most CHUNK; at
    least one.
    """
    network = Network(2, 40, 1)
    numbers = rows * 41 + network.layout.size
    assert taken[0] == min(draws, max(1, CHUNK // numbers))
    found: list[int] = []

    def noting(arithmetic: BoundedArithmetic, problem: Problem) -> dict[str, Bounded]:
        found.append(problem.draws)
        return evaluate(arithmetic, problem)

    monkeypatch.setattr("reference.mathematics.oracle.evaluate", noting)
    [problem] = probes(0, draws=draws, rows=rows, kinds=["random"])(Formulation.identity(network))
    assert oracle(problem, FLOAT32)["forward"].value.shape == (draws, rows, 1)
    assert found == taken


def mixed() -> Problem:
    """Two draws of x -> 4097 (4099 x): the first at x = 1, which takes 25 bits, the second at x =
    0.
    """
    own, inputs = np.tile([0.0, 4099.0, 0.0, 4097.0], (2, 1)), np.array([[[1.0]], [[0.0]]])
    formulation = Formulation.identity(Network(1, 1, 1, "identity"))
    return Problem("mixed", formulation, own, inputs, np.zeros((2, 1, 1)), exact=True)


def test_where_nothing_rounds_the_bound_is_0() -> None:
    """Draw by draw and quantity by quantity, for the dtype that is asked about, and where the
    problem asks for it.
    """
    problem = mixed()
    proofs = certificates(problem, FLOAT32)
    assert proofs["forward"].tolist() == [False, True]
    sharp, blunt = oracle(problem, FLOAT32), oracle(replace(problem, exact=False), FLOAT32)
    for quantity in QUANTITIES:
        proved = proofs[quantity]
        assert (sharp[quantity].error[proved] == 0).all()
        assert np.array_equal(sharp[quantity].error[~proved], blunt[quantity].error[~proved]), (
            quantity
        )
        assert np.array_equal(sharp[quantity].value, blunt[quantity].value)
    assert blunt["forward"].error[0] > 0
    assert (oracle(problem, Contract())["forward"].error == 0).all()


def test_unproved_bounds_are_those_of_the_arithmetic() -> None:
    """Nothing on top, nothing less."""
    problem = stack(3)
    found, arithmetic = oracle(problem, FLOAT32), evaluate(BoundedArithmetic(FLOAT32), problem)
    assert list(found) == list(QUANTITIES)
    for quantity in QUANTITIES:
        assert np.array_equal(found[quantity].error, arithmetic[quantity].error)


def test_steps_are_bounded_where_there_is_a_recipe() -> None:
    """And not elsewhere."""
    problem = stack(2)
    stepped = replace(
        problem,
        recipe=Recipe("sgd", 2, {"lr": 0.5}),
        optimiser_gradients=np.ones(problem.own.shape),
    )
    assert STEP not in oracle(problem, FLOAT32)
    found = oracle(stepped, FLOAT32)[STEP]
    assert np.array_equal(found.value, problem.own - 0.5)


@pytest.mark.filterwarnings("error")
def test_what_overflows_says_nothing() -> None:
    """Where float64 itself overflows, the bound is not finite, and no warning is given."""
    own = np.array([[0.0, 1e200, 0.0, 1e200]])
    problem = Problem(
        "large",
        Formulation.identity(Network(1, 1, 1, "identity")),
        own,
        np.ones((1, 1, 1)),
        np.zeros((1, 1, 1)),
    )
    for name, bound in oracle(problem, Contract()).items():
        assert name not in ("forward", "loss") or not np.isfinite(bound.error).any(), name
    steep = replace(problem, own=np.array([[1e200, 0.0, 0.0, 1e200]]), exact=True)
    assert not np.isfinite(oracle(steep, Contract())["loss"].error).any()


@pytest.mark.parametrize("outputs", [(4,), (4, 2), (2, 3, 1)])
def test_a_stated_budget_is_a_share_of_the_largest_output_of_each_head_in_each_draw(
    outputs: tuple[int, ...],
) -> None:
    """On top of the oracle's own bound, and of the outputs alone."""
    [problem] = probes(0, draws=12, rows=2, kinds=["random"])(
        Formulation.identity(Network(2, 3, outputs))
    )
    plain, stated = (oracle(problem, Contract("float32", stated=share)) for share in (None, 0.25))
    value, start = plain["forward"].value, 0
    assert np.array_equal(stated["forward"].value, value)
    for width in outputs:
        head = slice(start, start + width)
        largest = abs(value[..., head]).max(axis=(1, 2), keepdims=True)
        assert np.array_equal(
            stated["forward"].error[..., head], plain["forward"].error[..., head] + 0.25 * largest
        )
        start += width
    assert (value.min(axis=(1, 2)) < -value.max(axis=(1, 2))).any()  # a largest may be negative
    for quantity in QUANTITIES[1:]:
        assert np.array_equal(stated[quantity].error, plain[quantity].error)


# 1-1-1 with an identity, at rest but for its last bias: o is that bias, in both rows
PLAIN = Network(1, 1, 1, "identity")


def of_bias(bias: float, target: float, decay: float = 0.0, weight: float = 0.0) -> Problem:
    """One draw with a bias and a target in each of two rows; the mean of squares, or the sum with
    decay.
    """
    loss = Loss(decay=decay) if decay else Loss("mean")
    own = np.array([[0.0, weight, bias, 0.0]])
    return Problem(
        "made",
        Formulation.identity(PLAIN),
        own,
        np.zeros((1, 2, 1)),
        np.full((1, 2, 1), target),
        loss,
    )


@pytest.mark.parametrize(
    ("bias", "target", "bounded"),
    [
        (175, 0, True),
        (182, 0, False),
        (-182, 0, False),
        (100, -90, False),
        (100, 90, True),
        (0, 175, True),
    ],
)
def test_a_mean_is_bounded_where_its_sum_of_squares_is_in_range(
    bias: float, target: float, bounded: bool
) -> None:
    """Of float16, which ends at 65,504: two squares of 182 are more."""
    found = oracle(of_bias(bias, target), Contract("float16"))
    assert bool(np.isfinite(found["loss"].error).all()) is bounded
    assert np.isfinite(found["forward"].error).all()


def test_the_sum_of_squares_is_that_of_what_the_outputs_may_be() -> None:
    """Off by their bound: a sum that is in range by a little less than that is not bounded."""
    contract = Contract("float16")
    [error] = {float(e) for e in oracle(of_bias(180.9, 0), contract)["forward"].error.ravel()}
    edge = float(np.sqrt(contract.largest / 2))
    for sign in (1, -1):
        assert np.isfinite(
            oracle(of_bias(sign * (edge - 1.01 * error), 0), contract)["loss"].error
        ).all()
        assert not np.isfinite(
            oracle(of_bias(sign * (edge - 0.9 * error), 0), contract)["loss"].error
        ).any()


@pytest.mark.parametrize(("weight", "bounded"), [(255, True), (256, False), (-256, False)])
def test_a_penalty_is_bounded_where_its_sum_of_squares_is_in_range(
    weight: float, bounded: bool
) -> None:
    """Before it is weighed, with the squares of the error."""
    found = oracle(of_bias(1, 1, 2.0**-6, weight), Contract("float16"))
    assert bool(np.isfinite(found["loss"].error).all()) is bounded
    without = oracle(of_bias(1, 1, 0.0, weight), Contract("float16"))
    assert np.isfinite(without["loss"].error).all()


@pytest.mark.parametrize(("bias", "bounded"), [(140, True), (150, False), (-150, False)])
def test_a_square_counts_with_its_weight_or_alone_whichever_is_more(
    bias: float, bounded: bool
) -> None:
    """Weights of 2 and 1/4 count as 2 and 1: three times the square of 150 is beyond float16."""
    problem = replace(of_bias(bias, 0), loss=Loss(weights=[2.0, 0.25]))
    found = oracle(problem, Contract("float16"))
    assert bool(np.isfinite(found["loss"].error).all()) is bounded


@pytest.mark.parametrize(("bias", "bounded"), [(210, True), (214, False)])
def test_a_squared_parameter_counts_with_its_decay_or_alone_whichever_is_more(
    bias: float, bounded: bool
) -> None:
    """Decays of 2, of a weight of 100, and of 1/64, of a bias, count as 2 and 1."""
    loss = Loss(decay=[0.0, 2.0, 2.0**-6, 0.0])
    problem = replace(of_bias(bias, bias, weight=100.0), loss=loss)
    found = oracle(problem, Contract("float16"))
    assert bool(np.isfinite(found["loss"].error).all()) is bounded


def test_stages_are_counted_and_the_first_that_is_missing_is_named(approved: Approved) -> None:
    """Of all numbers of a row that are kept: those that are among the columns."""
    problem = stack(3)
    contract, network = Contract("bfloat16"), problem.formulation.network
    nothing = np.full((3, 2, 1), 1e9)
    found, asked, first = stages(problem, contract, nothing)
    assert found == 0
    assert network.stages(problem, contract, nothing) == (0, asked, first)
    approved(first)
    hidden = np.tanh(
        problem.inputs @ problem.theta[:, : 4 * 9].reshape(3, 4, 9)[..., 1:].swapaxes(1, 2)
        + problem.theta[:, : 4 * 9].reshape(3, 4, 9)[:, None, :, 0]
    )
    some, of, first = stages(problem, contract, hidden[..., :3])
    assert (some >= 3, of) == (True, asked)
    approved(first)
    every, of, first = stages(problem, contract, np.concatenate([hidden, problem.inputs], axis=-1))
    assert (every >= 4, of, first) == (True, asked, "")
