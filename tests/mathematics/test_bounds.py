"""The bounds hold: they enclose exact answers, every correct implementation is inside, and no
certificate is wrong.
"""

from typing import Any

import numpy as np
import pytest

from harness import Case, Contract, Subject
from harness.arithmetic.plain import Plain
from harness.core.formulation import Formulation
from harness.core.loss import Loss
from harness.core.problem import QUANTITIES, Problem
from harness.core.verdict import Status
from harness.judging.cache import Cache
from harness.running.trial import run
from reference import Equations, Network, NumpyNet, numpy_net, probes, r_nnet
from reference.faults.kinds import solve
from reference.mathematics.equations import evaluate
from reference.mathematics.oracle import certificates
from reference.probes.kinds import KINDS
from tests.conftest import Approved
from tests.own_networks import NETWORKS
from tests.selfcheck.ball import BallArithmetic
from tests.selfcheck.corpus import first_outside
from tests.support import ACTIVATIONS, DTYPES, asked, dual


def random_network(rng: np.random.Generator, widest: int = 24) -> Network:
    """A network of any shape of the family."""
    widths = [tuple(int(w) for w in rng.integers(1, widest, rng.integers(1, 3))) for _ in range(2)]
    g, f = ACTIVATIONS[rng.integers(len(ACTIVATIONS))]
    hidden = int(rng.integers(1, widest))
    masks = {}
    if rng.random() < 0.3:
        masks = {
            "to_hidden": rng.random((hidden, sum(widths[0]))) < 0.7,
            "to_output": rng.random((sum(widths[1]), hidden)) < 0.7,
        }
    return Network(widths[0], hidden, widths[1], g, f, **masks)


def random_problem(
    rng: np.random.Generator, network: Network, draws: int, loss: Loss | None = None
) -> Problem:
    """Random numbers of the network's shapes, on all scales, held by float32."""
    rows = int(rng.integers(1, 40))
    scale = 10.0 ** rng.uniform(-3, 1)
    shapes = [
        (draws, network.layout.size),
        (draws, rows, sum(network.inputs)),
        (draws, rows, sum(network.outputs)),
    ]
    own, x, t = (np.float32(rng.standard_normal(shape)).astype(float) for shape in shapes)
    own = np.float32(own * scale).astype(float)
    return Problem("random", Formulation.identity(network), own, x, t, loss or Loss())


ONE_LAYER = {f"one hidden, {g}, {f}": Network((2, 1), 3, (1, 2), g, f) for g, f in ACTIVATIONS}
OWN = {
    f"{name}, {g}": make(g) for name, make in NETWORKS.items() for g in ("relu", "tanh", "logistic")
}
EVERY = pytest.mark.parametrize(
    "network", [*ONE_LAYER.values(), *OWN.values()], ids=[*ONE_LAYER, *OWN]
)
CONTRACTS = {  # those for which an answer is the same number
    "as it is": [Contract(), Contract("float32")],
    "clipped": [Contract(logistic_clip=15.0)],
}


@EVERY
@pytest.mark.parametrize("contracts", CONTRACTS.values(), ids=CONTRACTS)
def test_bounds_enclose_the_exact_answers(
    network: Network | Equations, contracts: list[Contract]
) -> None:
    """The oracle's own value is within its bound of what ball arithmetic encloses at 256 bits, in
    every dtype that such an answer has.
    """
    kinds = (
        tuple(KINDS) if isinstance(network, Network) else ("random", "saturated", "few-term")
    )  # the others take long in balls, and so do many rows
    for loss in (Loss(), Loss("mean", decay=0.1)):
        for problem in probes(3, draws=3, rows=2, kinds=kinds, loss=loss)(
            Formulation.identity(network)
        ):
            if problem.rows > 3:
                continue
            exact = evaluate(BallArithmetic(contracts[0]), problem)
            for contract in contracts:
                for quantity, bound in network.oracle(problem, contract).items():
                    balls, values = exact[quantity].ravel(), bound.value.ravel()
                    for ball, value, error in zip(balls, values, bound.error.ravel(), strict=True):
                        assert abs(ball - value) <= error, (contract.dtype, quantity, problem.kind)


@EVERY
def test_gradients_are_those_of_the_loss(network: Network | Equations) -> None:
    """The complex step through the forward pass gives what the tape gives, by parameters and by
    inputs.
    """
    # several layers of saturated weights leave the range of a complex exp
    kinds = ["random", "few-term"]
    kinds += ["saturated"] * isinstance(network, Network)
    for problem in probes(4, draws=5, rows=2, kinds=kinds)(Formulation.identity(network)):
        bounds = network.oracle(problem, Contract())
        for quantity, field in (("gradient", "own"), ("input_gradient", "inputs")):
            point = getattr(problem, field)
            slopes = np.empty(point.shape)
            for place in np.ndindex(point.shape[1:]):
                shifted = point.astype(complex)
                shifted[(slice(None), *place)] += 1e-30j
                moved = _unchecked(problem, field, shifted)
                slopes[(slice(None), *place)] = (
                    evaluate(Plain(Contract(), "complex128"), moved)["loss"].imag / 1e-30
                )
            reached = bounds[quantity]
            assert (abs(slopes - reached.value) <= 4 * reached.error + 1e-300).all(), quantity


def _unchecked(problem: Problem, field: str, value: np.ndarray) -> Problem:
    """The problem with a complex array, which `Problem` itself refuses."""
    moved = object.__new__(Problem)
    moved.__dict__.update({**problem.__dict__, field: value})
    return moved


def test_no_false_alarm_on_2000_correct_networks() -> None:
    """NumPy in both dtypes and its sums in another order are inside the bounds on 2,000 random
    networks.
    """
    rng = np.random.default_rng(20)
    for _ in range(200):
        network = random_network(rng)
        problem = random_problem(
            rng, network, draws=10, loss=Loss("mean") if rng.random() < 0.3 else Loss()
        )
        for dtype in DTYPES:
            answers = solve(problem, Contract(dtype))
            assert first_outside([problem], [answers], dtype)[0] == "", network.sentence()
        units = rng.permutation(network.hidden)
        if network.to_hidden.all() and network.to_output.all():
            permuted = solve(_permuted(problem, network, units), Contract("float32"))
            answers = {name: permuted[name] for name in ("forward", "loss", "input_gradient")}
            answers["gradient"] = solve(problem, Contract("float32"))["gradient"]
            assert first_outside([problem], [answers], "float32")[0] == "", network.sentence()


def _permuted(problem: Problem, network: Network, units: np.ndarray) -> Problem:
    """The same function with its hidden units renumbered: sums run in another order."""
    A, B = (part.of(problem.own) for part in network.parts)
    B = np.concatenate([B[..., :1], B[..., 1:][..., units]], axis=-1)
    own = np.concatenate(
        [A[:, units].reshape(problem.draws, -1), B.reshape(problem.draws, -1)], axis=-1
    )
    return Problem(
        "permuted", problem.formulation, own, problem.inputs, problem.targets, problem.loss
    )


@pytest.mark.parametrize(("g", "f"), ACTIVATIONS)
def test_torch_and_nnet_give_no_false_alarm_on_random_networks(g: str, f: str) -> None:
    """PyTorch in both dtypes, and R nnet where it can judge, are inside on random networks of many
    shapes.
    """
    import torch

    acts = {
        "relu": torch.relu,
        "tanh": torch.tanh,
        "logistic": torch.sigmoid,
        "identity": lambda z: z,
    }
    rng = np.random.default_rng(21)
    for _ in range(12):
        shape = rng.integers(1, 20, 3)
        network = Network(int(shape[0]), int(shape[1]), int(shape[2]), g, f)

        def model(x, W1, b, W2, b_w):  # type: ignore[no-untyped-def]
            return acts[f](acts[g](x @ W1.T + b) @ W2.T + b_w)

        parameters = {block.name: block.places.shape for block in network.layout.blocks}
        case = Case(
            name="random",
            network=network,
            subjects=[Subject(model, shapes=parameters)],
            references=[r_nnet, numpy_net, NumpyNet("float32")],
            problems=probes(int(rng.integers(1000)), draws=8, rows=int(rng.integers(1, 30))),
        )
        cache = Cache(case)
        for trial in case.trials():
            verdict = run(trial, cache)
            assert not verdict.status.fails, verdict.why


@pytest.mark.parametrize(("g", "f"), ACTIVATIONS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_what_the_grid_certifies_is_exact(g: str, f: str, dtype: str) -> None:
    """Where grid arithmetic proves a value exact, NumPy in that dtype, R nnet and ball arithmetic
    agree to the bit.
    """
    network = dual(g, f)
    problem = next(p for p in asked(network, seed=5, draws=12, rows=2) if p.kind == "exact")
    proofs = certificates(problem, Contract(dtype))
    assert all(proofs[quantity].any() for quantity in QUANTITIES)
    exact = evaluate(BallArithmetic(Contract()), problem)
    others = [solve(problem, Contract(dtype))]
    if r_nnet.cannot_answer(network, "forward") is None:
        others.append(dict(r_nnet.observe(problem).values))
    for quantity in QUANTITIES:
        truth = np.vectorize(float)(exact[quantity])[proofs[quantity]]
        for answers in others:
            if quantity in answers:
                assert (answers[quantity][proofs[quantity]] == truth).all(), quantity


def test_too_large_numbers_are_not_certified() -> None:
    """An exact sum that needs more than 24 bits is certified for float64 and not for float32."""
    network = Network(1, 1, 1, "identity")
    own = np.array([[0.0, 4097.0, 0.0, 4099.0]])
    problem = Problem(
        "large",
        Formulation.identity(network),
        own,
        np.ones((1, 1, 1)),
        np.zeros((1, 1, 1)),
        exact=True,
    )
    assert certificates(problem, Contract())["forward"].all()
    assert not certificates(problem, Contract("float32"))["forward"].any()
    assert float(np.float32(4097) * np.float32(4099)) != 4097 * 4099


def test_a_bound_is_not_much_wider_than_the_error() -> None:
    """Few-term draws use more than a tenth of a float32 bound: it is not silent by being wide."""
    network = dual("tanh", "identity")
    used = []
    for problem in asked(network, draws=60):
        bound = network.oracle(problem, Contract("float32"))["forward"]
        answer = solve(problem, Contract("float32"))["forward"]
        with np.errstate(invalid="ignore", divide="ignore"):
            used.append(
                np.nanmax(np.where(bound.error > 0, abs(answer - bound.value) / bound.error, 0))
            )
    assert max(used) > 0.1


def test_relu_conventions_are_told_apart_by_exact_draws() -> None:
    """clamp(min=0) and relu differ at z = 0, which a tenth of exact draws of a ReLU network
    reach.
    """
    import torch

    network = dual("relu", "relu")
    parameters = {block.name: block.places.shape for block in network.layout.blocks}

    def clamped(x1, x2, W1, V1, b, W2, b_w, V2, b_v):  # type: ignore[no-untyped-def]
        h = (x1 @ W1.T + x2 @ V1.T + b).clamp(min=0)
        return torch.relu(h @ W2.T + b_w), torch.relu(h @ V2.T + b_v)

    subject = Subject(clamped, shapes=parameters)
    problem = asked(network)[0]
    observation = subject.observe(problem, "float64")
    assert problem.kind == "exact"
    assert first_outside([problem], [dict(observation.values)], "float64")[0] == "gradient"


def test_a_trial_in_a_dtype_that_overflows_is_undefined(approved: Approved) -> None:
    """Where the exact answer leaves float32's range the verdict is UNDEFINED, in float64 it
    passes.
    """
    network = Network(1, 1, 1, "identity")

    def large(formulation: Formulation) -> list[Problem]:
        own = np.array([[1e30, 1.0, 1e30, 1.0]])  # W1, b, W2, b_w
        return [Problem("large", formulation, own, np.ones((1, 1, 1)), np.zeros((1, 1, 1)))]

    def model(x, W1, b, W2, b_w):  # type: ignore[no-untyped-def]
        return (x @ W1.T + b) @ W2.T + b_w

    parameters = {block.name: block.places.shape for block in network.layout.blocks}
    case = Case(
        "large",
        network,
        [Subject(model, shapes=parameters)],
        [numpy_net],
        large,
        checks=["forward"],
    )
    cache = Cache(case)
    found = {trial.dtype: run(trial, cache) for trial in case.trials()}
    assert found["float64"].status is Status.PASS
    assert found["float32"].status is Status.UNDEFINED
    approved(found["float32"].why)


def test_each_penalty_of_a_loss_may_be_added_by_itself() -> None:
    """Seven of them round the loss seven times more: without those terms a correct model used 1.1
    of its bound.
    """

    def two_heads(
        x1: Any, x2: Any, W1: Any, V1: Any, b: Any, W2: Any, b_w: Any, V2: Any, b_v: Any
    ) -> Any:
        h = (x1 @ W1.T + x2 @ V1.T + b).relu()
        return h @ W2.T + b_w, h @ V2.T + b_v

    network = Network((1, 1), 2, (1, 1), "relu", "identity")
    shapes = {
        "W1": (2, 1),
        "V1": (2, 1),
        "b": (2,),
        "W2": (1, 2),
        "b_w": (1,),
        "V2": (1, 2),
        "b_v": (1,),
    }
    subject = Subject(two_heads, shapes=shapes)
    formulation, rng = subject.formulation(network), np.random.default_rng(0)
    near = slice(1600, 1700)  # of 6,000 draws number 1626 uses most
    own = np.float32(rng.uniform(-1, 1, (6000, formulation.own.size)))[near]
    targets = np.float32(rng.uniform(8, 16, (6000, 1, 2)))[near] * [1, 0]
    problem = Problem("random", formulation, own, np.zeros((100, 1, 2)), targets, Loss(decay=0.4))
    bound = network.oracle(problem, Contract("float32"))["loss"]
    used = abs(subject.observe(problem, "float32").values["loss"] - bound.value) / bound.error
    assert 0.3 < used.max() <= 1
