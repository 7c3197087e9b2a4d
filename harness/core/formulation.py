"""The meaning of a model's own parameters: an affine map to the parameters of a network.

Own parameters are the model's own tensors, flattened into one vector of P numbers. theta is the
vector of the network's T parameters, in the order of the network's layout. For a network with one
hidden layer this is the order of R's nnet. A contract is the arithmetic that an implementation
promises. In shapes, D counts draws (problems of a stack), R rows of data, and W intermediate
numbers of a row.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from harness.core.contract import Array, Bounds, Contract, Indices, Mask
from harness.core.layout import Layout
from harness.core.linear import LinearMap
from harness.core.slopes import NotAffine, read_picks, read_slopes
from harness.waiting.progress import Say, silent

Meaning = Callable[[dict[str, Array]], Mapping[str, ArrayLike]]


class Family(Hashable, Protocol):
    """A network as the harness knows it: its shapes, its layout, and bounds on its answers.

    The type of a problem is written as `object` here, since a problem contains a formulation, which
    contains a network.
    """

    @property
    def inputs(self) -> tuple[int, ...]: ...
    @property
    def outputs(self) -> tuple[int, ...]: ...
    @property
    def layout(self) -> Layout: ...
    @property
    def widest(self) -> int: ...
    @property
    def activations(self) -> tuple[str, ...]: ...
    def oracle(
        self,
        problem: object,
        contract: Contract,
        seen: Array | None = None,
        known: Bounds | None = None,
    ) -> Bounds:
        """Return every quantity of a problem with its bound, under a contract (the promised
        arithmetic).

        `seen` (problems, rows, W) are an implementation's own intermediate numbers: with them, each
        layer is bounded by itself, starting from these numbers. `known` are bounds under a contract
        that differs only in the logistic's clip: they are reused in parts of the stack of problems
        in which no clip acts.
        """

    def stages(self, problem: object, contract: Contract, seen: Array) -> tuple[int, int, str]:
        """Look for the numbers that the network's equations compute for a row among an
        implementation's own intermediate numbers, `seen` (D, R, W).

        Return how many were found, how many there are, and the first activation that was not found.
        """

    def numbers(self, problem: object, contract: Contract) -> list[Array]:
        """Return every number that the equations compute on the way to a problem's answers, forward
        and backward, in float64.
        """

    def layers(self, problem: object) -> tuple[list[Array], Array]:
        """Return the arguments of each activation, (D, R, width) each, and the outputs of all heads
        (D, R, O), in float64.
        """

    def longest_sum(self, amounts: Array) -> int:
        """Return the largest total of `amounts` over the parameters that are added up in one sum.

        `amounts` (T,) has one number for each parameter, such as the number of terms that it
        contributes.
        """

    def likely(
        self,
        problems: Sequence[object],
        observed: Sequence[Mapping[str, Array]],
        outside: str,
        contract: Contract,
        say: Say,
    ) -> str:
        """Return, in words, the known fault that explains observed answers; "" if there is none.

        `observed` has the answers to each problem, by quantity. `outside` names the first quantity
        outside its bounds. `contract` is the implementation's, and `say` gets progress messages.
        """

    def sentence(self) -> str: ...


@dataclass(frozen=True, eq=False)
class Formulation:
    """The affine map theta = matrix @ own + constant, with matrix (T, P) and constant (T,).

    The transpose of `matrix` maps gradients back to own parameters. `absolute` and `magnitude` form
    a second map, which accounts for cancellation. It maps the absolute values of own parameters to
    the sum of the absolute values of the summands of each entry of theta. `held` (P,) marks own
    parameters that stay 0 in test problems. `buffers` has, by name, the tensors of a newly built
    module that are no parameters.
    """

    own: Layout
    network: Family
    matrix: LinearMap
    constant: Array
    absolute: LinearMap
    magnitude: Array
    held: Mask
    buffers: Mapping[str, Array] = field(default_factory=dict)

    @classmethod
    def identity(cls, network: Family) -> Formulation:
        """Return the formulation of a model whose own parameters are the network's parameters,
        theta.
        """
        return _identity(network)

    @classmethod
    def from_meaning(
        cls,
        own: Layout,
        network: Family,
        meaning: Meaning,
        held: Mask | None = None,
        idle: bool = False,
        say: Say = silent,
        picks: bool = False,
    ) -> Formulation:
        """Read the affine map that the function `meaning` computes.

        `meaning` takes the model's own tensors by name and returns the network's blocks by name.
        `held` (P,) marks own parameters that stay 0. `say` gets progress messages. With `idle`, an
        own tensor may be in no block. `picks` says that every entry of a block is known to be one
        own parameter or a constant: this needs no test, and is read sooner.

        Raises ValueError if a block is missing or has another shape, if the map is not affine or
        too large to be read, or if an own tensor is in no block.
        """

        def image(vector: Array) -> Array:
            return network.layout.join(meaning(own.split(vector)))

        constant = image(np.zeros(own.size))
        if picks:
            matrix = read_picks(own, image, constant)
        else:
            matrix = LinearMap.of(read_slopes(own, image, constant, say))
        for witness in () if picks else _witnesses(own):
            sizes = matrix.absolute(abs(witness)) + abs(constant)
            difference = abs(image(witness) - (matrix(witness) + constant))
            # false for NaN too
            if not (np.isfinite(sizes) & (difference <= (own.size + 2) * 2.0**-52 * sizes)).all():
                raise NotAffine
        used = matrix.transpose.entries > 0
        for block in own.blocks:
            if block.places.size and not used[block.places].any() and not idle:
                raise ValueError(
                    f"parameter {block.name} has no meaning: it reaches no block of the network"
                )
        held = np.zeros(own.size, dtype=bool) if held is None else held
        return cls(own, network, matrix, constant, matrix.absolute, abs(constant), held)

    def then(self, outer: Formulation) -> Formulation:
        """Return this map followed by `outer`, which maps this network's theta to another
        network's.
        """
        return Formulation(
            self.own,
            outer.network,
            LinearMap.of(sparse.csr_array(outer.matrix.matrix @ self.matrix.matrix)),
            outer.matrix.matrix @ self.constant + outer.constant,
            LinearMap.of(sparse.csr_array(outer.absolute.matrix @ self.absolute.matrix)),
            outer.absolute.matrix @ self.magnitude + outer.magnitude,
            self.held,
        )

    def theta(self, own: Array) -> Array:
        """Return the network's parameters theta (D, T) for the model's own parameters (D, P), in
        float64.

        D counts problems.
        """
        return np.asarray(self.matrix(own) + self.constant)

    def pull_back(self, gradient: Array) -> Array:
        """Turn a gradient by the network's parameters (D, T) into a gradient by the model's own (D,
        P).

        D counts problems.
        """
        return self.matrix.transpose(gradient)

    def same_map(self, other: Formulation) -> bool:
        """Do both formulations have the same matrix and the same constant?"""
        same = (self.matrix.matrix != other.matrix.matrix).nnz == 0
        return same and bool(np.array_equal(self.constant, other.constant))

    @cached_property
    def leads(self) -> Indices:
        """For each entry of the network's parameters theta (T,), the index of an own parameter of
        the model.

        It is the first own parameter that changes only this entry, with factor 1, and is not held
        at 0. It is -1 if there is none.
        """
        leads = np.full(self.network.layout.size, -1, dtype=np.intp)
        back = self.matrix.transpose
        single = np.flatnonzero((back.entries == 1) & ~self.held)
        first = back.starts[single]
        by_one = back.data[first] == 1
        single, first = single[by_one], first[by_one]
        # of several the first is written last
        leads[back.columns[first][::-1]] = single[::-1]
        return leads

    def reaches(self, own: int) -> str:
        """Return the name of the only network parameter that depends on the own parameter at
        position `own`; "" if none or several depend on it.
        """
        back = self.matrix.transpose
        rows = back.columns[back.starts[own] : back.starts[own + 1]]
        return self.network.layout.label(int(rows[0])) if len(rows) == 1 else ""

    @cached_property
    def summands(self) -> Indices:
        """The number of summands of each of the network's parameters (T,).

        The constant is a summand unless it is 0.
        """
        constants: Indices = (self.magnitude != 0).astype(np.intp)
        return self.absolute.entries + constants

    @cached_property
    def extra_terms(self) -> int:
        """The number of terms that a sum over the network's parameters gains if each of them is
        replaced by its summands, in the model's own parameters.
        """
        gained = np.maximum(self.summands - 1.0, 0.0)
        return self.network.longest_sum(gained) if gained.any() else 0

    @cached_property
    def forward_roundings(self) -> Array:
        """The number of roundings that each of the network's parameters, theta (T,), may carry.

        Each is relative to the sum of the absolute values of the entry's summands. An entry that is
        one own parameter of the model times a power of two is exact. An entry with several summands
        may never be formed: an implementation may multiply the data by each summand and add the
        products. Then every rounding of the sums that the entry enters acts on the sizes of the
        summands.
        """
        longest = self.network.widest * int(self.summands.max(initial=1))
        plain = (self.summands <= 1) & self.absolute.powers_of_two
        return np.where(plain, 0.0, self.summands + longest)

    def gradient_terms(self, rows: int) -> int:
        """Return the number of terms that a gradient's sum over `rows` rows may gain, since one of
        the model's parameters may enter several of the network's.

        An implementation may then add up the products of all these entries, row by row, before
        anything cancels.
        """
        return (int(self.absolute.transpose.entries.max(initial=1)) - 1) * (rows + 2)

    @property
    def is_renaming(self) -> bool:
        """Are the own parameters the network's parameters, possibly in another order?"""
        N = self.matrix
        square = N.shape[0] == N.shape[1]
        ones = bool(
            (N.data == 1).all() and (N.entries == 1).all() and (N.transpose.entries == 1).all()
        )
        return square and ones and not self.magnitude.any()

    @cached_property
    def backward_roundings(self) -> Array:
        """The number of roundings of each entry of the gradient by the model's own parameters (P,).

        Each is relative to the sum of the absolute values of the entry's summands. They happen when
        this gradient is computed from the gradient by the network's parameters.
        """
        back = self.absolute.transpose
        return np.where((back.entries <= 1) & back.powers_of_two, 0.0, back.entries + 1.0)


def _witnesses(own: Layout) -> Iterator[Array]:
    """Yield own parameters (P,) at which a map that is not affine is found out.

    The numbers have both signs; some are whole and some are not, some small and some large. In some
    vectors many numbers are 0: all outside one block, about half of them, or all but the first or
    the last number of a block.
    """
    rng = np.random.default_rng(0)
    drawn = [rng.standard_normal(own.size) * 2.0 ** rng.uniform(-6, 6, own.size) for _ in range(4)]
    yield np.arange(own.size, dtype=np.float64) % 7 - 3
    yield from (*drawn, -drawn[0])
    yield drawn[1] * (rng.random(own.size) < 0.5)
    for block in own.blocks:
        places = block.places[block.places >= 0].ravel()
        for some in (places, places[:1], places[-1:]):
            witness = np.zeros(own.size)
            witness[some] = drawn[2][some]
            yield witness


@lru_cache(maxsize=256)
def _identity(network: Family) -> Formulation:
    size = network.layout.size
    eye = LinearMap(np.ones(size), np.arange(size), np.arange(size + 1), (size, size))
    zero = np.zeros(size)
    return Formulation(network.layout, network, eye, zero, eye, zero, zero != 0)
