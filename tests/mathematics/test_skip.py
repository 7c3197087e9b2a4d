"""Skip connections, and networks without hidden units: nnet's own numbers, in every part that reads
a network.
"""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness import Case, Contract, Formulation, Problem, Status, Subject, Verdict
from harness.drawing.diagram import draw_network
from harness.judging.cache import Cache
from harness.running.trial import run
from reference import Crossed, Equations, Network, numpy_net, probes, r_nnet, starts
from reference.faults.kinds import solve
from reference.mistakes.catalogue import made_in
from reference.r.nnet_reference import LIVE, network_of, topology
from reference.r.topology import Topology
from tests.conftest import Approved

SKIP = Network((2, 1), 3, (1, 2), "logistic", skip=True)
NONE = Network((2, 1), 0, (1, 2), output="logistic")
TANH = Network(3, 4, 2, "tanh", skip=True)
NETWORKS = {"skip": SKIP, "none": NONE, "tanh": TANH}


@pytest.mark.parametrize("name", ["skip", "none"])
def test_nnet_itself_fits_it(live_r: None, name: str) -> None:
    """A dense topology with skip connections is what nnet(size =, skip = TRUE) builds, and its fit
    is the user's own call.
    """
    network = Network(2, NETWORKS[name].hidden, 1, "logistic", skip=True)
    x, y = np.array([[1.0, -1], [0.5, 2], [3, 0]]), np.array([[1.0], [0], [2]])
    theta = np.linspace(-0.5, 0.5, network.layout.size)
    assert topology(network).is_dense
    fit = LIVE.fit(topology(network), theta, x, y, maxit=7)
    numbers = ", ".join(map(repr, theta.tolist()))
    said = LIVE.eval_text(
        "fit <- nnet::nnet(matrix(c(1, .5, 3, -1, 2, 0), 3), c(1, 0, 2), size ="
        f" {network.hidden}, skip = TRUE, linout = TRUE, Wts = c({numbers}), maxit = 7,"
        " trace = FALSE); c(fit$value, fit$wts)"
    )
    assert said.tolist() == [fit.value, *fit.weights]


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_are_derivatives(name: str) -> None:
    """By the parameters and by the inputs, as the slope of the loss along the complex plane."""
    network = NETWORKS[name]
    for problem in probes(0, draws=2, kinds=["random"])(Formulation.identity(network)):
        found = solve(problem, Contract())
        namespace: dict[str, Any] = {"np": np}
        exec(network.script(), namespace)
        step = 2.0**-100
        for place in range(network.layout.size):
            theta = problem.theta[0].astype(complex)
            theta[place] += 1j * step
            loss = _loss(namespace["network"], network, theta, problem.inputs[0], problem)
            assert loss.imag / step == pytest.approx(found["gradient"][0, place], rel=1e-11)
        for place in np.ndindex(*problem.inputs.shape[1:]):
            x = problem.inputs[0].astype(complex)
            x[place] += 1j * step
            loss = _loss(namespace["network"], network, problem.theta[0], x, problem)
            assert loss.imag / step == pytest.approx(found["input_gradient"][0][place], rel=1e-11)


def _loss(forward: Any, network: Network, theta: Any, x: Any, problem: Problem) -> Any:
    blocks = [block.of(theta) for block in network.layout.blocks]
    groups = np.split(x, np.cumsum(network.inputs)[:-1], axis=1)
    o = np.concatenate(forward(*blocks, *groups), axis=1)
    return ((o - problem.targets[0]) ** 2).sum()


@pytest.mark.parametrize("name", NETWORKS)
def test_theta_is_in_nnets_order(name: str) -> None:
    """An output's weights are its bias, then hidden units, then inputs: as its topology lists
    them.
    """
    network = NETWORKS[name]
    labels = [network.layout.label(place) for place in range(network.layout.size)]
    connections = topology(network).connections
    of_first_output = connections[network.hidden]
    start = sum(map(len, connections[: network.hidden]))
    units = [f"W2[0, {unit}]" for unit in range(network.hidden)]
    groups = enumerate(network.inputs, 1)
    skips = [f"S{group}_w[0, {i}]" for group, width in groups for i in range(width)]
    assert labels[start : start + len(of_first_output)] == ["b_w[0]", *units, *skips]


MASK = np.array([[1, 0, 1], [0, 0, 1], [0, 0, 0]], dtype=bool)


@pytest.mark.parametrize("hidden", [0, 2])
def test_a_mask_leaves_skip_connections_out(live_r: None, hidden: int) -> None:
    """Those that it marks exist, no other: R on the same connections answers the same."""
    network = Network((2, 1), hidden, (1, 2), "logistic", skip=MASK)
    assert network.layout.size == hidden * 4 + 3 * (1 + hidden) + 3
    assert not network.is_complete
    assert not topology(network).is_dense
    (problem,) = probes(0, draws=3, kinds=["random"])(Formulation.identity(network))
    mine, theirs = numpy_net.observe(problem).values, r_nnet.observe(problem).values
    for name, answer in theirs.items():
        assert mine[name] == pytest.approx(answer, rel=1e-11), name


class Port(nn.Module):
    """TANH, as people write it; `mode` is a mistake."""

    def __init__(self, mode: str = "", act: Any = torch.tanh) -> None:
        super().__init__()
        self.hidden, self.out = nn.Linear(3, 4), nn.Linear(4, 2)
        self.past = nn.Linear(3, 2, bias=False)
        self.mode, self.act = mode, act

    def forward(self, x: Tensor) -> Any:
        """With skip connections, unless they are dropped."""
        h, past = self.act(self.hidden(x)), self.past.weight
        W = torch.cat([self.out.weight, past], 1)
        if self.mode == "skip_first":
            return x @ W[:, :3].T + h @ W[:, 3:].T + self.out.bias
        if self.mode == "skip_dropped":
            return self.out(h) + 0 * self.past(x)
        return self.out(h) + self.past(x)


def verdicts(network: Network, build: Any, reference: Any, **given: Any) -> list[Verdict]:
    """Of every trial of a port."""
    subject = Subject(build, "Port", **given)
    case = Case("skip", network, [subject], [reference], probes(seed=0, draws=8))
    cache = Cache(case)
    return [run(trial, cache) for trial in case.trials()]


@pytest.mark.parametrize("reference", [r_nnet, numpy_net], ids=["r", "numpy"])
def test_a_right_port_passes(live_r: None, reference: Any) -> None:
    """In both dtypes, its blocks found by their shapes; R judges tanh by other weights."""
    found = verdicts(TANH, Port, reference)
    asked = [v for v in found if v.check != "input_gradient" or reference is numpy_net]
    assert {v.status for v in asked} == {Status.PASS}


@pytest.mark.parametrize("mode", ["skip_first", "skip_dropped"])
def test_a_wrong_port_is_told_what_is_wrong(mode: str, approved: Approved) -> None:
    """The mistake in nnet's order, and connections that are left out."""
    (words,) = [fault.words for fault in made_in(TANH) if fault.name == mode]
    failed = [v for v in verdicts(TANH, lambda: Port(mode), numpy_net) if v.status is Status.FAIL]
    assert words in failed[0].why
    approved(failed[0].why, mask_figures=True)


def test_layers_named_as_the_blocks_are_found() -> None:
    """A square skip layer is told from the output layer by its name, and a head's bias may be that
    of either.
    """

    class Square(nn.Module):
        def __init__(self, biased: bool) -> None:
            super().__init__()
            self.hidden, self.W2 = nn.Linear(2, 2), nn.Linear(2, 2, bias=not biased)
            self.S1_w = nn.Linear(2, 2, bias=biased)

        def forward(self, x: Tensor) -> Any:
            return self.W2(torch.tanh(self.hidden(x))) + self.S1_w(x)

    network = Network(2, 2, 2, skip=True)
    for biased in (False, True):
        names = {"W1": "hidden.weight", "b": "hidden.bias"}
        found = verdicts(network, lambda biased=biased: Square(biased), numpy_net, parameters=names)
        assert {v.status for v in found} == {Status.PASS}


def test_a_linear_layer_is_a_network_without_hidden_units() -> None:
    """nn.Linear is judged as it is."""
    found = verdicts(Network(3, 0, 2), lambda: nn.Linear(3, 2), numpy_net)
    assert {v.status for v in found} == {Status.PASS}


@pytest.mark.parametrize("network", [SKIP, NONE, Network(2, 0, 1, output="identity")])
def test_a_topology_and_its_network_are_the_same(network: Network) -> None:
    """One group and head of what nnet() builds, in both directions."""
    plain = Network(
        sum(network.inputs),
        network.hidden,
        sum(network.outputs),
        "logistic",
        network.output,
        skip=network.has_skip,
    )
    again = network_of(topology(plain))
    assert topology(again) == topology(plain) == topology(network)
    assert again.sentence() == plain.sentence()


def test_a_net_without_skip_has_a_network_too() -> None:
    """With linear and with logistic outputs."""
    for linear in (True, False):
        dense = Topology.dense(3, 2, 2, linear)
        assert topology(network_of(dense)) == dense
        assert network_of(dense).output == ("identity" if linear else "logistic")


@pytest.mark.parametrize(
    "connections",
    [((0, 1, 2), (0, 1, 2, 3)), ((1, 2, 0), (0, 3)), ((0, 1), (0, 3)), ((0, 1, 2), (0, 3, 2, 1))],
    ids=["skip first", "bias last", "sparse", "inputs reversed"],
)
def test_connections_in_another_order_are_refused(
    connections: tuple[tuple[int, ...], ...], approved: Approved
) -> None:
    """In a sentence that lists them."""
    net = Topology(2, 1, 1, connections, linear_outputs=True)
    with approved.raises(ValueError):
        network_of(net)


def test_it_is_said_in_words(approved: Approved) -> None:
    """The sentence of each network, and its function in NumPy."""
    said = []
    for network in (*NETWORKS.values(), Network((2, 1), 2, (1, 2), skip=MASK)):
        _, head, function = network.script().partition("def network")
        said += [network.sentence(), *(head + function).splitlines()]
    approved(said)


def with_act(name: Any) -> Equations:
    """Equations with this activation."""
    return Equations("mine", 2, 3, {"W": (3, 2)}, lambda m, p, x: m.act(name, m.affine(x, p["W"])))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Network(2, 3, 1, skip=np.ones((2, 1))),
        lambda: Network(2, 0, 1, skip=np.zeros((1, 2))),
        lambda: Network(2, (20, 20), 1),
        lambda: Network(2, True, 1),
        lambda: Network(2, 2, 1, torch.tanh),  # type: ignore[arg-type]
        lambda: Network(2, 2, 1, nn.Sigmoid()),  # type: ignore[arg-type]
        lambda: Network(2, 2, 1, output=torch.sin),  # type: ignore[arg-type]
        lambda: Network(2, 2, 1, "sigmoid"),
        lambda: with_act("sigmoid"),
        lambda: with_act(torch.sigmoid),
    ],
    ids=[
        "mask",
        "nothing",
        "layers",
        "truth",
        "function",
        "module",
        "unknown",
        "sigmoid",
        "act sigmoid",
        "act of a function",
    ],
)
def test_what_makes_no_network_is_told_the_other_way(wrong: Any, approved: Approved) -> None:
    """Each message names what to write."""
    with approved.raises(ValueError):
        wrong()


def test_it_is_drawn() -> None:
    """With its skip connections."""
    for network in (SKIP, NONE):
        weights = {network.layout.label(i): 0.5 for i in range(network.layout.size)}
        assert draw_network("a network", weights)


def test_starts_are_those_of_torch() -> None:
    """Each layer's reach is one over the root of its inputs: of hidden units, or of the inputs of a
    skip layer.
    """
    start = starts.linear()(Formulation.identity(TANH), 200)
    for block in TANH.layout.blocks:
        reach = (4 if block.name in ("W2", "b_w") else 3) ** -0.5
        assert 0.95 * reach < abs(block.of(start)).max() <= reach, block.name


def test_crossed_rows_are_asked_of_it() -> None:
    """Its skip connections add up, so groups that do not meet in a hidden unit do not act on each
    other.
    """
    apart = Network((2, 1), 2, 1, "logistic", to_hidden=[[1, 1, 0], [0, 0, 1]], skip=True)
    (problem,) = Crossed(0, draws=4)(Formulation.identity(apart))
    rows = numpy_net.observe(problem).values["forward"]
    assert (abs(rows[:, 0] - rows[:, 1] - rows[:, 2] + rows[:, 3]) < 1e-14).all()


@pytest.mark.parametrize("name", NETWORKS)
def test_exact_probes_are_exact(name: str) -> None:
    """Their outputs are proved so, and float32 gives them to the bit."""
    (problem,) = probes(0, kinds=["exact"], draws=5)(Formulation.identity(NETWORKS[name]))
    bounds = NETWORKS[name].oracle(problem, Contract("float32"))
    exact = (bounds["forward"].error == 0).all(axis=(1, 2))
    assert exact.any()
    single = solve(problem, Contract("float32"))["forward"]
    assert (single[exact] == bounds["forward"].value[exact]).all()
