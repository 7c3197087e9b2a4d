"""What the trials of one case share: each implementation is asked once."""

from collections.abc import Callable, Hashable
from dataclasses import replace
from time import perf_counter
from typing import Any, TypeVar

import numpy as np

from harness.core.contract import Bounded, Bounds, Contract
from harness.core.formulation import Formulation
from harness.core.implementation import Missing, Observation, Reference
from harness.core.judge import outside
from harness.core.problem import Problem
from harness.core.progress import Say, patient, silent
from harness.core.verdict import Status
from harness.judging.case import Case, Trial
from harness.pytorch.compiled import COMPILER, limited
from harness.pytorch.devices import kind_of
from harness.pytorch.errors import words_of
from harness.pytorch.module import Model
from harness.pytorch.subject import Subject
from harness.training.trained import FEW, Trained
from harness.training.trainer import Ended, Population, Trainer

Result = TypeVar("Result")
STARTS = 20  # of a population, where --parity-starts does not say


class Cache:
    """Answers by (implementation, problem, dtype); `subject_seconds` is what the subjects
    themselves took.

    `starts` is how many starts a population has; `say` is told how far what takes long is; `known`
    outlives a case: trainers that several cases share are not asked to train from the same starts
    again, and what the parameters of a subject mean is read once.
    """

    def __init__(
        self,
        case: Case,
        starts: int = STARTS,
        say: Say = silent,
        known: dict[Hashable, Any] | None = None,
    ) -> None:
        self.case, self.starts, self.say = case, starts, say
        self._across_cases = {} if known is None else known
        self.fits: dict[str, Ended] = {}
        self.subject_seconds = 0.0
        self.seconds = 0.0
        self.asked = 0
        self.most_draws = 0
        self._known: dict[Hashable, Any] = {}

    def get_or_make(
        self, key: Hashable, make: Callable[[], Result], kept: dict[Hashable, Any] | None = None
    ) -> Result:
        """What has this key, made where it is first asked for; `kept` is where else than in this
        case it is kept.
        """
        kept = self._known if kept is None else kept
        if key not in kept:
            try:
                kept[key] = make()
            except (ValueError, TypeError) as error:  # what cannot be made need not be tried again
                kind = TypeError if issubclass(type(error), TypeError) else ValueError
                # its words alone: frames hold whatever was read so far
                kept[key] = kind(words_of(error))
        known: Result | Exception = kept[key]
        if isinstance(known, Exception):
            raise type(known)(str(known))  # a new one: what is raised takes hold of its frames
        return known

    def formulation(self, subject: Any) -> Formulation:
        """What the parameters of a subject mean, read once a run for each network."""
        return self.get_or_make(("means", subject.name), lambda: self._read(subject))

    def _read(self, subject: Any) -> Formulation:
        network, kept = self.case.network, self._across_cases
        key = "means", subject.meaning_key, id(network)
        kept["alive", key] = subject, network  # as long as their ids are a key
        say = patient(lambda how: self.say(f"{self.case.name}: {subject.name}: {how}"))

        def read() -> Formulation:
            found: Formulation = subject.formulation(network, say)
            return found

        return self.get_or_make(key, read, kept)

    def claimed(self) -> Formulation:
        """The case's own network."""
        return self.get_or_make("claimed", lambda: Formulation.identity(self.case.network))

    def stacks(self, trial: Trial) -> list[Problem]:
        """What a trial's subject is asked; of a model in training, the states that it visits."""
        if isinstance(trial.subject, Trained):
            return [self._visited(trial.subject, trial.dtype, trial.device)[0]]
        return self.problems(self.formulation(trial.subject), trial.dtype)

    def problems(self, formulation: Formulation, dtype: str = "float64") -> list[Problem]:
        """What is asked, in numbers that the dtype holds; probes are of numbers that float32 holds.

        Draws that leave the range of a narrower one are left out, unless no others are there.
        """
        asked = self.get_or_make(
            ("problems", id(formulation)), lambda: self.case.asked(formulation)
        )
        contract = Contract(dtype)
        if not contract.narrow:
            return asked
        return self.get_or_make(
            ("problems", id(formulation), dtype), lambda: narrowed(asked, contract)
        )

    def stages(
        self, problem: Problem, contract: Contract, observed: Observation
    ) -> tuple[int, int, str]:
        """How many numbers of a row were seen on the way, of how many, and the first activation
        that was not.
        """
        if (seen := observed.seen) is None:
            return 0, 0, ""
        ask = problem.formulation.network.stages
        return self.get_or_make(
            ("stages", id(observed), contract), lambda: ask(problem, contract, seen)
        )

    def _visited(self, trained: Trained, dtype: str, device: str) -> tuple[Problem, Observation]:
        def visit() -> tuple[Problem, Observation]:
            start = trained.starting(self.case.network, self.population, FEW, dtype)
            with COMPILER.asking((trained, dtype, device)):
                problem, observation = trained.visit(start, dtype, device)
            return problem, replace(observation, ran=COMPILER.says(None))

        return self.get_or_make(("visited", trained.name, dtype, device), visit)

    @property
    def population(self) -> Population:
        """What the trainers of the case are given."""
        assert isinstance(self.case.problems, Population)
        return self.case.problems

    def gives(self, ended: Ended) -> dict[str, Bounded]:
        """What the final weights of a trainer give, with the bounds of its contract."""
        return self.oracle(ended.end, ended.trainer.contract(ended.dtype))

    def ended(self, trainer: Trainer, dtype: str, device: str) -> Ended | Missing:
        """What training came to, with the losses that the oracle computes at the final weights."""

        def train() -> Ended | Missing:
            start = trainer.starting(self.case.network, self.population, self.starts, dtype)
            key = id(trainer), id(start.formulation.network), start.key, dtype, device
            if key not in self._across_cases:
                told = f"training {self.case.name}: {trainer.title()}"
                with COMPILER.asking((trainer, dtype, device)):
                    self._across_cases[key] = trainer.fit(
                        start, dtype, device, lambda how: self.say(f"{told}: {how}")
                    )
            fitted = self._across_cases[key]
            if isinstance(fitted, Missing):
                return fitted
            losses = np.full(start.draws, np.inf)
            if fitted.end is not None:
                given = start.part(fitted.finite)
                if not all(
                    map(
                        np.array_equal,
                        (fitted.end.inputs, fitted.end.targets),
                        (given.inputs, given.targets),
                    )
                ):
                    return Missing(Status.FAIL, "ended on other data than it was given")
                losses[fitted.finite] = self.oracle(fitted.end, trainer.contract(dtype))[
                    "loss"
                ].value
            ended = Ended(
                trainer, fitted, losses * self.population.scale(start.rows), start, dtype, device
            )
            self.fits[f"{trainer.name} {dtype} {device}"] = ended
            return ended

        return self.get_or_make(("fit", trainer.name, dtype, device), train)

    def subject(
        self, subject: Subject | Trained, problem: Problem, dtype: str, device: str
    ) -> Observation:
        if isinstance(subject, Trained):
            return self._visited(subject, dtype, device)[1]

        def ask() -> Observation:
            started = perf_counter()
            with kind_of(device).hold_precision(device, dtype):
                live = self.live(subject, dtype, device)
                with COMPILER.asking((subject, dtype, device)):
                    observation = subject.observe(problem, dtype, device, live)
            observation = replace(
                observation, ran=COMPILER.says(subject.build if subject.shapes else live)
            )
            self.subject_seconds += perf_counter() - started
            self.asked += problem.draws
            self.most_draws = max(self.most_draws, problem.draws)
            when = self._otherwise(observation, problem, subject.contract(dtype))
            return (
                Observation({}, Missing(Status.FAIL, f"gave other outputs {when}"))
                if when
                else observation
            )

        return self.get_or_make((subject.name, id(problem), dtype, device), ask)

    def _otherwise(self, observed: Observation, problem: Problem, contract: Contract) -> str:
        """When it gives outputs that are other ones by more than rounding, of the whole network; ""
        for never.
        """
        others = observed.others.items()
        asked = (
            when
            for when, o in others
            if outside(o, self.oracle(problem, contract)["forward"], contract.largest)
        )
        return next(asked, "")

    def live(self, subject: Subject, dtype: str, device: str) -> Model | Missing:
        """The subject built once for all stacks in a dtype: what it keeps from one to the next
        shows.
        """
        return self.get_or_make(
            ("live", subject.name, dtype, device),
            lambda: subject.live(self.formulation(subject), dtype, device),
        )

    def model(self, trial: Trial) -> Model | None:
        """A trial's subject as it is built, where it is a model."""
        if not isinstance(trial.subject, Subject):
            return None
        live = self.live(trial.subject, trial.dtype, trial.device)
        return live if isinstance(live, Model) else None

    def reference(self, reference: Reference, problem: Problem) -> Observation:
        def ask() -> Observation:
            with limited():  # it may be a model too
                found = reference.observe(problem)
            values = {name: np.asarray(value, np.float64) for name, value in found.values.items()}
            # a reference of a user's own may give arrays of its own class
            return replace(found, values=values)

        return self.get_or_make((id(reference), id(problem.formulation.network), problem.key), ask)

    def oracle(
        self,
        problem: Problem,
        contract: Contract,
        reference: Reference | None = None,
        observed: Observation | None = None,
    ) -> Bounds:
        """Bounds of an implementation: of the network that a reference really evaluates, or of the
        problem's own.

        Layer by layer, where it was observed with what it computes on its way.
        """
        asked = problem
        if reference is not None:
            asked = self.get_or_make(
                ("as_evaluated", id(reference), id(problem)),
                lambda: reference.as_evaluated(problem),
            )
        seen = observed.seen if observed else None
        network, alike = (
            asked.formulation.network,
            ("oracle", id(asked), replace(contract, logistic_clip=None)),
        )

        def bounds() -> Bounds:
            if seen is not None:
                return network.oracle(asked, contract, seen)
            # nnet's clip acts in few draws: the others have the bounds that they have without it
            self._known[alike] = found = network.oracle(
                asked, contract, known=self._known.get(alike)
            )
            return found

        return self.get_or_make(
            ("oracle", id(asked), contract, None if seen is None else id(observed)), bounds
        )

    @property
    def overhead(self) -> float:
        """Seconds a problem and dtype for everything that is not the subject itself."""
        return (self.seconds - self.subject_seconds) / max(self.asked, 1)


def narrowed(asked: list[Problem], contract: Contract) -> list[Problem]:
    """The same questions in a narrower dtype, of its draws those whose answers it holds, if there
    are any.
    """
    held, kept = [problem.rounded(contract) for problem in asked], []
    for problem in held:
        bounds = problem.formulation.network.oracle(problem, contract).values()
        sizes = [
            (abs(bound.value) + bound.error).reshape(problem.draws, -1).max(axis=1)
            for bound in bounds
        ]
        inside = np.max(sizes, axis=0) <= contract.largest
        kept += [problem.part(inside)] if inside.any() else []
    return kept or held
