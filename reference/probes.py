"""The data a network is asked on: exact, few-term, saturated, random and unusual draws, which float32 holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from harness.contract import Array, Contract
from harness.formulation import Formulation
from harness.problem import QUANTITIES, SUM_OF_SQUARES, Loss, Problem
from reference.network import Network
from reference.oracle import certificates

KINDS = ("exact", "few-term", "saturated", "random", "unusual")
SHARPEST = Contract("float32")  # what is exact in 24 bits is exact in 53
FINE = 2.0**-12  # lattice of the weights that need not be exact
ATTEMPTS = 60


@dataclass(frozen=True)
class Probes:
    """`draws` questions of each kind, with `rows` rows of inputs; called with a formulation they become problems.

    `kinds` chooses among exact, few-term, saturated, random and unusual. Everything is drawn from `seed`.
    """

    seed: int
    draws: int
    rows: int
    kinds: tuple[str, ...]
    loss: Loss

    def __call__(self, formulation: Formulation) -> list[Problem]:
        """One stack of each kind. Formulations that only rename theta get the same theta."""
        makers: dict[str, Callable[[_Draw], Problem | None]] = {
            "exact": _exact,
            "few-term": _few_term,
            "saturated": _saturated,
            "random": _random,
            "unusual": _unusual,
        }
        problems = []
        for number, kind in enumerate(self.kinds):
            weights, data = (np.random.default_rng([self.seed, number, stream]) for stream in range(2))
            problem = makers[kind](_Draw(formulation, weights, data, self.draws, self.rows, self.loss))
            if problem is not None:
                problems.append(problem)
        return problems


def probes(
    seed: int = 0, draws: int = 30, rows: int = 5, kinds: Sequence[str] = KINDS, loss: Loss = SUM_OF_SQUARES
) -> Probes:
    """Probes for any network; raises ValueError for an unknown kind, and for no draws or rows."""
    if draws < 1 or rows < 1:
        raise ValueError(f"probes of {draws} draws and {rows} rows were asked for, expected at least one of each")
    if isinstance(kinds, str):
        raise ValueError(f"probes of kinds {kinds!r} were asked for, expected a list: [{kinds!r}]")
    for kind in kinds:
        if kind not in KINDS:
            raise ValueError(f"probes of kind {kind!r} are not known, expected some of {', '.join(KINDS)}")
    return Probes(seed, draws, rows, tuple(kinds), loss)


@dataclass(frozen=True)
class _Draw:
    """What a kind of probe is made from; weights and data have generators of their own."""

    formulation: Formulation
    rng: np.random.Generator
    data_rng: np.random.Generator
    draws: int
    rows: int
    loss: Loss

    @property
    def network(self) -> Network:
        network = self.formulation.network
        assert isinstance(network, Network)
        return network

    def own(self, theta_like: Array, spread: Callable[[tuple[int, ...]], Array]) -> Array:
        """Own parameters (D, P) whose leads carry theta_like (D, T); what is redundant is spread at random."""
        leads = self.formulation.leads
        own = spread((self.draws, self.formulation.own.size))
        has_lead = leads >= 0
        own[:, leads[has_lead]] = theta_like[:, has_lead]
        own[:, self.formulation.held] = 0.0
        return own

    def random_own(self, largest: float) -> Array:
        """Own parameters (D, P) from a fine lattice."""
        return self.own(
            lattice(self.rng, (self.draws, self.network.layout.size), -largest, largest, FINE),
            lambda shape: lattice(self.rng, shape, -1, 1, FINE),
        )

    def problem(self, kind: str, own: Array, inputs: Array, targets: Array, exact: bool = False) -> Problem:
        return Problem(kind, self.formulation, own, inputs, targets, self.loss, exact)

    def data(self, low: float, high: float, quantum: float, rows: int | None = None) -> tuple[Array, Array]:
        """Inputs and targets on a lattice, no two columns alike."""
        rows = rows or self.rows
        shape = (self.draws, rows)
        inputs = lattice(self.data_rng, (*shape, sum(self.network.inputs)), low, high, quantum)
        targets = lattice(self.data_rng, (*shape, sum(self.network.outputs)), low, high, quantum)
        return inputs, targets


def lattice(rng: np.random.Generator, shape: tuple[int, ...], low: float, high: float, quantum: float) -> Array:
    """Multiples of `quantum` from low to high, none of them 0: a zero weight hides a fault."""
    steps = rng.integers(round(low / quantum), round(high / quantum), shape, endpoint=True)
    steps = np.where(steps == 0, rng.choice([-1, 1], shape), steps)
    return np.asarray(steps * quantum, dtype=np.float64)


def _random(draw: _Draw) -> Problem:
    return draw.problem("random", draw.random_own(1.5), *draw.data(-2, 2, 2.0**-10))


def _saturated(draw: _Draw) -> Problem:
    """Weights up to 16: sums far beyond where nnet's logistic is clipped."""
    own = draw.random_own(2) * 2.0 ** draw.rng.integers(1, 4, (draw.draws, 1))
    return draw.problem("saturated", own, *draw.data(-2, 2, 2.0**-10))


def _unusual(draw: _Draw) -> Problem:
    """Four draws of 67 rows with inputs of 0, of 2^-14 and up to 2^10: where code for common sizes is left."""
    few = replace(draw, draws=min(draw.draws, 4), rows=67)
    inputs, targets = few.data(-2, 2, 2.0**-10)
    scales = few.data_rng.choice([0.0, 2.0**-14, 1.0, 2.0**9], inputs.shape, p=[0.2, 0.2, 0.4, 0.2])
    return few.problem(
        "unusual", few.random_own(1.5) * 2.0 ** few.rng.integers(-3, 7, (few.draws, 1)), inputs * scales, targets
    )


def _few_term(draw: _Draw) -> Problem:
    """One row, and only the weights of one or two hidden units, inputs and outputs other than zero."""
    network, rng = draw.network, draw.rng
    theta = lattice(rng, (draw.draws, network.layout.size), -1.5, 1.5, FINE)
    keep = np.stack([_few(rng, network) for _ in range(draw.draws)])
    reached = (keep.astype(float) @ draw.formulation.absolute.matrix.toarray()) > 0
    own = draw.own(theta, lambda shape: lattice(rng, shape, -1, 1, FINE)) * reached
    return draw.problem("few-term", own, *draw.data(-2, 2, 2.0**-10, rows=1))


def _few(rng: np.random.Generator, network: Network) -> NDArray[np.bool_]:
    """Which entries of theta (T,) belong to two hidden units, two inputs and two outputs."""
    total_in, total_out = sum(network.inputs), sum(network.outputs)
    units, sources, sinks = (
        np.isin(np.arange(width), rng.permutation(width)[: rng.integers(1, 3)])
        for width in (network.hidden, total_in, total_out)
    )
    A = np.outer(units, np.concatenate([[True], sources]))
    B = np.outer(sinks, np.concatenate([[True], units]))
    return network.connected(np.concatenate([A.ravel(), B.ravel()]).astype(float)) > 0


def _exact(draw: _Draw) -> Problem | None:
    """Draws that grid arithmetic certifies, kept until there are enough; None where none can be had.

    All quantities are asked for at first, later exact outputs are enough: the oracle proves each quantity by itself.
    """
    kept: list[Problem] = []
    count = 0
    for attempt in range(ATTEMPTS):
        candidate = _exact_candidate(draw, attempt)
        proofs = certificates(candidate, SHARPEST)
        wanted = QUANTITIES if attempt < ATTEMPTS // 2 else QUANTITIES[:1]
        good = np.logical_and.reduce([proofs[name] for name in wanted])
        if good.any():
            kept.append(candidate.part(good))
            count += int(good.sum())
        if count >= draw.draws:
            break
    if not kept:
        return None
    own, inputs, targets = (
        np.concatenate([getattr(problem, name) for problem in kept])[: draw.draws]
        for name in ("own", "inputs", "targets")
    )
    return draw.problem("exact", own, inputs, targets, exact=True)


def _exact_candidate(draw: _Draw, attempt: int) -> Problem:
    """Quarters and small integers; where an activation is exact at 0 only, biases that bring its z to 0."""
    network, rng, formulation = draw.network, draw.rng, draw.formulation
    smooth = [act in ("tanh", "logistic") for act in network.activations]
    size = 2.0 ** -(attempt % 3)  # large nets leave 24 bits unless their weights are small
    inputs, targets = draw.data(-max(3 * size, 1), max(3 * size, 1), 1.0)
    if any(smooth):  # one bias cancels one value of z: all rows alike
        inputs = np.repeat(inputs[:, :1], draw.rows, axis=1)
        if attempt // 3 % 2:  # where biases are not free, inputs of 0 are left
            inputs = inputs * (rng.random((draw.draws, 1, inputs.shape[-1])) < 0.5)
        if attempt // 3 % 4 == 3:
            inputs = inputs * 0
    theta = lattice(rng, (draw.draws, network.layout.size), -2 * size, 2 * size, 0.25)
    own = draw.own(theta, lambda shape: lattice(rng, shape, -size, size, 0.25))
    if smooth[0]:
        own = _cancelled(formulation, own, network, inputs, "hidden")
    if smooth[1]:
        own = _cancelled(formulation, own, network, inputs, "output")
    return draw.problem("exact", own, inputs, targets, exact=True)


def _cancelled(formulation: Formulation, own: Array, network: Network, inputs: Array, layer: str) -> Array:
    """Own parameters whose biases of a layer bring its z to 0 in the first row, as far as biases are free."""
    theta = formulation.theta(own)
    A, B = network.hidden_weights(theta), network.output_weights(theta)
    x1 = np.concatenate([np.ones((len(own), 1)), inputs[:, 0]], axis=1)
    z = np.einsum("dhi,di->dh", A, x1)
    biases = [block.places for block in network.layout.blocks if block.places.ndim == 1]
    places = biases[0]
    if layer == "output":
        at_zero = {"relu": np.maximum(z, 0), "identity": z, "tanh": 0 * z, "logistic": 0 * z + 0.5}[network.activation]
        z = np.einsum("doh,dh->do", B, np.concatenate([np.ones((len(own), 1)), at_zero], axis=1))
        places = np.concatenate(biases[1:])
    own = own.copy()
    leads = formulation.leads[places]
    free = leads >= 0
    own[:, leads[free]] -= z[:, free]
    return own


@dataclass(frozen=True, eq=False)
class OnData:
    """Random parameters on data of one's own: inputs (R, I) and targets (R, O), rounded to float32."""

    inputs: Array
    targets: Array
    seed: int = 0
    draws: int = 4
    loss: Loss = SUM_OF_SQUARES

    def __call__(self, formulation: Formulation) -> list[Problem]:
        weights, unused = (np.random.default_rng([self.seed, stream]) for stream in range(2))
        for name, part in (("inputs", self.inputs), ("targets", self.targets)):
            found = f"{name} of shape {np.shape(part)} were given"
            if np.ndim(part) != 2:
                raise ValueError(f"{found}, expected (rows, width): for one column write {name}[:, None]")
            network = formulation.network
            expected = (len(self.inputs), sum(network.inputs if name == "inputs" else network.outputs))
            if np.shape(part) != expected:
                raise ValueError(
                    f"{found}, expected {expected}: rows of the inputs, width of the network's {name[:-1]}s"
                )
            if not np.isfinite(part).all():
                row, column = (int(i) for i in np.argwhere(~np.isfinite(part))[0])
                value = np.asarray(part)[row, column]
                raise ValueError(f"{name} hold {value} in row {row}, column {column}: mend the data, or drop that row")
        draw = _Draw(formulation, weights, unused, self.draws, len(self.inputs), self.loss)
        inputs, targets = (
            np.broadcast_to(np.asarray(part, np.float32).astype(float), (self.draws, *np.shape(part)))
            for part in (self.inputs, self.targets)
        )
        return [draw.problem(f"{len(self.inputs)} points", draw.random_own(1.5), inputs, targets)]


@dataclass(frozen=True)
class Crossed:
    """Four rows: two values of the first group of inputs crossed with two of the rest, (a, c), (b, c), (a, d), (b, d).

    Weights are small and, for ReLU outputs, the output biases large, so that every output is live.
    """

    seed: int = 0
    draws: int = 30

    def __call__(self, formulation: Formulation) -> list[Problem]:
        weights, data = (np.random.default_rng([self.seed, stream]) for stream in range(2))
        draw = _Draw(formulation, weights, data, self.draws, 2, Loss())
        network = draw.network
        pairs, _ = draw.data(-1, 1, 2.0**-10)
        first = network.inputs[0]
        inputs = np.concatenate([pairs, pairs], axis=1)
        inputs[:, 2:, first:] = pairs[:, ::-1, first:]
        inputs = inputs[:, [0, 3, 2, 1]]
        own = draw.random_own(0.5)
        if network.output == "relu":
            biases = [block.places for block in network.layout.blocks if block.name.startswith("b_")]
            own[:, formulation.leads[np.concatenate(biases)]] = 64.0
        return [draw.problem("crossed", own, inputs, np.ones((self.draws, 4, sum(network.outputs))))]
