"""Compares a port's weights with the fitted ones, each at its place in the network.

Two changes leave the function of a network the same. Its hidden units may be numbered differently.
A unit may be turned over: the signs of its incoming and outgoing weights change, and for a logistic
unit, since h(-z) = 1 - h(z), its outgoing weights are added to the biases of the outputs. In
shapes, T counts weights, H hidden units and O outputs; theta is the vector of all weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.core.contract import Array, Contract, Indices
from harness.core.formulation import Family, Formulation
from harness.core.implementation import Missing
from harness.core.layout import Layout
from harness.core.verdict import Status
from harness.model.errors import words_of
from harness.pytorch.parameters import Words
from harness.pytorch.subject import Subject
from harness.pytorch.trying import candidate_mappings
from harness.shipped.asking import Port
from harness.shipped.shifts import WORDS, shift_classes
from harness.shipped.truth import Equivalent, Truth

FIFTEEN_DIGITS = 5e-15  # relative: a number written with 15 significant digits is off by as much
FARTHEST = 1e300  # how far a unit is that holds a weight which is not finite
NAMED = 6  # units in a sentence


@dataclass(frozen=True, eq=False)
class Held:
    """The weights of a port (a PyTorch model with trained weights) as theta (T,), the vector of the
    network's weights.

    `guessed` says that it was found by names and shapes which weight is which, not stated by the
    user. `matches` says that each weight equals R's at the same place in nnet.
    """

    theta: Array
    formulation: Formulation
    dtype: str
    guessed: bool
    matches: bool

    def label(self, position: int) -> str:
        """Return the name of a weight, given its position in theta, as `hidden.weight[0, 1] = W1[0,
        1]`.
        """
        named = self.formulation.network.layout.label(position)
        lead = int(self.formulation.leads[position])
        return named if lead < 0 else f"{self.formulation.own.label(lead)} = {named}"


@dataclass(frozen=True, eq=False)
class Compared:
    """The result of a comparison of weights.

    `share` is the largest difference divided by the allowed one, at the entry `position` of theta;
    `allowed` is the allowed difference there. `form` are the fitted weights in the port's form:
    with its numbers of hidden units, and with the same units turned over.
    """

    same: bool
    words: str
    share: float
    position: int
    allowed: float
    form: Equivalent


@dataclass(frozen=True, eq=False)
class _Units:
    """The positions in theta of the weights of each hidden unit.

    `incoming` (H, n) holds its bias and the weights of its inputs, `outgoing` (O, H) the weights of
    the outputs, `biases` (O,) the biases of the outputs. H counts hidden units and O outputs.
    """

    incoming: Indices
    outgoing: Indices
    biases: Indices


def read_weights(subject: Subject, port: Port, truth: Truth) -> Held | Missing:
    """Return a port's weights as theta (T,), or the reason why it is unclear which weight is which.

    If names and shapes allow several assignments, the one under which the weights equal the fitted
    ones is chosen, if there is one.
    """
    try:
        formulation = subject.formulation(truth.network)
    except (ValueError, TypeError, IndexError) as error:
        if not subject.parameters:
            for words in _list_mappings(subject, truth):
                held = read_weights(replace(subject, parameters=words), port, truth)
                if isinstance(held, Held) and compare_weights(held, truth).same:
                    return replace(held, guessed=True)
        why = words_of(error).partition("; its parameters are")[0]
        return Missing(Status.ABSENT, f"its weights are not compared: {why}")
    own = np.zeros(formulation.own.size)
    own[: len(port.own)] = port.own
    theta = formulation.theta(own[None])[0]
    dtype = _narrower(truth.stored, _dtype_of(port))
    guessed = not subject.parameters
    held = Held(theta, formulation, dtype, guessed, matches=False)
    share = _find_shares(held, theta, Equivalent("", truth.theta, np.zeros(len(theta)))).max()
    return Held(theta, formulation, dtype, guessed, matches=bool(share <= 1))


def _list_mappings(subject: Subject, truth: Truth) -> Sequence[Words]:
    """Return the ways to assign the parameters of a port (a PyTorch model) to the network's blocks
    (parameter tensors); none if a parameter is empty.
    """
    own = subject.own(truth.network)
    if any(block.places.size == 0 for block in own.blocks):
        return []
    return candidate_mappings(own, truth.network, {})


def _dtype_of(port: Port) -> str:
    kinds = {str(parameter.dtype).removeprefix("torch.") for parameter in port.module.parameters()}
    return kinds.pop() if len(kinds) == 1 else "float64"


def _narrower(first: str, second: str) -> str:
    kinds = [kind for kind in (first, second) if kind]
    return max(kinds, key=lambda kind: Contract(kind).roundoff)


def _find_allowed(held: Held, fitted: Equivalent) -> Array:
    """Return the allowed error of each weight (T,): the rounding errors of its storage, of the map
    from the PyTorch model's tensors, and of writing 15 digits.
    """
    sizes = np.maximum(abs(fitted.theta), abs(held.theta) * (held.formulation.summands > 1))
    stored = Contract(held.dtype).roundoff * (1 + held.formulation.forward_roundings) * sizes
    if held.dtype == "float64":
        stored = stored * (held.formulation.forward_roundings > 0)
    return stored + FIFTEEN_DIGITS * abs(fitted.theta) + fitted.error


def _find_shares(held: Held, theta: Array, fitted: Equivalent) -> Array:
    """Return for each weight (T,) the difference between `theta` and the fitted weights, divided by
    the allowed difference.
    """
    difference = abs(theta - fitted.theta)
    allowed = _find_allowed(held, fitted)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.where(difference == 0, 0.0, difference / allowed)
    return np.where(np.isnan(shares), np.inf, shares)


def compare_weights(held: Held, truth: Truth) -> Compared:
    """Compare a port's weights with the fitted ones and all equivalent weights."""
    plain = Equivalent("", truth.theta, np.zeros(len(truth.theta)))
    first: Compared | None = None
    for fitted, form, words in _list_forms(held, truth, plain):
        shares = _find_shares(held, held.theta, fitted)
        position = int(shares.argmax())
        share, allowed = float(shares[position]), float(_find_allowed(held, fitted)[position])
        if share <= 1:
            words_of_form = _describe(held, fitted, words)
            return Compared(True, words_of_form, share, position, allowed, form)
        if first is None:
            count = int((shares > 1).sum())
            words_of_form = f"{count} of {len(shares)} weights are not R's"
            first = Compared(False, words_of_form, share, position, allowed, plain)
    assert first is not None
    return first


def _list_forms(
    held: Held, truth: Truth, plain: Equivalent
) -> Iterator[tuple[Equivalent, Equivalent, Sequence[str]]]:
    """Yield weights equivalent to the fitted ones, as (weights to compare with, the same in the
    port's own form, descriptions of the changes).
    """
    for fitted in (plain, *truth.equivalents):
        for turning in _list_turnings(truth.network, held.theta, fitted):
            turned, form = turning.of(fitted), turning.of(plain)
            words = [fitted.words, turning.words]
            yield turned, form, words
            shifted = shift_classes(truth.network, held.theta, turned)
            if shifted is not None:
                of_port = form if fitted.words else shifted
                yield shifted, of_port, [*words, WORDS]


def _describe(held: Held, fitted: Equivalent, words: Sequence[str]) -> str:
    difference = abs(held.theta - fitted.theta)
    sentence = ", ".join(["each weight is R's", *filter(None, words)])
    most = float(np.max(difference / np.maximum(abs(fitted.theta), 1e-300)))
    if held.dtype != "float64":
        return f"{sentence}, rounded to {held.dtype} (at most {most:.1e} of it)"
    if difference.any() and not fitted.words:
        return f"{sentence}, but for the last digits (at most {most:.1e} of it): 17 digits keep all"
    return sentence


def _list_turnings(network: Family, theta: Array, fitted: Equivalent) -> list[_Turning]:
    """Return ways to reorder and turn over the hidden units of the fitted weights: none at all and,
    if it is another, the way that brings them nearest to theta.

    A unit is turned over if the signs of its incoming and outgoing weights change.
    """
    activation, units = network.activations[0], _units_of(network.layout)
    turnings = [_Turning(None, activation, np.zeros(0, np.intp), np.zeros(0, np.intp))]
    if units is None:
        return turnings
    order, signs = _match_units(units, theta, fitted.theta, activation)
    if (order != np.arange(len(order))).any() or (signs < 0).any():
        turnings.append(_Turning(units, activation, order, signs))
    return turnings


def _units_of(layout: Layout) -> _Units | None:
    incoming, outgoing, biases = [], [], []
    for block in layout.blocks:
        places = block.places
        if block.layer == 1:
            incoming.append(places.reshape(len(places), -1))
        elif block.role == "bias":
            biases.append(places)
        elif block.group is None:
            outgoing.append(places)
    if not incoming or not outgoing:
        return None
    return _Units(np.hstack(incoming), np.vstack(outgoing), np.concatenate(biases))


def _pick(theta: Array, places: Indices) -> Array:
    """Return the weights at these positions of `theta`; 0 for position -1 (no connection)."""
    return np.where(places < 0, 0.0, theta[places])


def _match_units(
    units: _Units, theta: Array, fitted: Array, activation: str
) -> tuple[Indices, Indices]:
    """Return, for each hidden unit of theta, the number of the nearest fitted unit (each used
    once), and its sign: -1 if the signs of its weights are changed.
    """
    from scipy.optimize import linear_sum_assignment

    mine, theirs = _pick(theta, units.incoming), _pick(fitted, units.incoming)
    plain = abs(mine[:, None] - theirs[None]).max(axis=2)
    over = abs(mine[:, None] + theirs[None]).max(axis=2)
    if activation not in ("logistic", "tanh"):
        over = np.full_like(plain, np.inf)
    cost = np.nan_to_num(np.minimum(plain, over), nan=FARTHEST, posinf=FARTHEST)
    _, order = linear_sum_assignment(cost)
    rows = np.arange(len(order))
    signs = np.where(over[rows, order] < plain[rows, order], -1, 1)
    return np.asarray(order, dtype=np.intp), signs.astype(np.intp)


@dataclass(frozen=True, eq=False)
class _Turning:
    """Another order of the hidden units, and a sign for each: -1 if the unit is turned over (the
    signs of its weights change).

    `order` (H,) holds for each unit the number of the fitted unit in its place. Without `units`
    nothing changes.
    """

    units: _Units | None
    activation: str
    order: Indices
    signs: Indices

    @property
    def words(self) -> str:
        """Return a description of the change of the weights; "" if there is none."""
        texts, moved = [], self.order != np.arange(len(self.order))
        if moved.any():
            pairs = [f"its {mine} is R's {theirs}" for mine, theirs in enumerate(self.order)]
            more = ", ..." if len(pairs) > NAMED else ""
            texts.append(f"with the hidden units renumbered ({', '.join(pairs[:NAMED])}{more})")
        if (self.signs < 0).any():
            places = ", ".join(map(str, np.flatnonzero(self.signs < 0)))
            texts.append(f"with hidden unit {places} turned over, which is the same function")
        return " and ".join(texts)

    def of(self, fitted: Equivalent) -> Equivalent:
        """Return the fitted weights with the hidden units in this order and with these signs."""
        units, order = self.units, self.order
        if units is None:
            return fitted
        incoming = self.signs[:, None] * _pick(fitted.theta, units.incoming)[order]
        outgoing = self.signs * _pick(fitted.theta, units.outgoing)[:, order]
        biases = _pick(fitted.theta, units.biases)
        rounding = np.zeros(len(biases))
        if self.activation == "logistic" and (self.signs < 0).any():
            moved = np.where(self.signs < 0, -outgoing, 0.0)
            biases = biases + moved.sum(axis=1)
            size = abs(biases) + abs(moved).sum(axis=1)
            rounding = (len(order) + 2) * 2.0**-53 * size
        theta, errors = np.append(fitted.theta, 0.0), np.append(fitted.error, 0.0)
        before = errors.copy()
        theta[units.incoming] = incoming
        theta[units.outgoing] = outgoing
        theta[units.biases] = biases
        errors[units.incoming] = before[units.incoming][order]
        errors[units.outgoing] = before[units.outgoing][:, order]
        errors[units.biases] = before[units.biases] + rounding
        return Equivalent(fitted.words, theta[:-1], errors[:-1])
