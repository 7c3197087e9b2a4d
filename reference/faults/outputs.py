"""Kinds of faults in the outputs of classifiers and in their losses. Gradients are those of the
wrong computation, as with autograd.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np

from harness.arithmetic.interface import Arithmetic
from harness.core.contract import Array, Contract
from harness.core.formulation import Family
from harness.core.loss import Loss
from harness.core.problem import Problem
from reference.faults.kinds import Answers, Fault, solve
from reference.mathematics.equations import evaluate
from reference.mathematics.errors import Errors, Head
from reference.mathematics.losses import ACTIVATION_OF, find_errors
from reference.mathematics.network import Network
from reference.mathematics.nodes import Node
from reference.mathematics.sums import Sum
from reference.mathematics.tape import Tape

V = TypeVar("V")
ROUNDINGS = 8  # of a slope through probabilities
# from a loss and the widths of its heads to another loss; None for a loss that has no such mistake
ChangeOfLoss = Callable[[Loss, tuple[int, ...]], Loss | None]
ErrorsOf = Callable[[Tape[Any], Head[Any]], Errors[Any]]


class WrongTape(Tape[V]):
    """A tape on which `change` replaces one activation, named `of`, of a network's outputs.

    `before` is the number of activations before those of the outputs.
    """

    def __init__(
        self,
        change: Callable[[WrongTape[V], Node[V]], Node[V]],
        of: str,
        before: int,
        *given: Any,
    ) -> None:
        super().__init__(*given)
        self.change, self.of, self.before = change, of, before
        self.is_changing = False

    def act(self, name: str, z: Node[V]) -> Node[V]:
        if self.before > 0:
            self.before -= 1
            return super().act(name, z)
        if self.is_changing or name != self.of:
            return super().act(name, z)
        self.is_changing = True
        outputs = self.change(self, z)
        self.is_changing = False
        return outputs

    def softmax_over_rows(self, z: Node[V]) -> Node[V]:
        """Return softmax over the rows of each column, instead of over the columns of each row."""
        m = self.m
        p = m.softmax(m.each(_turn, z.sum.formed))

        def back(e: Sum[V]) -> Sum[V]:
            slope = m.softmax_back(p, m.each(_turn, e.value))
            return self._pair(m.stored(m.each(_turn, slope)))

        return self._plain(m.each(_turn, p), z.shape, ((z, back),))

    def log_softmax(self, z: Node[V]) -> Node[V]:
        """Return the logarithm of softmax.

        A loss that depends on the logits only through their softmax has the same gradient with
        either.
        """
        return self._plain(self.m.log_softmax(z.sum.formed), z.shape, ((z, _same),))


def _same(e: Sum[V]) -> Sum[V]:
    return e


def _turn(a: Array) -> Array:
    return np.swapaxes(a, -1, -2)


def find_any_errors(tape: Tape[V], head: Head[V]) -> Errors[V]:
    """Return the errors of a head's outputs, for any activation of the outputs."""
    is_squares = head.error == "squares"
    activation = head.activated[0] if head.activated else ""
    if head.from_logits or is_squares or activation == ACTIVATION_OF[head.error]:
        return find_errors(tape, head)
    return _through_outputs(tape.m, head)


def _through_outputs(m: Arithmetic[V], head: Head[V]) -> Errors[V]:
    """Return the errors of outputs p that are treated as probabilities, and the derivative of the
    errors by p.
    """
    t, p = head.targets, head.outputs.value
    roundings = ROUNDINGS * m.contract.roundoff
    pairs, slope = [], m.lift(np.zeros(t.shape))
    sides = [(p, t, -1.0)]
    if ACTIVATION_OF[head.error] == "logistic":
        sides.append((m.sub(m.lift(np.ones(t.shape)), p), 1 - t, 1.0))
    for q, share, sign in sides:
        log = m.log(m.replaced(q, share == 0, 1.0))
        if m.contract.log_least is not None:
            log = m.at_least(log, m.contract.log_least)
        pairs.append((m.scale(log, -1.0), m.scale(m.lift(share), head.shares)))
        part = m.divide(m.lift(share), m.replaced(q, share == 0, 1.0))
        slope = m.sub(slope, m.scale(part, -sign * head.shares, roundings))
    own = np.zeros(t.shape)  # less the entropy of the targets
    if head.error in ("entropy", "kl"):
        for _, share, _ in sides:
            own -= _entropy(share)
    pairs.append((m.lift(own), m.scale(m.lift(np.ones(t.shape)), head.shares)))
    return Errors(tuple(pairs), head.outputs, slope)


def _entropy(t: Array) -> Array:
    """Return -t log t for targets t; 0 for a target that is not positive."""
    return np.asarray(-t * np.log(np.where(t > 0, t, 1.0)))


def find_errors_of_logits(tape: Tape[V], head: Head[V]) -> Errors[V]:
    """Return the errors of a head whose outputs are treated as logits, though its loss is of
    probabilities.
    """
    return find_errors(tape, replace(head, from_logits=True))


@dataclass(frozen=True)
class Output(Fault):
    """Other outputs instead of those of the activation `of`, or other errors of them.

    `change` takes a tape and the argument z of the activation, and returns the outputs. A head
    whose outputs are logits has the activation "identity". `errors_of` computes the errors.
    """

    of: str = "softmax"
    errors_of: ErrorsOf = find_any_errors

    def suits(self, loss: Loss, network: Family) -> bool:
        """Does the network have outputs with this activation, and a loss of them among `errors`?"""
        if not isinstance(network, Network):
            return False
        heads = len(network.outputs)
        each = zip(network.head_outputs, loss.errors(heads), loss.logits(heads), strict=True)
        found = [(error, logits) for output, error, logits in each if output == self.of]
        is_logits = self.of == "identity"
        fits = [
            error in self.errors and (logits == is_logits or error == "squares")
            for error, logits in found
        ]
        return bool(fits) and all(fits)

    def equations(self, problem: Problem) -> Callable[..., Any]:
        """Return the network's equations with the mistake, as a function like `evaluate`."""
        network = problem.network
        before = int(isinstance(network, Network) and network.hidden > 0)
        tape_of = partial(WrongTape, self.change, self.of, before)
        return partial(evaluate, tape_of=tape_of, errors_of=self.errors_of)

    def run(self, problem: Problem, contract: Contract) -> Answers:
        return solve(problem, contract, equations=self.equations(problem))


@dataclass(frozen=True)
class OtherLoss(Fault):
    """Another loss: `change` takes a loss and the widths of the heads, and returns the other loss,
    or None for a loss that cannot have the mistake.
    """

    change: ChangeOfLoss
    spoils: str = "loss"

    def suits(self, loss: Loss, network: Family) -> bool:
        """Does the mistake change the loss, and is the right one no loss of squares?"""
        outputs: tuple[int, ...] = network.outputs
        return not loss.is_squares and self.change(loss, outputs) not in (None, loss)

    def other(self, problem: Problem) -> Problem:
        """Return a copy of the problem with the other (wrong) loss."""
        loss = self.change(problem.loss, problem.network.outputs)
        return problem if loss is None else replace(problem, loss=loss)

    def equations(self, problem: Problem) -> Callable[..., Any]:
        """Return the network's equations, with errors that can be computed from any outputs."""
        return partial(evaluate, errors_of=find_any_errors)

    def run(self, problem: Problem, contract: Contract) -> Answers:
        other = self.other(problem)
        return solve(other, contract, equations=self.equations(other))
