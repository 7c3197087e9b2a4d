"""What the trials of one case share: each implementation is asked once."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from time import perf_counter
from typing import Any, TypeVar

from harness.case import Case
from harness.contract import Bounded, Contract
from harness.device import ieee
from harness.formulation import Formulation
from harness.observation import Observation, Reference
from harness.problem import Problem
from harness.subject import Live, Subject, observe

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

    def _once(self, key: Hashable, make: Callable[[], Result]) -> Result:
        if key not in self._known:
            self._known[key] = make()
        known: Result = self._known[key]
        return known

    def formulation(self, subject: Subject) -> Formulation:
        return self._once((id(subject.build), subject.name), lambda: subject.formulation(self.case.network))

    def claimed(self) -> Formulation:
        """The case's own network."""
        return self._once("claimed", lambda: Formulation.identity(self.case.network))

    def problems(self, formulation: Formulation) -> list[Problem]:
        return self._once(("problems", id(formulation)), lambda: self.case.asked(formulation))

    def subject(self, subject: Subject, problem: Problem, dtype: str, device: str) -> Observation:
        def ask() -> Observation:
            started = perf_counter()
            with ieee(device):
                observation = observe(subject, problem, dtype, device, self.live(subject, dtype, device))
            self.subject_seconds += perf_counter() - started
            self.asked += problem.draws
            self.most_draws = max(self.most_draws, problem.draws)
            return observation

        return self._once((subject.name, id(problem), dtype, device), ask)

    def live(self, subject: Subject, dtype: str, device: str) -> Live:
        """The subject built once for all stacks in a dtype: what it keeps from one to the next shows."""
        return self._once(("live", subject.name, dtype, device), lambda: subject.live(dtype, device))

    def reference(self, reference: Reference, problem: Problem) -> Observation:
        key = (id(reference), id(problem.formulation.network), problem.key)
        return self._once(key, lambda: reference.observe(problem))

    def oracle(self, problem: Problem, contract: Contract, reference: Reference | None = None) -> dict[str, Bounded]:
        """Bounds of an implementation: of the network that a reference really evaluates, or of the problem's own."""
        asked = problem
        if reference is not None:
            asked = self._once(("expressed", id(reference), id(problem)), lambda: reference.expressed(problem))
        return self._once(("oracle", id(asked), contract), lambda: asked.formulation.network.oracle(asked, contract))

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
