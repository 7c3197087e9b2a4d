"""The common part of all trainers of a PyTorch model."""

from typing import Any

import numpy as np

from harness.core.contract import Contract
from harness.core.formulation import Family, Formulation
from harness.core.implementation import Observation
from harness.core.numpy_errors import users
from harness.core.problem import Problem
from harness.model.compiled import limited
from harness.model.devices import kind_of
from harness.pytorch.subject import Subject
from harness.text.harmless import shown
from harness.training.trainer import Population, Start


class ModelTrainer:
    """The methods of a trainer that follow from its model and its starts.

    `model` is a Subject, `start` the function that returns the starts, None for the model's own
    initialisation, and `most` the largest number of starts, None for any.
    """

    model: Any
    name: str
    says: str
    start: Start | None
    most: int | None
    fits_apart = False

    def _validate(self) -> None:
        """Raise TypeError or ValueError for wrong arguments."""
        if not isinstance(self.says, str):
            raise TypeError(f"{self.name}: says is {shown(self.says, 40)}, expected text")
        if self.start is not None and not callable(self.start):
            raise TypeError(
                f"{self.name}: start is {shown(self.start, 40)}, expected a function:"
                " start=starts.given(theta)"
            )
        if self.most is not None and (not isinstance(self.most, int) or self.most < 1):
            raise ValueError(
                f"{self.name}: most is {shown(self.most, 40)}, expected a whole number, at"
                " least one"
            )

    def title(self) -> str:
        return self.says or self.name

    def contract(self, dtype: str = "float64") -> Contract:
        return self.subject.contract(dtype)

    def cannot_answer(
        self, network: Family, quantity: str, dtype: str = "float64", device: str = "cpu"
    ) -> str | None:
        return None

    @property
    def subject(self) -> Subject:
        """The model in training."""
        subject: Subject = self.model
        return subject

    @property
    def network(self) -> Family | None:
        return self.subject.network

    def formulation(self, network: Family) -> Formulation:
        return self.subject.formulation(network)

    def count_starts(self, starts: int) -> int:
        """Return the number of its starts in a run of `starts` starts."""
        return starts if self.most is None else min(starts, self.most)

    def starting(self, network: Family, population: Population, starts: int, dtype: str) -> Problem:
        """Return the problem (parameters and data) with the starts and their data, on the network.

        `starts` is the number D of starts. P counts own parameters (a model's tensors, flattened).
        Raises TypeError if `start` does not return an array of shape (D, P).
        """
        formulation = self.formulation(network)
        count = self.count_starts(starts)
        with users():
            if self.start:
                own = self.start(formulation, count)
            else:
                own = self.subject.initial(formulation, count)
        if np.shape(own) != (count, formulation.own.size):
            found = shown(own, 40)
            if isinstance(own, np.ndarray):
                found = f"an array of shape {own.shape}"
            expected = f"({count}, {formulation.own.size}), as start=starts.uniform() does"
            raise TypeError(
                f"{self.name}: its start gave {found}, expected an array of shape {expected}"
            )
        return population.problem(formulation, own, dtype)

    def as_trained(self, start: Problem) -> Problem:
        """Return the starts unchanged: this trainer trains exactly these parameters."""
        return start

    def answers(self, problem: Problem, dtype: str, device: str) -> Observation:
        with kind_of(device).hold_precision(device, dtype), limited():
            return self.subject.observe(problem, dtype, device)
