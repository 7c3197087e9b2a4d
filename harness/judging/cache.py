"""A cache of the problems, answers and bounds that the trials of one case share.

Each value is stored under a typed key and computed when it is first needed. A problem is a stack of
D draws; each draw has parameters, inputs and targets of its own. A formulation is the affine map
from a model's own parameters (its own tensors, flattened) to theta (the network's parameters in
nnet's order). A contract is the arithmetic that an implementation promises, such as its dtype.
Bounds say how far a correct implementation under a contract may be from the exact answers.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from harness.calling.observing import observe
from harness.calling.watching import Shadows
from harness.core.contract import Bounds, Contract
from harness.core.formulation import Formulation
from harness.core.implementation import Candidate, Implementation, Missing, Observation
from harness.core.problem import Problem
from harness.judging.case import Case, Trial
from harness.judging.narrowing import narrow_problems
from harness.judging.store import Key, Same, Store
from harness.judging.timing import Timing
from harness.model.module import Model
from harness.pytorch.asking import ask, ask_subject
from harness.pytorch.subject import Subject
from harness.training.trained import Trained, visit_states
from harness.training.trainer import Population
from harness.waiting.progress import Say, patient, silent

if TYPE_CHECKING:
    from harness.shadow.shadow import Shadow

_make_contract = lru_cache(Contract)
STARTS = 20  # of a population, where --parity-starts does not say


@dataclass(frozen=True)
class Meaning(Key[Formulation]):
    """Cache key for the map from a subject's own parameters to the network's; `subject` is its
    name.
    """

    subject: str


@dataclass(frozen=True)
class SharedMeaning(Key[Formulation]):
    """Cache key for the map from a subject's own parameters to the network's, shared by all cases.

    `meaning_key` is equal for subjects whose parameters are mapped in the same way. It contains ids
    of objects, which stay unique as long as `subject` is alive.
    """

    meaning_key: Hashable
    network: Same
    subject: Candidate = field(compare=False)


@dataclass(frozen=True)
class OwnMeaning(Key[Formulation]):
    """Cache key for the identity as the map from own parameters to the network's parameters."""


@dataclass(frozen=True)
class Problems(Key[list[Problem]]):
    """Cache key for the problems that the case makes for a formulation: a map from a model's own
    parameters to the network's.
    """

    formulation: Formulation


@dataclass(frozen=True)
class NarrowProblems(Key[list[Problem]]):
    """Cache key for the case's problems for a formulation, rounded to a dtype narrower than
    float32.

    A formulation is a map from a model's own parameters to the network's.
    """

    formulation: Formulation
    dtype: str


@dataclass(frozen=True)
class LiveModel(Key[Model | Missing]):
    """Cache key for the model that a subject builds for a dtype and device, or for the reason why
    there is none.
    """

    subject: str
    dtype: str
    device: str


@dataclass(frozen=True)
class LatestShadows(Key[Shadows]):
    """Cache key for the latest shadows of the case's models."""


@dataclass(frozen=True)
class SubjectAnswers(Key[Observation]):
    """Cache key for a subject's answers to a problem, in a dtype on a device."""

    subject: str
    problem: Problem
    dtype: str
    device: str


@dataclass(frozen=True)
class VisitedStates(Key[tuple[Problem, Observation]]):
    """Cache key for the states (parameters) that a model's training visits, and its answers there.

    `trained` is the trainer's name.
    """

    trained: str
    dtype: str
    device: str


@dataclass(frozen=True)
class ReferenceAnswers(Key[Observation]):
    """Cache key for a reference's answers, computed in a dtype.

    `numbers` is a digest of a problem's numbers: all problems of a network with the same digest
    have the same answers.
    """

    reference: Same
    network: Same
    numbers: str
    dtype: str


@dataclass(frozen=True)
class CandidateAnswers(Key[Observation]):
    """Cache key for the answers of a reference that has parameters of its own, in a dtype."""

    reference: Same
    problem: Problem
    dtype: str


@dataclass(frozen=True)
class ProblemAsEvaluated(Key[Problem]):
    """Cache key for a problem, rewritten for the network that a reference really evaluates.

    For example, R's nnet evaluates tanh as a logistic.
    """

    reference: Same
    problem: Problem


@dataclass(frozen=True)
class NetworkBounds(Key[Bounds]):
    """Cache key for the bounds on answers to a problem, computed for the whole network at once.

    `contract` is the promised arithmetic for which they hold.
    """

    problem: Problem
    contract: Contract


@dataclass(frozen=True)
class UnclippedBounds(Key[Bounds]):
    """Cache key for bounds on answers to a problem, shared by contracts that differ only by the
    logistic's clip.

    `contract` (the promised arithmetic) has no clip. The bounds under these contracts are equal in
    all draws in which no clip acts, so they are reused there.
    """

    problem: Problem
    contract: Contract


@dataclass(frozen=True)
class StagedBounds(Key[Bounds]):
    """Cache key for the bounds of a problem that are computed layer by layer.

    The bounds of each layer start from the intermediate numbers in `observed`, an implementation's
    answers.
    """

    problem: Problem
    contract: Contract
    observed: Observation


@dataclass(frozen=True)
class Stages(Key[tuple[int, int, str]]):
    """Cache key for the result of `Cache.stages` for an implementation's answers.

    `contract` is the arithmetic that it promises.
    """

    observed: Observation
    contract: Contract


class Cache(Store):
    """The cache of one case.

    `starts` is the number of starts from which each trainer of a population trains. `say` gets
    progress messages of slow work. `across_cases` is a store that outlives the case, for values
    that other cases of the run need too.
    """

    def __init__(
        self, case: Case, starts: int = STARTS, say: Say = silent, across_cases: Store | None = None
    ) -> None:
        super().__init__()
        self.case, self.starts, self.say = case, starts, say
        self.across_cases = Store() if across_cases is None else across_cases
        self.timing = Timing()

    @property
    def population(self) -> Population:
        """Return the data on which the case's trainers are trained, and the criterion of a good
        fit.
        """
        assert isinstance(self.case.problems, Population)
        return self.case.problems

    def formulation(self, subject: Candidate) -> Formulation:
        """Return the formulation of a subject: the map from its own parameters to the network's."""
        return self.get_or_make(Meaning(subject.name), lambda: self._read_meaning(subject))

    def _read_meaning(self, subject: Candidate) -> Formulation:
        network = self.case.network
        say = patient(lambda how: self.say(f"{self.case.name}: {subject.name}: {how}"))
        key = SharedMeaning(subject.meaning_key, Same(network), subject)
        return self.across_cases.get_or_make(key, lambda: subject.formulation(network, say))

    def own_formulation(self) -> Formulation:
        """Return the identity as the map from own parameters to the case's network's parameters."""
        return self.get_or_make(OwnMeaning(), lambda: Formulation.identity(self.case.network))

    def stacks(self, trial: Trial) -> list[Problem]:
        """Return the problems of a trial's subject.

        For a model in training this is a single problem, whose draws are the states (parameters) of
        its training.
        """
        if isinstance(trial.subject, Trained):
            return [self.visited_states(trial.subject, trial.dtype, trial.device)[0]]
        return self.problems(self.formulation(trial.subject), trial.dtype)

    def problems(self, formulation: Formulation, dtype: str = "float64") -> list[Problem]:
        """Return the case's problems for a formulation, with numbers that the dtype holds exactly.

        A formulation is a map from a model's own parameters to the network's. For a dtype narrower
        than float32 the numbers are rounded; other dtypes hold them as they are.
        """
        problems = self.get_or_make(
            Problems(formulation), lambda: self.case.make_problems(formulation)
        )
        if dtype != "float64":
            problems = _without_float64_only(problems)
        contract = _make_contract(dtype)
        if not contract.narrow:
            return problems
        key = NarrowProblems(formulation, dtype)
        return self.get_or_make(key, lambda: narrow_problems(problems, contract))

    def live(self, subject: Subject, dtype: str, device: str) -> Model | Missing:
        """Return the model that a subject builds for a dtype and device, or the reason why there is
        none.

        It is built once and answers all problems. So a model that wrongly keeps state between calls
        gives wrong answers, and fails.
        """
        key = LiveModel(subject.name, dtype, device)
        return self.get_or_make(key, lambda: subject.live(self.formulation(subject), dtype, device))

    def model(self, trial: Trial) -> Model | None:
        """Return the built model of a trial's subject.

        Return None if the subject is not a PyTorch model or cannot be built.
        """
        if not isinstance(trial.subject, Subject):
            return None
        live = self.live(trial.subject, trial.dtype, trial.device)
        return live if isinstance(live, Model) else None

    def shadow(self, model: Model, problem: Problem, number: int) -> Shadow:
        """Return the shadow of a model's evaluation at one draw (see shadow_draw)."""
        return self.get_or_make(LatestShadows(), Shadows).get(model, problem, number)

    def subject(
        self, subject: Candidate | Trained, problem: Problem, dtype: str, device: str
    ) -> Observation:
        """Return a subject's answers to a problem in a dtype on a device."""
        if isinstance(subject, Trained):
            return self.visited_states(subject, dtype, device)[1]

        def timed() -> Observation:
            with self.timing.measure_subject(problem.draws):
                return self._ask(subject, problem, dtype, device)

        return self.get_or_make(SubjectAnswers(subject.name, problem, dtype, device), timed)

    def _ask(self, subject: Candidate, problem: Problem, dtype: str, device: str) -> Observation:
        """Return the answers of a subject. A PyTorch model is built once and used for all
        problems.
        """
        if not isinstance(subject, Subject):
            return ask(subject, problem, dtype, device)
        build = partial(self.live, subject, dtype, device)
        return ask_subject(subject, problem, dtype, device, build)

    def ask_anew(self, trial: Trial, problem: Problem) -> Observation:
        """Return the answers of a trial's subject to a problem outside its case.

        They are not stored, and the model is called only in its usual mode and layout.
        """
        model = self.model(trial)
        if model is not None:
            return observe(model, problem)
        return ask(trial.subject, problem, trial.dtype, trial.device)

    def visited_states(
        self, trained: Trained, dtype: str, device: str
    ) -> tuple[Problem, Observation]:
        """Return the states (parameters) that a model's training visits, as the draws of one
        problem, and its answers there.
        """
        key = VisitedStates(trained.name, dtype, device)
        network, population = self.case.network, self.population
        return self.get_or_make(
            key, lambda: visit_states(trained, network, population, dtype, device)
        )

    def reference(self, reference: Implementation, problem: Problem, dtype: str) -> Observation:
        """Return a reference's answers to a problem, in a trial of a dtype."""
        key = key_of_answers(reference, problem, dtype)
        return self.get_or_make(key, lambda: ask(reference, problem, dtype, "cpu"))

    def oracle(
        self,
        problem: Problem,
        contract: Contract,
        reference: Implementation | None = None,
        observed: Observation | None = None,
    ) -> Bounds:
        """Return the exact answers to a problem, with bounds for a contract: the promised
        arithmetic.

        They are for the problem's own network or, with `reference`, for the network that this
        reference really evaluates. If `observed` has intermediate numbers (`observed.seen`), the
        bounds are computed layer by layer from these numbers.
        """
        if reference is not None:
            problem = self._as_evaluated(reference, problem)
        if observed is None or observed.seen is None:
            key = NetworkBounds(problem, contract)
            return self.get_or_make(key, lambda: self._make_bounds(problem, contract))
        network, seen = problem.network, observed.seen
        return self.get_or_make(
            StagedBounds(problem, contract, observed),
            lambda: network.oracle(problem, contract, seen),
        )

    def _as_evaluated(self, reference: Implementation, problem: Problem) -> Problem:
        key = ProblemAsEvaluated(Same(reference), problem)
        return self.get_or_make(key, lambda: reference.as_evaluated(problem))

    def _make_bounds(self, problem: Problem, contract: Contract) -> Bounds:
        heads = len(problem.network.outputs)
        fused = all(problem.loss.logits(heads)) and not contract.from_probabilities
        if fused or problem.loss.is_squares:
            contract = contract.without_probabilities
        # nnet's clip acts in few draws: the others have the bounds that they have without it
        alike = UnclippedBounds(problem, contract.without_clip)
        network = problem.network
        bounds = network.oracle(problem, contract, known=self.get(alike))
        self.put(alike, bounds)
        return bounds

    def stages(
        self, problem: Problem, contract: Contract, observed: Observation
    ) -> tuple[int, int, str]:
        """Return three things: how many of the network's intermediate numbers of a row are in
        `observed`, how many the network has, and its first activation that is not in `observed`.

        A row is one row of inputs. The result is (0, 0, "") if `observed` has no intermediate
        numbers.
        """
        if observed.seen is None:
            return 0, 0, ""
        network, seen = problem.network, observed.seen
        key = Stages(observed, contract)
        return self.get_or_make(key, lambda: network.stages(problem, contract, seen))


def key_of_answers(reference: Implementation, problem: Problem, dtype: str) -> Key[Observation]:
    """Return the key of a reference's answers to a problem, in a trial of a dtype.

    The answers of a candidate (a reference with parameters of its own) may depend on the problem's
    own parameters, so its key contains the problem.
    """
    if _is_candidate(Same(reference)):
        return CandidateAnswers(Same(reference), problem, dtype)
    network, computed_in = Same(problem.network), reference.contract(dtype).dtype
    return ReferenceAnswers(Same(reference), network, problem.key, computed_in)


@lru_cache(maxsize=64)
def _is_candidate(reference: Same) -> bool:
    """Has a reference parameters of its own? Python takes long to compare it with the protocol."""
    return isinstance(reference.thing, Candidate)


def _without_float64_only(problems: list[Problem]) -> list[Problem]:
    """Return the problems without those marked `float64_only`, or all if no others are left."""
    others = [problem for problem in problems if not problem.float64_only]
    return others or problems
