"""Proposes the network of a model: by its parameters' shapes, and by comparing outputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from harness.looking.seen import Call, Seen
from harness.pytorch.subject import Subject
from harness.pytorch.trying import candidate_mappings
from reference.mathematics.custom_network import Equations
from reference.mathematics.network import Network
from reference.notation.activations import ACTIVATIONS, OUTPUTS, Activation, Output
from reference.proposing.chains import Chain, list_chains
from reference.proposing.computed import Tried

MOST_HEADS = 3  # whose activations are all tried


@dataclass(frozen=True)
class Proposal:
    """The network that a model may be.

    `words` map each block to a parameter; None if names and shapes are enough. `chain` has the
    layers of a network that is written as Equations. `is_computed` says that the model's outputs at
    random numbers are those of the network; else it is a guess from the shapes.
    """

    network: Network | Equations
    words: Mapping[str, Any] | None = None
    chain: Chain | None = None
    is_computed: bool = False

    def sentence(self) -> str:
        """Return the network in a few words."""
        if self.chain is not None:
            return self.chain.sentence()
        assert isinstance(self.network, Network)
        return self.network.sentence()


def look_at_subject(subject: Subject) -> Seen:
    """Build a model and look at it. Raises TypeError, in a sentence, if it cannot be built."""
    from harness.looking.look import look_at  # it loads torch, which no other command needs

    return look_at(subject.build_module(Network(1, 1, 1)))


def propose(subject: Subject, seen: Seen) -> Proposal | None:
    """Return the network that computes a model's outputs or else a network that fits the shapes of
    its parameters.

    Returns None if the shapes fit no network with one hidden layer, and no chain of layers.
    """
    guess = None
    for base in _list_shapes(seen):
        proposal = _try_activations(subject, base, seen.activations)
        if proposal.is_computed:
            return proposal
        guess = guess or proposal
    for chain in list_chains(seen):
        network = chain.network()
        words = replace(subject, parameters=chain.words())
        formulation = words.formulation(network)
        computed = Tried(words, formulation).is_computed_by(network, formulation)
        if computed:
            return Proposal(network, chain.words(), chain, is_computed=True)
        guess = guess or Proposal(network, chain.words(), chain)
    return guess


def _list_shapes(seen: Seen) -> Iterator[Network]:
    """Yield the networks whose numbers of parameters fit those of a model; their activations are
    not yet chosen.
    """
    count = 0
    sizes = {0}
    for shape in seen.shapes.values():
        sizes.update(shape)
        entries = 1
        for length in shape:
            entries *= length
        count += entries
    for call, skip, hidden in product(seen.calls, (False, True), sorted(sizes)):
        if (skip and not hidden) or not _may_have(call, hidden, skip, count):
            continue
        yield Network(call.inputs, hidden, call.outputs, skip=skip)


def _may_have(call: Call, hidden: int, skip: bool, count: int) -> bool:
    """Can a network with `hidden` units have `count` parameters, if biases may be missing? `call`
    has its inputs and outputs.
    """
    inputs, outputs = sum(call.inputs), sum(call.outputs)
    weights = hidden * (inputs + outputs)
    if skip or not hidden:
        weights += inputs * outputs
    return weights <= count <= weights + hidden + outputs


def _try_activations(subject: Subject, base: Network, seen: Sequence[str]) -> Proposal:
    """Return the network with the shapes of `base` that computes a model's outputs; if no
    activations achieve this, a guess.

    `seen` names the activations that the model calls.
    """
    all_words: list[Mapping[str, Any] | None] = [None]
    try:
        subject.formulation(base)
    except ValueError:  # names and shapes do not tell which parameter is which block
        all_words = list(candidate_mappings(subject.own(base), base, {}))
    tried = None
    for words in all_words:
        meant = replace(subject, parameters=words)
        tried = tried or Tried(subject, meant.formulation(base))
        for activation, output in _list_activations(base, seen):
            network = _with_activations(base, activation, output)
            if tried.is_computed_by(network, meant.formulation(network)):
                return Proposal(network, words, is_computed=True)
    network = _with_activations(base, *_guess_activations(base, seen))
    return Proposal(network, next(iter(all_words), None))


def _list_activations(
    base: Network, seen: Sequence[str]
) -> Iterator[tuple[Activation, Output | tuple[Output, ...]]]:
    """Yield pairs (activation of the hidden units, activation of the outputs), the likely ones
    first.
    """
    hidden: list[Activation] = sorted(ACTIVATIONS, key=lambda name: name not in seen[:1])
    if not base.hidden:
        hidden = ["identity"]
    yield from product(hidden, sorted(OUTPUTS, key=lambda name: name != "identity"))
    heads = len(base.outputs)
    if 1 < heads <= MOST_HEADS:
        yield from product(hidden, product(OUTPUTS, repeat=heads))


def _guess_activations(base: Network, seen: Sequence[str]) -> tuple[Activation, Output]:
    """Return the first and the last activation that a model calls, for the hidden units and the
    outputs; defaults if a network cannot have them.
    """
    hidden: Activation = "logistic"
    output: Output = "identity"
    of_outputs = list(seen)
    if base.hidden and of_outputs:
        first = of_outputs.pop(0)
        hidden = next((name for name in ACTIVATIONS if name == first), hidden)
    for called in of_outputs:
        output = next((name for name in OUTPUTS if name == called), output)
    return hidden, output


def _with_activations(
    base: Network, activation: Activation, output: Output | tuple[Output, ...]
) -> Network:
    skip = base.has_skip and base.hidden > 0
    return Network(base.inputs, base.hidden, base.outputs, activation, output, skip=skip)
