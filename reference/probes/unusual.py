"""Probes with unusual numbers of rows, with numbers of unusual size, and with numbers of 53 bits.

An implementation may run other code for them than for common ones. In shapes, D counts draws, R
rows of data, I inputs, O outputs, and P own parameters.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from harness.arithmetic.plain import Plain
from harness.core.contract import Array, Contract, Mask
from harness.core.problem import Problem
from reference.mathematics.equations import evaluate
from reference.mathematics.network import Network
from reference.probes.draws import FINE, Draw
from reference.probes.sizes import Wanted, scale_layers

ROWS = (2, 3, 64, 65, 67, 129, 257)  # numbers of rows, beside those of units of the network
MANY_ROWS = (300, 2000)  # the range from which one more number of rows is drawn
FEW_ROWS = 67  # up to which numbers of rows are asked at unusual sizes too
SAMPLE_ROWS = 8  # rows of data at which parameters are scaled
ZERO = -np.inf  # an exponent: 2^ZERO is 0


class Sizes(NamedTuple):
    """The sizes of the numbers of each draw, as exponents of two (D,).

    `arguments` are those of smooth activations, `hidden` those of ReLU, `values` those of outputs
    without an activation. `biases` are relative to the other summands of their sums.
    """

    inputs: Array
    arguments: Array
    hidden: Array
    values: Array
    biases: Array
    targets: Array


# The parameters of the first draw are all 0. In the second draw they are all small; in the last
# one, exp(z) is beyond the range of every dtype.
EXTREMES = Sizes(
    inputs=np.array([0.0, 3.0, 19.0, -19.0, 9.0]),
    arguments=np.array([0.0, -7.0, 1.0, 1.0, 17.0]),
    hidden=np.array([0.0, -8.0, 0.0, 0.0, 10.0]),
    values=np.array([0.0, -17.0, 20.0, 20.0, 2.0]),
    biases=np.array([0.0, 0.0, 6.0, 0.0, 6.0]),
    targets=np.array([19.0, -9.0, 19.0, -19.0, 2.0]),
)
BETWEEN = 8  # draws with sizes between the extremes
GAIN = 20.0  # the numbers of a layer are at most 2^GAIN times those of the layer before
MOST = 2.0**62  # of an answer: in float32 its square and sums of it are finite
MOST_BLOCKS = 8  # that are 0 in a draw of their own


def draw_unusual(draw: Draw) -> list[Problem]:
    """Draw a stack of problems for each unusual number of rows.

    The first problem of each stack has numbers of common sizes. The stacks with few rows get
    further problems: with unusual sizes, from 2^-20 to 2^20, and with one block of parameters equal
    to 0. In some of them all biases are 0, in one all parameters are, and in one all rows are
    equal.
    """
    counts = _choose_rows(draw)
    few = [count for count in counts if count <= FEW_ROWS]
    sizes = _choose_sizes(draw.rng)
    scaled, sizes = _draw_scaled(draw, sizes)
    further = np.concatenate([scaled, _draw_without_blocks(draw)])
    common = np.zeros(len(further) - len(scaled))
    input_sizes = np.concatenate([sizes.inputs, common])
    target_sizes = np.concatenate([sizes.targets, common])
    problems = []
    for number, rows in enumerate(counts):
        chosen = np.arange(number, len(further), len(few)) if rows in few else np.arange(0)
        draw.draws, draw.rows = 1 + len(chosen), rows
        inputs, targets = draw.data()
        own = np.concatenate([draw.random_own(1.5)[:1], further[chosen]])
        inputs[1:] *= _mix(draw.data_rng, input_sizes[chosen], inputs[1:].shape)
        targets[1:] *= _mix(draw.data_rng, target_sizes[chosen], targets[1:].shape)
        alike = 1 + np.flatnonzero(chosen == len(further) - 1)
        inputs[alike] = inputs[alike, :1]
        problem = draw.problem(own, inputs, targets)
        problems.append(replace(problem, kind=f"{rows}-row"))
    return problems


def draw_53_bits(draw: Draw) -> list[Problem]:
    """Draw two problems with numbers that float32 cannot hold, for float64 only."""
    draw.draws = min(draw.draws, 2)
    own = draw.random_own(1.5)
    inputs, targets = draw.data()
    longer = []
    for numbers in (own, inputs, targets):
        longer.append(numbers * (1 + draw.data_rng.uniform(0, FINE, numbers.shape)))
    return [replace(draw.problem(*longer), float64_only=True)]


def _choose_rows(draw: Draw) -> list[int]:
    """Return the unusual numbers of rows, in ascending order, without the common number that other
    random problems have.
    """
    network = draw.network
    counts = {*ROWS, sum(network.inputs)}
    if isinstance(network, Network) and network.hidden:
        counts.add(network.hidden)
    low, high = np.log(MANY_ROWS)
    counts.add(int(np.exp(draw.data_rng.uniform(low, high))))
    return sorted(counts - {1, draw.rows})


def _choose_sizes(rng: np.random.Generator) -> Sizes:
    """Return extreme sizes, followed by sizes between them, in a random order of their own for each
    kind of numbers.
    """

    def between(low: float, high: float) -> Array:
        steps = np.linspace(low, high, BETWEEN, endpoint=False)
        drawn = steps + rng.uniform(0, steps[1] - steps[0], BETWEEN)
        return np.round(rng.permutation(drawn))

    drawn = Sizes(
        inputs=between(-18, 18),
        arguments=between(-21, 6),
        hidden=between(-20, 20),
        values=between(-20, 20),
        biases=rng.permutation(np.array([ZERO, ZERO, ZERO, -10.0, 0.0, 0.0, 0.0, 0.0])),
        targets=between(-20, 20),
    )
    return Sizes(*(np.concatenate(parts) for parts in zip(EXTREMES, drawn, strict=True)))


def _draw_scaled(draw: Draw, sizes: Sizes) -> tuple[Array, Sizes]:
    """Draw own parameters (D, P) for which the numbers of the layers have these sizes; return the
    parameters and the sizes.

    If some answer becomes too large, because several layers share weights, parameters and inputs
    get common sizes instead. D counts draws (single problems) and P own parameters (a model's
    tensors, flattened).
    """
    draw.draws, draw.rows = len(sizes.inputs), SAMPLE_ROWS
    inputs, targets = draw.data()
    common = draw.random_own(1.5)
    inputs = inputs * 2.0 ** sizes.inputs[:, None, None]
    own = scale_layers(draw.formulation, common, inputs, _choose_size(sizes), 2.0**sizes.biases)
    too_large = _find_too_large(draw.problem(own, inputs, targets))
    own[too_large] = common[too_large]
    own[0] = 0.0
    return own, sizes._replace(inputs=np.where(too_large, 0.0, sizes.inputs))


def _find_too_large(problem: Problem) -> Mask:
    """Return a mask (D,) of the draws in which an answer is larger than MOST."""
    largest = np.zeros(problem.draws)
    with np.errstate(all="ignore"):
        answers = evaluate(Plain(Contract()), problem)
    for name, answer in answers.items():
        if name == "loss" and not problem.loss.is_squares:
            continue  # of a probability that rounds to 0 it is infinite
        largest = np.maximum(largest, abs(answer).reshape(problem.draws, -1).max(axis=1))
    return np.asarray(~(largest <= MOST))  # true for NaN


def _draw_without_blocks(draw: Draw) -> Array:
    """Draw own parameters (D, P) of common sizes. In each draw a different block is set to 0, in
    the last draw none.

    D counts draws (single problems) and P own parameters (a model's tensors, flattened).
    """
    blocks = draw.formulation.own.blocks[:MOST_BLOCKS]
    draw.draws, draw.rows = 1 + len(blocks), SAMPLE_ROWS
    own = draw.random_own(1.5)
    for number, block in enumerate(blocks):
        own[number, block.places] = 0.0
    as_they_are = np.full(len(own), np.nan)
    return scale_layers(
        draw.formulation, own, draw.data()[0], lambda *layer: as_they_are, as_they_are
    )


def _choose_size(sizes: Sizes) -> Wanted:
    """Return the function that chooses the size of each layer's numbers, as `scale_layers` takes
    it.
    """

    def find_size(activation: str, before: Array) -> Array:
        exponents = {"relu": sizes.hidden, "identity": sizes.values}.get(activation)
        if exponents is None:
            return np.asarray(2.0**sizes.arguments)
        return np.asarray(np.minimum(2.0**exponents, before * 2.0**GAIN))

    return find_size


def _mix(rng: np.random.Generator, exponents: Array, shape: tuple[int, ...]) -> Array:
    """Return random factors in this shape, (D, R, I) or (D, R, O): most are 2^exponent, with an
    exponent for each draw (D,); some are smaller, and some are 0.

    D counts draws (single problems), R rows of data, I inputs and O outputs.
    """
    some = rng.choice([0.0, 2.0**-7, 1.0], shape, p=[0.1, 0.2, 0.7])
    return np.asarray(some * 2.0 ** exponents[:, None, None])
