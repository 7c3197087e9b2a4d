"""Faults in the wiring of a network: it computes its outputs by other operations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from harness.core.contract import Contract
from harness.core.formulation import Family
from harness.core.loss import Loss
from harness.core.problem import Problem
from reference.faults.kinds import Answers, Fault, solve
from reference.faults.outputs import ErrorsOf, find_any_errors
from reference.mathematics.equations import evaluate
from reference.mathematics.network import Network
from reference.mathematics.nodes import Node
from reference.mathematics.tape import Tape

Wiring = Callable[[Network, Tape[Any], Sequence[Node[Any]], Node[Any]], Node[Any]]


def always(network: Network) -> bool:
    """Return True: every network with one hidden layer can have the mistake."""
    return True


@dataclass(frozen=True)
class Rewired(Fault):
    """A network with one hidden layer that computes its outputs by other operations.

    `change` takes the network, a tape, the network's parts and its inputs, and returns its outputs.
    `has_it` says whether a network can have the fault (a mistake). `errors_of` computes the errors
    of the outputs.
    """

    has_it: Callable[[Network], bool] = field(default=always, kw_only=True)
    errors_of: ErrorsOf = field(default=find_any_errors, kw_only=True)

    def fits(self, network: Family) -> bool:
        if not isinstance(network, Network) or network.hidden == 0:
            return False
        return self.has_it(network)

    def suits(self, loss: Loss, network: Family) -> bool:
        """Can a loss of the network's outputs have this fault (a mistake), in any of its heads?"""
        return bool(set(loss.errors(len(network.outputs))) & set(self.errors))

    def equations(self, problem: Problem) -> Callable[..., Any]:
        """Return the equations with the mistake."""
        return partial(evaluate, errors_of=self.errors_of, outputs_of=self._outputs)

    def _outputs(
        self, tape: Tape[Any], network: Any, theta: Any, inputs: Any
    ) -> tuple[list[Node[Any]], Node[Any], Node[Any]]:
        blocks = []
        for part in network.parts:
            value = tape.m.each(part.of, theta)
            blocks.append(tape.leaf(value, part.places.shape, part.places))
        x = tape.leaf(inputs, (None, sum(network.inputs)))
        return blocks, x, self.change(network, tape, blocks, x)

    def run(self, problem: Problem, contract: Contract) -> Answers:
        return solve(problem, contract, equations=self.equations(problem))
