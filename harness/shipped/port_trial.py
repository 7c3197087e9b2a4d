"""A port (a PyTorch model with trained weights) and the fitted object that it shall reproduce, in
one trial, with cached answers and bounds.

In shapes, R counts rows and O outputs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from harness.core.contract import NNET_CLIP, Array, Bounded, Contract
from harness.core.implementation import Missing
from harness.core.problem import Problem
from harness.judging.cache import Cache
from harness.judging.case import Trial
from harness.judging.store import Key, Same
from harness.shipped.asking import Port, Predicted, build, predict
from harness.shipped.sensitivity import Sensitivity, measure_sensitivity
from harness.shipped.truth import R_CONTRACT, Equivalent, Table, Truth
from harness.shipped.weights import FIFTEEN_DIGITS, Held, compare_weights, read_weights
from harness.waiting.progress import patient

ROUNDINGS = 16  # on a path through a port, beyond those of the network's longest sum
CLIPPED_OFF = 3.06e-7  # 1 / (1 + exp(15)): what nnet's clip takes off a logistic unit, at most


@dataclass(frozen=True)
class BuiltPort(Key[Port | Missing]):
    """Cache key for a port (a PyTorch model), built on a device."""

    subject: str
    device: str


@dataclass(frozen=True)
class PortPredictions(Key[list[Predicted] | Missing]):
    """Cache key for the predictions of a port (a PyTorch model) for the rows of each table."""

    subject: str
    device: str


@dataclass(frozen=True)
class HeldWeights(Key[Held | Missing]):
    """Cache key for a port's weights, in the order of the network's."""

    subject: str
    device: str


@dataclass(frozen=True)
class SensitivityOf(Key[Sensitivity]):
    """Cache key for how strongly rounding affects the predictions of a port (a PyTorch model) on a
    table.
    """

    subject: str
    device: str
    table: Same


@dataclass(frozen=True)
class PredictionBounds(Key[tuple[Bounded, Bounded]]):
    """Cache key for the bounds on the predictions of a port (a PyTorch model) for a table, and on
    those of the fitted object.
    """

    subject: str
    device: str
    table: Same
    contract: Contract


@dataclass(frozen=True)
class Cause(Key[str]):
    """Cache key for the mistake in reading the fitted object that explains a port's wrong
    predictions, in words.
    """

    subject: str
    device: str


@dataclass(frozen=True, eq=False)
class PortTrial:
    """A port (a PyTorch model with trained weights) and the fitted object that it shall reproduce,
    in one trial.
    """

    trial: Trial
    cache: Cache
    truth: Truth

    @property
    def port(self) -> Port | Missing:
        trial = self.trial
        key = BuiltPort(trial.subject.name, trial.device)
        network, device = self.truth.network, trial.device
        return self.cache.get_or_make(key, lambda: build(trial.subject, network, device))

    @property
    def predicted(self) -> list[Predicted] | Missing:
        key = PortPredictions(self.trial.subject.name, self.trial.device)
        return self.cache.get_or_make(key, self._predict)

    def _predict(self) -> list[Predicted] | Missing:
        port, width = self.port, sum(self.truth.network.outputs)
        if isinstance(port, Missing):
            return port
        predicted = []
        for table in self.truth.tables:
            one = predict(port, table, width, self.trial.dtype, self.truth.classes)
            if isinstance(one, Missing):
                return one
            predicted.append(one)
        return predicted

    @property
    def contracts(self) -> list[Contract]:
        """The contracts (properties of the arithmetic) that a correct port may have: with nnet's
        clip of the logistic's argument, or without it; only one if the subject states which.
        """
        promised = self.trial.contract
        if promised.logistic_clip is not None:
            return [promised]
        return [replace(promised, logistic_clip=NNET_CLIP), promised]

    def predictions_of(self, table: Table, contract: Contract) -> tuple[Bounded, Bounded]:
        """Return the predictions (1, R, O) that a port (a PyTorch model) with this contract shall
        compute, and those of the fitted object, both with error bounds.

        If the inputs of the network are unknown, the bounds follow from the port's derivatives, see
        `sensitivity`. A port without nnet's clip may then differ by the largest effect of the clip.
        R counts rows and O outputs.
        """
        key = PredictionBounds(self.trial.subject.name, self.trial.device, Same(table), contract)
        return self.cache.get_or_make(key, lambda: self._bound_predictions(table, contract))

    def _bound_predictions(self, table: Table, contract: Contract) -> tuple[Bounded, Bounded]:
        truth, dtype = self.truth, self.trial.dtype
        if table.inputs is None:
            mine, theirs = self._of_derivatives(table, contract)
        else:
            mine = self.bounds(truth.problem(table, dtype, self.form), contract)["forward"]
            theirs = self.bounds(truth.exact_problem(table), R_CONTRACT)["forward"]
        if table.digits is not None:
            theirs = Bounded(theirs.value, theirs.error + table.digits[None])
            if table.inputs is None:  # the written predictions stand for the exact ones
                mine = Bounded(mine.value, mine.error + table.digits[None])
        return mine, theirs

    def sensitivity(self, table: Table) -> Sensitivity:
        """Return how strongly rounding affects the predictions of the port (a PyTorch model) for a
        table.
        """
        port, width = self.port, table.predictions.shape[1]
        assert isinstance(port, Port)
        key = SensitivityOf(self.trial.subject.name, self.trial.device, Same(table))
        return self.cache.get_or_make(
            key, lambda: measure_sensitivity(port, table, width, self.trial.dtype)
        )

    def _of_derivatives(self, table: Table, contract: Contract) -> tuple[Bounded, Bounded]:
        truth, sensitivity = self.truth, self.sensitivity(table)
        own = [contract.roundoff]
        if truth.stored:
            own.append(Contract(truth.stored).roundoff)
        roundings = truth.network.widest + ROUNDINGS
        value, theirs = (
            table.predictions[None],
            roundings * R_CONTRACT.roundoff * sensitivity.sizes[None],
        )
        if table.is_written:
            theirs = theirs + FIFTEEN_DIGITS * sensitivity.by_inputs[None]
        mine = roundings * max(own) * sensitivity.sizes[None]
        return Bounded(value, mine + self.clip_allowance(table, contract)), Bounded(value, theirs)

    def clip_allowance(self, table: Table, contract: Contract) -> Array:
        """Return the largest effect of nnet's clip of the logistic's argument on each output (O,),
        for a port (a PyTorch model) that does not clip.

        It is needed if it is unknown for which units the argument is beyond the clip.
        """
        outputs = sum(self.truth.network.outputs)
        if table.inputs is not None or contract.logistic_clip is not None:
            return np.zeros(outputs)
        if not self.sensitivity(table).may_clip:
            return np.zeros(outputs)
        most = [np.zeros(0)]
        for block in self.truth.network.layout.blocks:
            if block.layer == 2 and block.role == "weight" and block.group is None:
                most.append(abs(block.of(self.truth.theta)).sum(axis=1))
        if len(most) == 1:
            return np.zeros(outputs)
        allowed: Array = CLIPPED_OFF * np.concatenate(most)
        if self.truth.network.activations[1] == "softmax":  # each probability is of all logits
            allowed = np.full(outputs, allowed.max())
        return allowed

    def bounds(self, problem: Problem, contract: Contract) -> dict[str, Bounded]:
        network = problem.network
        return network.oracle(problem, contract)

    def name(self, table: Table, index: tuple[int, ...]) -> str:
        """Return the name of a prediction, such as `mpg[row 3] (your rows)`."""
        _, row, output = index
        return f"{self.truth.responses[output]}[row {table.places[row]}] ({table.name})"

    @property
    def held(self) -> Held | Missing:
        key = HeldWeights(self.trial.subject.name, self.trial.device)
        return self.cache.get_or_make(key, self._read_weights)

    def _read_weights(self) -> Held | Missing:
        port = self.port
        if isinstance(port, Missing):
            return port
        return read_weights(self.trial.subject, port, self.truth)

    @property
    def form(self) -> Equivalent | None:
        """The form of the fitted weights that the port has, such as another order of the hidden
        units; None if it has other weights.
        """
        held = self.held
        if isinstance(held, Missing):
            return None
        compared = compare_weights(held, self.truth)
        return compared.form if compared.same else None

    def explain(self) -> str:
        """Return the mistake in reading the fitted object that explains the port's predictions or
        weights; "" if none does.
        """
        trial = self.trial
        predicted, held = self.predicted, self.held
        if isinstance(predicted, Missing):
            return ""
        say = patient(lambda how: self.cache.say(f"{trial.case.name}: {how}"))
        theta = None if isinstance(held, Missing) else held.theta
        outputs = [one.outputs for one in predicted]
        key = Cause(trial.subject.name, trial.device)
        return self.cache.get_or_make(
            key, lambda: self.truth.explain(self.truth, outputs, theta, say)
        )
