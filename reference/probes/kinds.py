"""The kinds of probes for any network: exact, few-term, random, saturated, unusual and 53-bit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from harness.core.contract import Mask
from harness.core.formulation import Family, Formulation
from harness.core.loss import SUM_OF_SQUARES, Loss
from harness.core.numpy_errors import ours
from harness.core.problem import Problem
from reference.mathematics.equations import equations_of
from reference.mathematics.network import Network
from reference.probes.draws import FINE, Draw
from reference.probes.exact import draw_exact
from reference.probes.unusual import draw_53_bits, draw_unusual

Kind = Literal["exact", "few-term", "random", "saturated", "unusual", "53-bit"]


def _draw_exact(draw: Draw) -> list[Problem]:
    """Draw problems whose answers are proved to be exact; an empty list if there are none.

    There are a third more draws than of other kinds: a change in the last digit of one weight may
    be rounded away in many of them.
    """
    draw.draws += draw.draws // 3
    problem = draw_exact(draw)
    return [] if problem is None else [problem]


def _draw_random(draw: Draw) -> list[Problem]:
    """Draw problems with weights of absolute value up to 1.5."""
    return [draw.problem(draw.random_own(1.5), *draw.data())]


def _draw_saturated(draw: Draw) -> list[Problem]:
    """Draw problems with weights of absolute value up to 16, so that sums are far beyond the clip
    of nnet's logistic.
    """
    own = draw.random_own(2) * 2.0 ** draw.rng.integers(1, 4, (draw.draws, 1))
    return [draw.problem(own, *draw.data())]


def _draw_few_term(draw: Draw) -> list[Problem]:
    """Draw problems of one row in which only the weights of one or two inputs, hidden units and
    outputs are not 0.
    """
    draw.rows = 1
    theta = draw.theta(1.5)
    keep = _choose_few(draw.rng, draw.network, draw.draws)
    reached = draw.formulation.absolute.transpose(keep.astype(float)) > 0
    return [draw.problem(draw.own(theta, 1, FINE) * reached, *draw.data())]


def _choose_few(rng: np.random.Generator, network: Family, draws: int) -> Mask:
    """Return a mask (D, T) over theta, the network's parameters, of the weights of one or two units
    of each layer, chosen anew for each of D draws.
    """
    if isinstance(network, Network):
        return _choose_few_units(rng, network, draws)
    return np.stack([_choose_few_columns(rng, network) for _ in range(draws)])


def _choose_few_columns(rng: np.random.Generator, network: Family) -> Mask:
    # the same numbers everywhere: each layer reads the units that the one before it keeps
    chosen = rng.integers(1 << 16, size=rng.integers(1, 3))
    entries = []
    for part in equations_of(network).parts:
        height, width = part.places.shape
        rows = np.isin(np.arange(height), chosen % height)
        columns = np.isin(np.arange(width), chosen % width)
        entries.append(np.outer(rows, columns).ravel())
    return np.concatenate(entries)


def _choose_few_units(rng: np.random.Generator, network: Network, draws: int) -> Mask:
    widths = network.hidden, sum(network.inputs), sum(network.outputs)
    units, sources, sinks = (np.zeros((draws, width), dtype=bool) for width in widths)
    for draw in range(draws):
        for chosen in (units, sources, sinks):
            order = rng.permutation(chosen.shape[1])
            chosen[draw, order[: rng.integers(1, 3)]] = True
    bias = np.ones((draws, 1), dtype=bool)
    A = units[:, :, None] & np.concatenate([bias, sources], axis=1)[:, None]
    read_by_outputs = [bias, units, sources] if network.has_skip else [bias, units]
    B = sinks[:, :, None] & np.concatenate(read_by_outputs, axis=1)[:, None]
    entries = np.concatenate([A.reshape(draws, -1), B.reshape(draws, -1)], axis=1)
    return network.connected(entries.astype(float)) > 0


KINDS: dict[Kind, Callable[[Draw], list[Problem]]] = {
    "exact": _draw_exact,
    "few-term": _draw_few_term,
    "random": _draw_random,
    "saturated": _draw_saturated,
    "unusual": draw_unusual,
    "53-bit": draw_53_bits,
}


@dataclass(frozen=True)
class Probes:
    """Probes for any network: `draws` problems of each kind, with `rows` rows of data, all from
    `seed`.

    Calling it with a formulation (a map from a model's parameters to a network's) returns the
    problems. Exact probes have as many rows as the power of two nearest to `rows`. `kinds` chooses
    among exact, few-term, random, saturated, unusual and 53-bit. Raises ValueError for an unknown
    kind, and for no draws or rows.
    """

    seed: int = 0
    draws: int = 12
    rows: int = 5
    kinds: Sequence[Kind] = tuple(KINDS)
    loss: Loss = SUM_OF_SQUARES

    def __post_init__(self) -> None:
        if self.draws < 1 or self.rows < 1:
            found = f"probes of {self.draws} draws and {self.rows} rows were asked for"
            raise ValueError(f"{found}, expected at least one of each")
        weights = self.loss.row_weights
        if weights is not None:
            raise ValueError(
                f"probes with weights for {len(weights)} rows were asked for, but they have several"
                " numbers of rows: expected weights with data: OnData(x, y,"
                " loss=Loss(weights=...))"
            )
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
        """Return stacks of problems: one for each kind, but for the kind "unusual" one for each
        number of rows.

        A stack is several problems along a first axis. Formulations that only rename the network's
        parameters get the same parameters.
        """
        problems: list[Problem] = []
        for number, kind in enumerate(self.kinds):
            seed = self.seed, number
            draw = Draw(kind, formulation, seed, self.draws, self.rows, self.loss)
            problems += KINDS[kind](draw)
        return problems


probes = Probes  # as a case calls them
