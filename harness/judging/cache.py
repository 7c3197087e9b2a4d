"""What the trials of one case share: problems, answers and bounds, each of them made once."""

from collections.abc import Hashable
from dataclasses import dataclass, field, replace

from harness.core.contract import Bounds, Contract
from harness.core.formulation import Formulation
from harness.core.implementation import Missing, Observation, Reference
from harness.core.problem import Problem
from harness.core.progress import Say, patient, silent
from harness.judging.case import Case, Trial
from harness.judging.narrowing import narrow_problems
from harness.judging.store import Key, Same, Store
from harness.judging.timing import Timing
from harness.pytorch.asking import ask_reference, ask_subject
from harness.pytorch.module import Model
from harness.pytorch.subject import Subject
from harness.training.trained import Trained, visit_states
from harness.training.trainer import Population

STARTS = 20  # of a population, where --parity-starts does not say


@dataclass(frozen=True)
class Meaning(Key[Formulation]):
    """What the parameters of a subject of the case mean."""

    subject: str


@dataclass(frozen=True)
class SharedMeaning(Key[Formulation]):
    """What the parameters of a subject mean, for all cases of a network.

    `meaning_key` holds ids, which stay its own as long as `subject` is alive.
    """

    meaning_key: Hashable
    network: Same
    subject: Subject = field(compare=False)


@dataclass(frozen=True)
class OwnMeaning(Key[Formulation]):
    """The parameters of the case's own network."""


@dataclass(frozen=True)
class Problems(Key[list[Problem]]):
    """The problems of a formulation."""

    formulation: Formulation


@dataclass(frozen=True)
class NarrowProblems(Key[list[Problem]]):
    """The problems of a formulation, in a dtype of a narrower range than float32."""

    formulation: Formulation
    dtype: str


@dataclass(frozen=True)
class LiveModel(Key[Model | Missing]):
    """A subject as it is built for a dtype and device."""

    subject: str
    dtype: str
    device: str


@dataclass(frozen=True)
class SubjectAnswers(Key[Observation]):
    """A subject's answers to a problem."""

    subject: str
    problem: Problem
    dtype: str
    device: str


@dataclass(frozen=True)
class VisitedStates(Key[tuple[Problem, Observation]]):
    """The states that a model visits in training, and its answers there."""

    trained: str
    dtype: str
    device: str


@dataclass(frozen=True)
class ReferenceAnswers(Key[Observation]):
    """A reference's answers to all problems of a network that have the same numbers."""

    reference: Same
    network: Same
    numbers: str


@dataclass(frozen=True)
class ProblemAsEvaluated(Key[Problem]):
    """A problem as the network that a reference really evaluates."""

    reference: Same
    problem: Problem


@dataclass(frozen=True)
class NetworkBounds(Key[Bounds]):
    """The bounds of a problem's whole network under a contract."""

    problem: Problem
    contract: Contract


@dataclass(frozen=True)
class UnclippedBounds(Key[Bounds]):
    """Bounds of a problem under some contract that differs from this one at most by its clip."""

    problem: Problem
    contract: Contract


@dataclass(frozen=True)
class StagedBounds(Key[Bounds]):
    """The bounds of a problem, layer by layer from what was observed on the way."""

    problem: Problem
    contract: Contract
    observed: Observation


@dataclass(frozen=True)
class Stages(Key[tuple[int, int, str]]):
    """What was observed on the way of the numbers that a contract asks for."""

    observed: Observation
    contract: Contract


class Cache(Store):
    """The cache of one case.

    `starts` is the number of starts of a population, `say` is told how far something is that takes
    long. `across_cases` outlives the case: it holds what other cases of the run need too.
    """

    def __init__(
        self,
        case: Case,
        starts: int = STARTS,
        say: Say = silent,
        across_cases: Store | None = None,
    ) -> None:
        super().__init__()
        self.case, self.starts, self.say = case, starts, say
        self.across_cases = Store() if across_cases is None else across_cases
        self.timing = Timing()

    @property
    def population(self) -> Population:
        """What the trainers of the case are given."""
        assert isinstance(self.case.problems, Population)
        return self.case.problems

    def formulation(self, subject: Subject) -> Formulation:
        """What the parameters of a subject mean."""
        return self.get_or_make(Meaning(subject.name), lambda: self._read_meaning(subject))

    def _read_meaning(self, subject: Subject) -> Formulation:
        network = self.case.network
        say = patient(lambda how: self.say(f"{self.case.name}: {subject.name}: {how}"))
        key = SharedMeaning(subject.meaning_key, Same(network), subject)
        return self.across_cases.get_or_make(key, lambda: subject.formulation(network, say))

    def own_formulation(self) -> Formulation:
        """The case's own network."""
        return self.get_or_make(OwnMeaning(), lambda: Formulation.identity(self.case.network))

    def stacks(self, trial: Trial) -> list[Problem]:
        """What a trial's subject is asked; of a model in training, the states that it visits."""
        if isinstance(trial.subject, Trained):
            return [self.visited_states(trial.subject, trial.dtype, trial.device)[0]]
        return self.problems(self.formulation(trial.subject), trial.dtype)

    def problems(self, formulation: Formulation, dtype: str = "float64") -> list[Problem]:
        """The problems of a formulation, in numbers that the dtype holds; float32 holds those of
        the probes.
        """
        problems = self.get_or_make(
            Problems(formulation), lambda: self.case.make_problems(formulation)
        )
        contract = Contract(dtype)
        if not contract.narrow:
            return problems
        key = NarrowProblems(formulation, dtype)
        return self.get_or_make(key, lambda: narrow_problems(problems, contract))

    def live(self, subject: Subject, dtype: str, device: str) -> Model | Missing:
        """The subject, built once for all stacks in a dtype: what it keeps from one to the next
        shows.
        """
        key = LiveModel(subject.name, dtype, device)
        return self.get_or_make(key, lambda: subject.live(self.formulation(subject), dtype, device))

    def model(self, trial: Trial) -> Model | None:
        """A trial's subject as it is built, None if it is no model."""
        if not isinstance(trial.subject, Subject):
            return None
        live = self.live(trial.subject, trial.dtype, trial.device)
        return live if isinstance(live, Model) else None

    def subject(
        self, subject: Subject | Trained, problem: Problem, dtype: str, device: str
    ) -> Observation:
        """The subject's answers to a problem."""
        if isinstance(subject, Trained):
            return self.visited_states(subject, dtype, device)[1]

        def ask() -> Observation:
            with self.timing.measure_subject(problem.draws):
                return ask_subject(
                    subject, problem, dtype, device, lambda: self.live(subject, dtype, device)
                )

        return self.get_or_make(SubjectAnswers(subject.name, problem, dtype, device), ask)

    def visited_states(
        self, trained: Trained, dtype: str, device: str
    ) -> tuple[Problem, Observation]:
        """The states that a model visits in training, and its answers there."""
        key = VisitedStates(trained.name, dtype, device)
        network, population = self.case.network, self.population
        return self.get_or_make(
            key, lambda: visit_states(trained, network, population, dtype, device)
        )

    def reference(self, reference: Reference, problem: Problem) -> Observation:
        """The reference's answers to a problem."""
        network = Same(problem.formulation.network)
        key = ReferenceAnswers(Same(reference), network, problem.key)
        return self.get_or_make(key, lambda: ask_reference(reference, problem))

    def oracle(
        self,
        problem: Problem,
        contract: Contract,
        reference: Reference | None = None,
        observed: Observation | None = None,
    ) -> Bounds:
        """The bounds of an implementation: of the problem's own network, or of the one that a
        reference really evaluates.

        They go layer by layer if it was observed with what it computes on its way.
        """
        if reference is not None:
            problem = self._as_evaluated(reference, problem)
        if observed is None or observed.seen is None:
            key = NetworkBounds(problem, contract)
            return self.get_or_make(key, lambda: self._make_bounds(problem, contract))
        network, seen = problem.formulation.network, observed.seen
        return self.get_or_make(
            StagedBounds(problem, contract, observed),
            lambda: network.oracle(problem, contract, seen),
        )

    def _as_evaluated(self, reference: Reference, problem: Problem) -> Problem:
        key = ProblemAsEvaluated(Same(reference), problem)
        return self.get_or_make(key, lambda: reference.as_evaluated(problem))

    def _make_bounds(self, problem: Problem, contract: Contract) -> Bounds:
        # nnet's clip acts in few draws: the others have the bounds that they have without it
        alike = UnclippedBounds(problem, replace(contract, logistic_clip=None))
        network = problem.formulation.network
        bounds = network.oracle(problem, contract, known=self.get(alike))
        self.put(alike, bounds)
        return bounds

    def stages(
        self, problem: Problem, contract: Contract, observed: Observation
    ) -> tuple[int, int, str]:
        """How many numbers of a row were seen on the way, of how many, and the first activation
        that was not.
        """
        if observed.seen is None:
            return 0, 0, ""
        network, seen = problem.formulation.network, observed.seen
        key = Stages(observed, contract)
        return self.get_or_make(key, lambda: network.stages(problem, contract, seen))
