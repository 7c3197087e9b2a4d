"""What the trials of one case share: each implementation is asked once."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from time import perf_counter
from typing import Any, TypeVar

from harness.case import Case
from harness.contract import Bounded, Contract
from harness.formulation import Formulation
from harness.observation import Observation, Reference
from harness.problem import Problem
from harness.subject import Subject, observe

Result = TypeVar("Result")


class Memo:
    """Answers by (implementation, problem, dtype); `subject_seconds` is what the subjects themselves took."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.subject_seconds = 0.0
        self.seconds = 0.0
        self.asked = 0
        self.most_draws = 0
        self._known: dict[Hashable, Any] = {}

    def _once(self, key: Hashable, make: Callable[[], Any]) -> Any:
        if key not in self._known:
            self._known[key] = make()
        return self._known[key]

    def formulation(self, subject: Subject) -> Formulation:
        found: Formulation = self._once(
            (id(subject.build), subject.name), lambda: subject.formulation(self.case.network)
        )
        return found

    def claimed(self) -> Formulation:
        """The case's own network."""
        found: Formulation = self._once("claimed", lambda: Formulation.identity(self.case.network))
        return found

    def problems(self, formulation: Formulation) -> list[Problem]:
        found: list[Problem] = self._once(("problems", id(formulation)), lambda: self.case.asked(formulation))
        return found

    def subject(self, subject: Subject, problem: Problem, dtype: str, device: str) -> Observation:
        def ask() -> Observation:
            observation, seconds = observe(subject, problem, dtype, device)
            self.subject_seconds += seconds
            self.asked += problem.draws
            self.most_draws = max(self.most_draws, problem.draws)
            return observation

        found: Observation = self._once((subject.name, id(problem), dtype, device), ask)
        return found

    def reference(self, reference: Reference, problem: Problem) -> Observation:
        found: Observation = self._once((reference.name, problem.key), lambda: reference.observe(problem))
        return found

    def oracle(self, problem: Problem, contract: Contract, reference: Reference | None = None) -> dict[str, Bounded]:
        """Bounds of an implementation: of the network that a reference really evaluates, or of the problem's own."""
        asked = problem
        if reference is not None:
            asked = self._once(("expressed", reference.name, id(problem)), lambda: reference.expressed(problem))
        found: dict[str, Bounded] = self._once(
            ("oracle", id(asked), contract), lambda: asked.formulation.network.oracle(asked, contract)
        )
        return found

    def timed(self, run: Callable[[], Result]) -> Result:
        """Run a trial and add its time to the case's."""
        started = perf_counter()
        try:
            return run()
        finally:
            self.seconds += perf_counter() - started

    @property
    def overhead(self) -> float:
        """Seconds a problem and dtype for everything that is not the subject itself."""
        return (self.seconds - self.subject_seconds) / max(self.asked, 1)
