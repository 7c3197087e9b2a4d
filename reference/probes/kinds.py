"""The data a network is asked on: exact, few-term, saturated, random and unusual draws, which
float32 holds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import log2
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.arithmetic.plain import Plain, Values
from harness.core.contract import Array, Contract
from harness.core.formulation import Formulation
from harness.core.numpy_errors import ours
from harness.core.problem import QUANTITIES, SUM_OF_SQUARES, Loss, Problem
from harness.pytorch.checkpoint import Checkpoint, weights
from reference.mathematics.equations import equations_of, outputs
from reference.mathematics.network import Network
from reference.mathematics.oracle import certificates
from reference.mathematics.tape import Node, Places, Tape

SHARPEST = Contract("float32")  # what is exact in 24 bits is exact in 53
FINE = 2.0**-12  # lattice of the weights that need not be exact
ATTEMPTS = 60
OWN_WEIGHTS = (
    "With own weights this checks the formula at these weights, not that they are the ones R fitted"
)
SMOOTH = ("tanh", "logistic")  # exact at 0 only


def lattice(rng: np.random.Generator, shape: tuple[int, ...], high: float, quantum: float) -> Array:
    """Multiples of `quantum` up to `high` in size, none of them 0: a zero weight hides a fault."""
    most = round(high / quantum)
    steps = rng.integers(-most, most, shape, endpoint=True)
    steps = np.where(steps == 0, rng.choice([-1, 1], shape), steps)
    return np.asarray(steps * quantum, dtype=np.float64)


class _Draw:
    """What a kind of probe is made from; weights and data have generators of their own."""

    def __init__(
        self,
        kind: str,
        formulation: Formulation,
        seed: Sequence[int],
        draws: int,
        rows: int,
        loss: Loss,
    ) -> None:
        self.kind, self.formulation, self.draws, self.rows, self.loss = (
            kind,
            formulation,
            draws,
            rows,
            loss,
        )
        self.rng, self.data_rng = (np.random.default_rng([*seed, stream]) for stream in range(2))
        self.network: Any = formulation.network

    def own(self, theta_like: Array, high: float, quantum: float) -> Array:
        """Own parameters (D, P) whose leads carry theta_like (D, T); what is redundant is spread at
        random.
        """
        leads = self.formulation.leads
        own = lattice(self.rng, (self.draws, self.formulation.own.size), high, quantum)
        has_lead = leads >= 0
        own[:, leads[has_lead]] = theta_like[:, has_lead]
        own[:, self.formulation.held] = 0.0
        return own

    def theta(self, high: float, quantum: float = FINE) -> Array:
        """Parameters of the network (D, T)."""
        return lattice(self.rng, (self.draws, self.network.layout.size), high, quantum)

    def random_own(self, high: float) -> Array:
        """Own parameters (D, P) from a fine lattice."""
        return self.own(self.theta(high), 1, FINE)

    def data(self, high: float = 2, quantum: float = 2.0**-10) -> tuple[Array, Array]:
        """Inputs and targets on a lattice, no two columns alike."""
        widths = sum(self.network.inputs), sum(self.network.outputs)
        inputs, targets = (
            lattice(self.data_rng, (self.draws, self.rows, width), high, quantum)
            for width in widths
        )
        return inputs, targets

    def problem(self, own: Array, inputs: Array, targets: Array) -> Problem:
        return Problem(
            self.kind, self.formulation, own, inputs, targets, self.loss, exact=self.kind == "exact"
        )


def _random(draw: _Draw) -> Problem:
    return draw.problem(draw.random_own(1.5), *draw.data())


def _saturated(draw: _Draw) -> Problem:
    """Weights up to 16: sums far beyond where nnet's logistic is clipped."""
    return draw.problem(
        draw.random_own(2) * 2.0 ** draw.rng.integers(1, 4, (draw.draws, 1)), *draw.data()
    )


def _unusual(draw: _Draw) -> Problem:
    """Four draws of 67 rows with inputs of 0, of 2^-14 and up to 2^10: where code for common sizes
    is left.
    """
    draw.draws, draw.rows = min(draw.draws, 4), 67
    inputs, targets = draw.data()
    scales = draw.data_rng.choice(
        [0.0, 2.0**-14, 1.0, 2.0**9], inputs.shape, p=[0.2, 0.2, 0.4, 0.2]
    )
    own = draw.random_own(1.5) * 2.0 ** draw.rng.integers(-3, 7, (draw.draws, 1))
    return draw.problem(own, inputs * scales, targets)


def _few_term(draw: _Draw) -> Problem:
    """One row, and only the weights of one or two hidden units, inputs and outputs other than
    zero.
    """
    draw.rows = 1
    theta = draw.theta(1.5)
    keep = np.stack([_few(draw.rng, draw.network) for _ in range(draw.draws)])
    reached = draw.formulation.absolute.transpose(keep.astype(float)) > 0
    return draw.problem(draw.own(theta, 1, FINE) * reached, *draw.data())


def _few(rng: np.random.Generator, network: Any) -> NDArray[np.bool_]:
    """Which entries of theta (T,) belong to one or two units of each layer."""
    # the same numbers everywhere: what one layer keeps, the next one reads
    if not isinstance(network, Network):
        draw = rng.integers(1 << 16, size=rng.integers(1, 3))
        sides = (
            [np.isin(np.arange(n), draw % n) for n in part.places.shape] for part in network.parts
        )
        return np.concatenate([np.outer(*each).ravel() for each in sides])
    total_in, total_out = sum(network.inputs), sum(network.outputs)
    units, sources, sinks = (
        np.isin(np.arange(width), rng.permutation(width)[: rng.integers(1, 3)])
        for width in (network.hidden, total_in, total_out)
    )
    A = np.outer(units, np.concatenate([[True], sources]))
    B = np.outer(sinks, np.concatenate([[True], units]))
    return network.connected(np.concatenate([A.ravel(), B.ravel()]).astype(float)) > 0


def _exact(draw: _Draw) -> Problem | None:
    """Draws that grid arithmetic certifies, kept until there are enough; None where none can be
    had.

    All quantities are asked for at first, later exact outputs are enough: the oracle proves each
    quantity by itself. The rows are a power of two, the nearest, and so is what a mean divides by
    where the width of its head is one.
    """
    draw.rows = 2 ** round(log2(draw.rows))
    kept: list[Problem] = []
    for attempt in range(ATTEMPTS):
        candidate = _exact_candidate(draw, attempt)
        proofs = certificates(candidate, SHARPEST)
        wanted = QUANTITIES if attempt < ATTEMPTS // 2 else QUANTITIES[:1]
        good = np.logical_and.reduce([proofs[name] for name in wanted])
        if good.any():
            kept.append(candidate.part(good))
        if sum(problem.draws for problem in kept) >= draw.draws:
            break
    if not kept:
        return None
    parts = zip(*((problem.own, problem.inputs, problem.targets) for problem in kept), strict=True)
    return draw.problem(*(np.concatenate(part)[: draw.draws] for part in parts))


def _exact_candidate(draw: _Draw, attempt: int) -> Problem:
    """Quarters and small integers; where an activation is exact at 0 only, biases that bring its z
    to 0.
    """
    smooth = any(act in SMOOTH for act in draw.network.activations)
    size = 2.0 ** -(attempt % 3)  # large nets leave 24 bits unless their weights are small
    inputs, targets = draw.data(max(3 * size, 1), 1.0)
    if smooth:  # one bias cancels one value of z: all rows alike
        inputs = np.repeat(inputs[:, :1], draw.rows, axis=1)
        if attempt // 3 % 2:  # where biases are not free, inputs of 0 are left
            inputs = inputs * (draw.rng.random((draw.draws, 1, inputs.shape[-1])) < 0.5)
        if attempt // 3 % 4 == 3:
            inputs = inputs * 0
    own = draw.own(draw.theta(2 * size, 0.25), size, 0.25)
    if smooth:
        own = _cancelled(draw.formulation, own, inputs)
    return draw.problem(own, inputs, targets)


class _Cancelling(Tape[Values]):
    """Notes which biases must lose what for a z to be 0 in the first row, and goes on as if it
    were.
    """

    def __init__(self, draws: int, rows: int) -> None:
        super().__init__(Plain(Contract()), draws, rows)
        self.noted: list[tuple[Places, Array]] = []

    def act(self, name: str, z: Node[Values]) -> Node[Values]:
        """Of 0, where the activation is exact there only."""
        if name in SMOOTH:
            if z.bias is not None:
                self.noted.append((z.bias, z.value[:, 0]))
            z = self.leaf(np.zeros_like(z.value), z.shape)
        return super().act(name, z)


def _cancelled(formulation: Formulation, own: Array, inputs: Array) -> Array:
    """Own parameters whose biases bring every smooth layer's z to 0 in the first row, as far as
    biases are free.
    """
    tape = _Cancelling(*inputs.shape[:2])
    outputs(tape, equations_of(formulation.network), formulation.theta(own), inputs)
    own = own.copy()
    for bias, z in tape.noted:
        leads = formulation.leads[bias]
        free = leads >= 0
        own[:, leads[free]] -= z[:, free]
    return own


KINDS: dict[str, Callable[[_Draw], Problem | None]] = {
    "exact": _exact,
    "few-term": _few_term,
    "saturated": _saturated,
    "random": _random,
    "unusual": _unusual,
}


@dataclass(frozen=True)
class Probes:
    """Probes for any network: `draws` questions of each kind, with `rows` rows of inputs, all drawn
    from `seed`.

    Exact ones have as many rows as the nearest power of two.

    `kinds` chooses among exact, few-term, saturated, random and unusual. Called with a formulation
    they become problems. Raises ValueError for an unknown kind, and for no draws or rows.
    """

    seed: int = 0
    draws: int = 30
    rows: int = 5
    kinds: Sequence[str] = tuple(KINDS)
    loss: Loss = SUM_OF_SQUARES

    def __post_init__(self) -> None:
        if self.draws < 1 or self.rows < 1:
            found = f"probes of {self.draws} draws and {self.rows} rows were asked for"
            raise ValueError(f"{found}, expected at least one of each")
        if isinstance(self.kinds, str):
            raise ValueError(
                f"probes of kinds {self.kinds!r} were asked for, expected a list: [{self.kinds!r}]"
            )
        for kind in self.kinds:
            if kind not in KINDS:
                raise ValueError(
                    f"probes of kind {kind!r} are not known, expected some of {', '.join(KINDS)}"
                )

    @ours()
    def __call__(self, formulation: Formulation) -> list[Problem]:
        """One stack of each kind. Formulations that only rename theta get the same theta."""
        made = (
            KINDS[kind](
                _Draw(kind, formulation, (self.seed, number), self.draws, self.rows, self.loss)
            )
            for number, kind in enumerate(self.kinds)
        )
        return [problem for problem in made if problem is not None]


probes = Probes  # as a case calls them


@dataclass(frozen=True, eq=False)
class OnData:
    """Data of one's own, inputs (R, I) and targets (R, O), at random parameters; all rounded to
    float32.

    With `weights`, a checkpoint (see `harness.pytorch.checkpoint.weights`), at these instead: that
    checks the formula at these weights, not that they are the ones that R, or anybody, has fitted.
    Raises ValueError where data or weights do not fit.
    """

    inputs: Array
    targets: Array
    seed: int = 0
    draws: int = 4
    loss: Loss = SUM_OF_SQUARES
    weights: Checkpoint | None = None

    @ours()
    def __call__(self, formulation: Formulation) -> list[Problem]:
        network = formulation.network
        for name, part, widths in (
            ("inputs", self.inputs, network.inputs),
            ("targets", self.targets, network.outputs),
        ):
            found = f"{name} of shape {np.shape(part)} were given"
            if np.ndim(part) != 2:
                raise ValueError(
                    f"{found}, expected (rows, width): for one column write {name}[:, None]"
                )
            expected = len(self.inputs), sum(widths)
            if np.shape(part) != expected:
                raise ValueError(
                    f"{found}, expected {expected}: rows of the inputs, width of the network's"
                    f" {name}"
                )
            if not np.isfinite(part).all():
                row, column = (int(i) for i in np.argwhere(~np.isfinite(part))[0])
                value = np.asarray(part)[row, column]
                raise ValueError(
                    f"{name} hold {value} in row {row}, column {column}: mend the data, or drop"
                    " that row"
                )
        rows, draws = len(self.inputs), self.draws if self.weights is None else 1
        kind = f"{rows} points{'' if self.weights is None else ', own weights'}"
        draw = _Draw(kind, formulation, [self.seed], draws, rows, self.loss)
        data = [
            np.broadcast_to(SHARPEST.rounded(part), (draws, *np.shape(part)))
            for part in (self.inputs, self.targets)
        ]
        if self.weights is None:
            return [draw.problem(draw.random_own(1.5), *data)]
        own = SHARPEST.rounded(weights(self.weights, formulation))[None]
        return [replace(draw.problem(own, *data), caveat=OWN_WEIGHTS)]


@dataclass(frozen=True)
class Crossed:
    """Four rows: two values of the first group of inputs crossed with two of the rest, (a, c), (b,
    c), (a, d), (b, d).

    Weights are small and, for ReLU outputs, the output biases large, so that every output is live.
    """

    seed: int = 0
    draws: int = 30

    @ours()
    def __call__(self, formulation: Formulation) -> list[Problem]:
        draw = _Draw("crossed", formulation, [self.seed], self.draws, 2, Loss())
        network = draw.network
        if not isinstance(network, Network):
            raise ValueError(
                f"Crossed asks a Network with one hidden layer, not {network.sentence()}: write own"
                " probes"
            )
        pairs, _ = draw.data(1)
        first = network.inputs[0]
        inputs = np.concatenate([pairs, pairs], axis=1)
        inputs[:, 2:, first:] = pairs[:, ::-1, first:]
        inputs = inputs[:, [0, 3, 2, 1]]
        own = draw.random_own(0.5)
        if network.output == "relu":
            biases = [
                block.places
                for block in network.layout.blocks
                if block.role == "bias" and block.layer == 2
            ]
            own[:, formulation.leads[np.concatenate(biases)]] = 64.0
        return [draw.problem(own, inputs, np.ones((self.draws, 4, sum(network.outputs))))]
