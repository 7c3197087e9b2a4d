"""What the selfcheck asks: random networks with the probes of one case each, and what of the
answers is outside.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count

import numpy as np

from harness import Formulation, Loss, Problem, Status
from harness.core.contract import Array
from harness.core.problem import QUANTITIES
from harness.words.naming import tensors
from reference import Network, probes
from reference.probes.kinds import KINDS
from tests.support import ACTIVATIONS, judged

DECAYED = Loss(decay=0.125)
Stack = Mapping[str, Array]  # the answers to a problem


@dataclass(frozen=True, eq=False)
class Case:
    """A random network and its probes, so many rows each: what one case asks."""

    network: Network
    seed: int
    rows: int
    draws: int = 12  # of each kind, as probes have them
    kinds: tuple[str, ...] = tuple(KINDS)

    def asked(self, formulation: Formulation) -> list[Problem]:
        """Probes of its kinds, and random ones with decay and weights of rows, in the parameters
        of a formulation.
        """
        plain = probes(self.seed, draws=self.draws, rows=self.rows, kinds=self.kinds)
        decayed = probes(
            self.seed, draws=min(self.draws, 5), rows=self.rows, kinds=["random"], loss=DECAYED
        )
        return [*plain(formulation), *map(weighed, decayed(formulation))]

    @cached_property
    def problems(self) -> list[Problem]:
        """In the network's own parameters."""
        return self.asked(Formulation.identity(self.network))


def weighed(problem: Problem) -> Problem:
    """The problem with weights of its rows: 1, 2, 3, 1, 2, ..., or 3 of a single one."""
    weights = 1 + np.arange(problem.rows) % 3 if problem.rows > 1 else [3]
    return replace(problem, loss=replace(problem.loss, weights=weights))


def cases(seed: int) -> Iterator[Case]:
    """Random networks of one or two groups and heads, of every activation, with probes of their
    own.

    Every other one has skip connections, and every eighth of all has no hidden units.
    """
    rng = np.random.default_rng(seed)
    for number in count():
        g, f = ACTIVATIONS[number % len(ACTIVATIONS)]
        skip = (number + number // len(ACTIVATIONS)) % 2 == 1  # each activation with and without
        groups, heads = (
            tuple(int(w) for w in rng.integers(1, 9, rng.integers(1, 3))) for _ in range(2)
        )
        hidden = 0 if number % 8 == 3 else int(rng.integers(1, 13))
        network = Network(groups, hidden, heads, g, f, skip=skip)
        seed, rows = int(rng.integers(2**31)), int(rng.integers(1, 9))
        yield Case(network, seed, rows)


def wide(seed: int) -> Iterator[Problem]:
    """Few draws of networks that are wide enough for a BLAS to share their products among its
    threads.
    """
    rng = np.random.default_rng(seed)
    while True:
        for g, f in ACTIVATIONS:
            inputs, hidden, outputs = (int(w) for w in rng.integers(100, 200, 3))
            made = probes(int(rng.integers(2**31)), draws=1, rows=256, kinds=["random"])
            yield made(Formulation.identity(Network(inputs, hidden, outputs, g, f)))[0]


def outside(
    problems: Sequence[Problem], answers: Sequence[Stack], quantity: str, dtype: str
) -> set[str]:
    """The tensors of a quantity that are outside in any stack; all of one that was not given."""
    found: set[str] = set()
    for problem, answer in zip(problems, answers, strict=True):
        names = tensors(problem, quantity)[0]
        if quantity not in answer:
            found |= set(names)
            continue
        judgement = judged(problem, dict(answer), quantity, dtype)
        if judgement.status is Status.FAIL:
            assert judgement.tensors_outside
            found |= {names[i] for i in judgement.tensors_outside}
    return found


def first_outside(
    problems: Sequence[Problem], answers: Sequence[Stack], dtype: str
) -> tuple[str, set[str]]:
    """The first quantity, in order of computation, that is outside in any stack, and its tensors;
    "" for none.
    """
    found = ((quantity, outside(problems, answers, quantity, dtype)) for quantity in QUANTITIES)
    return next(((quantity, names) for quantity, names in found if names), ("", set()))


def changed(
    problems: Sequence[Problem], right: Sequence[Stack], wrong: Sequence[Stack]
) -> dict[str, set[str]]:
    """The tensors that are other numbers in any stack, by quantity; all of a quantity that is not
    given any more.
    """
    found: dict[str, set[str]] = {quantity: set() for quantity in QUANTITIES}
    for problem, r, w in zip(problems, right, wrong, strict=True):
        for quantity in QUANTITIES:
            names, owners = tensors(problem, quantity)
            if quantity not in w:
                found[quantity] |= set(names)
                continue
            differs = (r[quantity] != w[quantity]).any(axis=0)
            found[quantity] |= {
                names[i] for i in np.unique(np.broadcast_to(owners, differs.shape)[differs])
            }
    return {quantity: names for quantity, names in found.items() if names}
