"""Networks of one's own, written once as equations: correct ports are inside, wrong ones are told,
as for a Network.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

from harness import Case, Contract, Population, Recipe, Subject, Trained
from harness.core.formulation import Formulation
from harness.core.loss import Loss
from harness.core.problem import QUANTITIES
from harness.core.verdict import Status, Verdict
from harness.judging.cache import Cache
from harness.running.trial import run
from reference import Crossed, Equations, Network, numpy_net, probes, r_nnet, starts
from reference.explaining.likely import offered
from reference.faults.kinds import OnBlocks, solve
from reference.mathematics.equations import evaluate
from reference.mathematics.oracle import certificates
from reference.mistakes.catalogue import made_in
from tests.conftest import Approved
from tests.mathematics.test_bounds import random_problem
from tests.own_networks import NETWORKS, STYLES, by_matmul, in_torch, two_hidden
from tests.selfcheck.ball import BallArithmetic
from tests.selfcheck.corpus import first_outside, weighed
from tests.support import DTYPES, asked

ALL = pytest.mark.parametrize("name", NETWORKS)
ACTS = pytest.mark.parametrize("g", ["relu", "tanh", "logistic"])


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """Two threads of PyTorch wait for each other where the cores are shared."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def subject(network: Equations, model: Callable[..., Any], **more: Any) -> Subject:
    """A function of PyTorch that takes the blocks by name."""
    return Subject(
        model, shapes={block.name: block.places.shape for block in network.layout.blocks}, **more
    )


def verdicts(network: Equations, model: Callable[..., Any] | Subject, **more: Any) -> list[Verdict]:
    """What a case of this one subject comes to against NumPy."""
    mine = model if isinstance(model, Subject) else subject(network, model)
    case = Case(
        "mine", network, [mine], [numpy_net], more.pop("problems", probes(0, draws=4)), **more
    )
    cache = Cache(case)
    return [run(trial, cache) for trial in case.trials()]


@ALL
@ACTS
def test_pytorch_in_five_styles_gives_no_false_alarm(name: str, g: str) -> None:
    """240 stacks of 3 random networks in all, sums in several orders, both dtypes, all scales: all
    are inside.
    """
    network, rng = NETWORKS[name](g), np.random.default_rng(30)
    for style in STYLES.values():
        model = subject(network, in_torch(name, g, style))
        for decay in (0.0, 0.1):
            for dtype in DTYPES:
                problem = random_problem(
                    rng, network, 3, Loss("mean" if rng.random() < 0.3 else "sum", decay)
                )
                observation = model.observe(problem, dtype)
                assert observation.missing is None
                assert first_outside([problem], [dict(observation.values)], dtype)[0] == ""


@pytest.mark.parametrize(
    ("name", "g"),
    [("two hidden", "relu"), ("two hidden", "tanh"), ("two hidden", "logistic"), ("gated", "relu")],
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_what_the_grid_certifies_is_exact(name: str, g: str, dtype: str) -> None:
    """Exact draws are found, layer by layer, and there PyTorch and ball arithmetic agree with NumPy
    to the bit.
    """
    network = NETWORKS[name](g)
    problem = next(p for p in asked(network, seed=5, draws=12) if p.kind == "exact")
    proofs = certificates(problem, Contract(dtype))
    exact = evaluate(BallArithmetic(Contract()), problem)
    others = [
        solve(problem, Contract(dtype)),
        subject(network, in_torch(name, g, by_matmul)).observe(problem, dtype).values,
    ]
    for quantity in QUANTITIES:
        assert proofs[quantity].any()
        truth = np.vectorize(float)(exact[quantity])[proofs[quantity]]
        for answers in others:
            assert (answers[quantity][proofs[quantity]] == truth).all(), quantity


@pytest.mark.parametrize(
    ("g", "f"), [("tanh", "identity"), ("logistic", "logistic"), ("relu", "identity")]
)
def test_one_hidden_layer_is_that_of_network(g: str, f: str) -> None:
    """Written as equations it has the same outputs to the bit, the same gradients, and bounds at
    most twice as wide.
    """
    network = Network((4, 2), 5, (3, 2), g, f)

    def forward(m: Any, p: Any, x1: Any, x2: Any) -> Any:
        h = m.act(g, m.add(m.affine(x1, p["W1"], p["b"]), m.affine(x2, p["V1"])))
        return m.act(f, m.affine(h, p["W2"], p["b_w"])), m.act(f, m.affine(h, p["V2"], p["b_v"]))

    shapes = {block.name: block.places.shape for block in network.layout.blocks}
    written = Equations("one hidden layer", (4, 2), (3, 2), shapes, forward)
    formulation = Formulation.from_meaning(written.layout, network, lambda p: p)
    for contract in (Contract(), Contract("float32")):
        for problem in probes(6, draws=8)(formulation):
            theirs = network.oracle(problem, contract)
            ours = written.oracle(_as(problem, Formulation.identity(written)), contract)
            for quantity in QUANTITIES:
                a, b = ours[quantity], theirs[quantity]
                assert (
                    abs(a.value - b.value) <= b.error + (contract.dtype == "float64") * a.error
                ).all(), quantity
                assert (a.error <= 2 * b.error).all(), quantity
                assert (b.error <= 2 * a.error).all(), quantity


def _as(problem: Any, formulation: Formulation) -> Any:
    from dataclasses import replace

    return replace(problem, formulation=formulation)


def test_own_parameters_of_another_form_are_judged() -> None:
    """Transposed weights, two biases that are added, and a layer that is given twice: their meaning
    is enough.
    """
    network = two_hidden()

    def model(x: Any, U1: Any, b1: Any, c1: Any, U2: Any, b2: Any, U3: Any, b3: Any) -> Any:
        h = torch.tanh(torch.tanh(x @ U1 + b1 + c1) @ U2 + b2)
        return h @ U3 + b3

    shapes = {
        "U1": (3, 8),
        "b1": (8,),
        "c1": (8,),
        "U2": (8, 6),
        "b2": (6,),
        "U3": (6, 2),
        "b3": (2,),
    }
    meaning = {f"W{i}": f"U{i}" for i in (1, 2, 3)}

    def means(p: Any) -> Any:
        blocks = {name: p[own].T for name, own in meaning.items()}
        return blocks | {"b1": p["b1"] + p["c1"], "b2": p["b2"], "b3": p["b3"]}

    found = verdicts(network, Subject(model, shapes=shapes, parameters=means))
    assert {verdict.status for verdict in found} == {Status.PASS}
    assert len(found) == 8


def test_a_network_of_ones_own_is_trained_and_judged() -> None:
    """Losses, gradients and steps of Adam along a run."""

    class TwoHidden(torch.nn.Sequential):
        def __init__(self) -> None:
            layers = [
                torch.nn.Linear(3, 8),
                torch.nn.Tanh(),
                torch.nn.Linear(8, 6),
                torch.nn.Tanh(),
            ]
            super().__init__(*layers, torch.nn.Linear(6, 2))

    def data(count: int) -> Any:
        x = np.random.default_rng(1).uniform(-1, 1, (9, 3))
        return np.tile(x, (count, 1, 1)), np.tile(np.sin(x[:, :2]), (count, 1, 1))

    trained = Trained(TwoHidden, Recipe("adam", 5, {"lr": 0.01}), start=starts.uniform())
    population = Population(data, quality=0.1, grid=np.zeros((2, 3)))
    case = Case(
        "trained",
        two_hidden(),
        [trained],
        [numpy_net],
        population,
        checks=["loss", "gradient", "step"],
    )
    cache = Cache(case)
    assert {run(trial, cache).status for trial in case.trials()} == {Status.PASS}


def halved(weights: Any) -> Any:
    """The same numbers, whose gradient is half."""
    return (weights + weights.detach()) / 2


def off(weights: Any, size: float) -> Any:
    """One entry off by a relative size."""
    factor = torch.ones_like(weights)
    factor[0, 0] += size
    return weights * factor


PLANTED: dict[str, tuple[str, Callable[[dict[str, Any]], dict[str, Any]], str]] = {
    "a weight off by 1e-12": ("two hidden", lambda p: {**p, "W2": off(p["W2"], 1e-12)}, "forward"),
    "a bias dropped": ("two hidden", lambda p: {**p, "b2": 0 * p["b2"]}, "forward"),
    "a square weight transposed": ("skipping", lambda p: {**p, "W2": p["W2"].T}, "forward"),
    "a gradient halved": ("two hidden", lambda p: {**p, "W3": halved(p["W3"])}, "gradient"),
    "a tied weight off by 1e-12": ("tied", lambda p: {**p, "W": off(p["W"], 1e-12)}, "forward"),
    "a tied gradient halved": ("tied", lambda p: {**p, "W": halved(p["W"])}, "gradient"),
    "a row scaled wrongly": ("gated", lambda p: {**p, "s": -p["s"]}, "forward"),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_caught_where_it_is_made(fault: str, approved: Approved) -> None:
    """In float64 the first quantity outside is the one that it spoils, and what is made of one
    block is named.
    """
    name, change, spoiled = PLANTED[fault]
    network = NETWORKS[name]()
    right = in_torch(name, "tanh", by_matmul)
    found = verdicts(network, lambda *xs, **p: right(*xs, **change(p)), dtypes=["float64"])
    failed = {verdict.check: verdict.why for verdict in found if verdict.status is Status.FAIL}
    assert next(quantity for quantity in QUANTITIES if quantity in failed) == spoiled
    approved(failed[spoiled], mask_figures=True)


def test_every_fault_that_can_be_made_is_caught() -> None:
    """In a network of one's own too, first where it is made; one of a block is offered as
    likely.
    """
    network = two_hidden()
    decayed = probes(0, draws=4, kinds=["random"], loss=Loss(decay=0.1))(
        Formulation.identity(network)
    )
    weights_only = Loss(decay={network.layout.blocks[0].name: 0.1})
    decayed += probes(0, draws=4, kinds=["random"], loss=weights_only)(
        Formulation.identity(network)
    )
    problems = [*asked(network, draws=5), *map(weighed, decayed)]
    faults = made_in(network)
    assert sum(isinstance(fault, OnBlocks) for fault in faults) == 6 * 5  # no block is square
    for fault in faults:
        observed = [fault.run(problem, Contract()) for problem in problems]
        assert first_outside(problems, observed, "float64")[0] == fault.spoils, fault.name
        if isinstance(fault, OnBlocks) and fault.name.startswith(("b2", "W3")):
            offer = offered(problems, observed, fault.spoils, Contract())
            assert offer is not None
            assert offer.name == fault.name


NONE: dict[str, Callable[..., Any]] = {
    "affine of a block turned": lambda m, p, x: m.affine(x, m.transpose(p["W"])),
    "affine of two blocks": lambda m, p, x: m.affine(p["W"], p["W"]),
    "a sum of two widths": lambda m, p, x: m.add(x, p["b"]),
    "a product of two kinds": lambda m, p, x: m.mul(p["W"], x),
    "two kinds side by side": lambda m, p, x: m.beside(x, p["W"]),
    "columns that are not there": lambda m, p, x: m.columns(x, 2, 4),
    "rows turned": lambda m, p, x: m.transpose(x),
    "an activation": lambda m, p, x: m.act("gelu", x),
    "another width": lambda m, p, x: x,
    "nothing": lambda m, p, x: None,
    "two heads for one": lambda m, p, x: (p["b"], p["b"]),
    "a block unused": lambda m, p, x: m.affine(x, p["W"]),
    "a block unknown": lambda m, p, x: p["V"],
    "an operation of Python": lambda m, p, x: x + p["b"],
    "an operation unknown": lambda m, p, x: m.linear(x, p["W"]),
}


@pytest.mark.parametrize("forward", NONE.values(), ids=NONE)
def test_what_is_no_network_is_said(forward: Callable[..., Any], approved: Approved) -> None:
    """In a sentence, when the equations are given: which operation, what it was given, what it
    expected.
    """
    with approved.raises(ValueError):
        Equations("mine", 3, 2, {"W": (2, 3), "b": (2,)}, forward)


@pytest.mark.parametrize(
    "given",
    [{"inputs": 0}, {"outputs": (2, -1)}, {"shapes": {"W": (2, 3, 1)}}, {"shapes": [(2, 3)]}],
    ids=["inputs", "outputs", "shapes", "no names"],
)
def test_shapes_that_are_none_are_said(given: dict[str, Any], approved: Approved) -> None:
    """In a sentence too."""
    with approved.raises(ValueError):
        Equations(
            "mine",
            **{"inputs": 3, "outputs": 2, "shapes": {"W": (2, 3)}, **given},
            forward=lambda m, p, x: x,
        )


def test_who_knows_one_hidden_layer_only_says_so(approved: Approved) -> None:
    """nnet, crossed probes, and starts by layers."""
    network = two_hidden()
    formulation = Formulation.identity(network)
    approved(r_nnet.cannot_answer(network, quantity) for quantity in QUANTITIES)
    with approved.raises(ValueError):
        Crossed()(formulation)
    with approved.raises(ValueError):
        starts.linear()(formulation, 1)


def test_the_longest_sum_of_a_formulation_is_not_underestimated() -> None:
    """It is at least every row and column of a block, as often as one sum has products."""
    for name, make in NETWORKS.items():
        network = make()
        for block in network.layout.blocks:
            amounts = np.zeros(network.layout.size)
            amounts[block.places.ravel()] = 1
            assert network.longest_sum(amounts) >= max(block.places.shape) ** (
                block.places.ndim > 1
            ), (
                name,
                block.name,
            )
        assert (
            network.widest
            >= 1 + max(max(block.places.shape) for block in network.layout.blocks) - 1
        )
