"""Compares a subject with a reference on a trial's problems, and makes verdicts from the
results.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from harness.comparing.judge import Judgement, Side, judge
from harness.core.changed import changed
from harness.core.contract import Array, Bounded, Bounds, Contract
from harness.core.finding import Finding, Form, figure
from harness.core.formulation import Formulation
from harness.core.implementation import Candidate, Missing, Observation
from harness.core.problem import Problem
from harness.core.verdict import Status, Verdict
from harness.judging.cache import Cache
from harness.judging.case import Trial
from harness.judging.modes import check_modes
from harness.judging.store import Key, Same
from harness.model.errors import MOST_SAID
from harness.text.harmless import exact, shown
from harness.words import wording
from harness.words.naming import element, tensors
from harness.words.wording import with_finding


@dataclass(frozen=True)
class CheckedAnswers(Key[Observation]):
    """Cache key for a subject's answers after its outputs in other modes were checked."""

    observed: Observation
    problem: Problem
    contract: Contract


class AnswerPair(NamedTuple):
    """The answers of a subject and of a reference to a problem, and the bounds on them: None if
    they have no quantity in common.
    """

    of_subject: Observation
    of_reference: Observation
    bounds: tuple[Bounds, Bounds] | None


@dataclass(frozen=True)
class AnswerPairKey(Key[AnswerPair]):
    """Cache key for the answers of a subject and of a reference to a problem, with their bounds.

    The trials of all quantities share them.
    """

    subject: str
    reference: Same
    problem: Problem
    dtype: str
    device: str


def get_subject_answers(trial: Trial, cache: Cache, problem: Problem) -> Observation:
    """Return the subject's answers to a problem, or a failure if it gives wrong ones in a mode.

    A model is also called in other modes: under no_grad, in eval(), as a deep copy. If its answers
    there differ from the usual ones and are outside the bounds of the whole network, all its
    answers are missing, with the status FAIL. The same holds for answers that are wrong only in a
    layout or after an earlier call.
    """
    observed = cache.subject(trial.subject, problem, trial.dtype, trial.device)
    if not observed.others and not observed.conditions:
        return observed
    contract = trial.contract
    key = CheckedAnswers(observed, problem, contract)
    return cache.get_or_make(key, lambda: check_modes(trial, cache, problem, observed))


class Comparison(NamedTuple):
    """A subject and a reference on a trial's problems, and the quantity that is compared."""

    trial: Trial
    cache: Cache
    problems: Sequence[Problem]
    quantity: str

    def where(self, index: tuple[int, ...], stack: int) -> str:
        """Return the name of an element of the quantity and of its draw, for people.

        A draw is one problem of a stack. `index` is the index of the element, the draw first;
        `stack` is the number of the stack.
        """
        problem = self.problems[stack]
        return f"{element(problem, self.quantity, index)} ({problem.called(index[0])})"

    @property
    def formulation(self) -> Formulation:
        """The map from the subject's own parameters to the network's, of all its problems."""
        return self.problems[0].formulation

    @property
    def contracts(self) -> tuple[Contract, Contract]:
        """The contracts of the subject and of the reference: the arithmetic that each promises."""
        trial = self.trial
        return trial.contract, trial.reference.contract(trial.dtype)

    def bounds(self, problem: Problem) -> tuple[dict[str, Bounded], dict[str, Bounded]]:
        """Return the bounds on the subject's answers and on the reference's, by quantity.

        They are computed for the whole network at once, not layer by layer.
        """
        mine, theirs = self.contracts
        return self.cache.oracle(problem, mine), self.cache.oracle(
            problem, theirs, self.trial.reference
        )

    def subject(self, problem: Problem) -> Observation:
        """Return the subject's answers to a problem."""
        return get_subject_answers(self.trial, self.cache, problem)

    def reference(self, problem: Problem) -> Observation:
        """Return the reference's answers to a problem."""
        return self.cache.reference(self.trial.reference, problem, self.trial.dtype)

    def answers(self, problem: Problem, quantity: str) -> tuple[Array, Array] | Missing:
        """Return a quantity as the subject gives it and as the reference gives it, or why one is
        missing.

        Both gradients are by the subject's own parameters (its own tensors, flattened).
        """
        return self._answers(problem, quantity, self.get_pair(problem))

    def _answers(
        self, problem: Problem, quantity: str, pair: AnswerPair
    ) -> tuple[Array, Array] | Missing:
        mine = pair.of_subject.answer(quantity)
        if isinstance(mine, Missing):
            return name_subject(self.trial, mine)
        theirs = pair.of_reference.answer(quantity)
        if isinstance(theirs, Missing):
            return name_reference(self.trial, theirs)
        if quantity == "gradient" and not pair.of_reference.by_own:
            theirs = problem.formulation.pull_back(theirs)
        return mine, theirs

    def get_pair(self, problem: Problem) -> AnswerPair:
        """Return the answers of subject and reference to a problem, with their bounds."""
        trial = self.trial
        reference = Same(trial.reference)
        key = AnswerPairKey(trial.subject.name, reference, problem, trial.dtype, trial.device)
        return self.cache.get_or_make(key, lambda: self._ask_pair(problem))

    def _ask_pair(self, problem: Problem) -> AnswerPair:
        answered, observed = self.subject(problem), self.reference(problem)
        if not answered.values.keys() & observed.values.keys():
            return AnswerPair(answered, observed, None)
        mine, theirs = self.contracts
        of_subject = self.cache.oracle(problem, mine, observed=answered)
        of_reference = self.cache.oracle(problem, theirs, self.trial.reference, observed)
        return AnswerPair(answered, observed, (of_subject, of_reference))

    def judged(self, quantity: str, contract: Contract | None = None) -> Judgement | Missing:
        """Judge the subject's answers against the reference's in all problems, or return why one is
        missing.

        The subject's bounds hold for `contract`, the promised arithmetic; None stands for its own
        contract.
        """
        subjects, references = [], []
        for problem in self.problems:
            sides = self.sides(problem, quantity, contract)
            if isinstance(sides, Missing):
                return sides
            subjects.append(sides[0])
            references.append(sides[1])
        owners = [tensors(problem, quantity)[1] for problem in self.problems]
        return judge(subjects, references, owners, (contract or self.contracts[0]).largest)

    def sides(
        self, problem: Problem, quantity: str, contract: Contract | None = None
    ) -> tuple[Side, Side] | Missing:
        """Return the answers of subject and reference to a problem, each with its bounds, or why an
        answer is missing.

        The subject's bounds hold for `contract`; None stands for its own contract.
        """
        pair = self.get_pair(problem)
        answers = self._answers(problem, quantity, pair)
        if isinstance(answers, Missing):
            return answers
        assert pair.bounds is not None
        mine, theirs = pair.bounds
        if contract is not None:
            mine = self.cache.oracle(problem, contract, observed=pair.of_subject)
        return Side(answers[0], mine[quantity]), Side(answers[1], theirs[quantity])

    @property
    def ran(self) -> str:
        """Return how the subject ran: compiled, compiled in part, or eager; "" if it does not use
        torch.compile.
        """
        ways = {self.get_pair(problem).of_subject.ran for problem in self.problems}
        return ways.pop() if len(ways) == 1 else "compiled in part"

    def stages(self) -> tuple[int, int, str]:
        """Return three things: how many of the network's intermediate numbers of a row were found
        in the subject, how many there are, and the first activation that was not found.

        Both numbers are sums over the problems. The result is (0, 0, "") if the subject is not
        judged layer by layer.
        """
        contract, each = self.contracts[0], []
        for problem in self.problems:
            each.append(self.cache.stages(problem, contract, self.get_pair(problem).of_subject))
        found, total, missing = zip(*each, strict=True)
        return sum(found), sum(total), next(filter(None, missing), "")


def name_subject(trial: Trial, missing: Missing) -> Missing:
    """Return a copy of a missing answer whose reason begins with the subject's name."""
    return replace(missing, why=f"{trial.subject.name} {missing.why}", of_subject=True)


def name_reference(trial: Trial, missing: Missing) -> Missing:
    """Return a copy of a missing answer of the reference whose reason names the reference.

    The name is added for a reference that could be a subject too; others name themselves.
    """
    if not isinstance(trial.reference, Candidate):
        return missing
    return replace(missing, why=f"{trial.reference.name} {missing.why}")


def blank(trial: Trial, status: Status, why: str) -> Verdict:
    """Return a verdict on a trial with a status and a reason, and without numbers."""
    case, subject = trial.case, trial.subject
    named = (
        trial.id,
        case.name,
        subject.name,
        exact(trial.against),
        exact(trial.reference.source),
        trial.check,
    )
    return Verdict(
        *named,
        trial.device,
        trial.dtype,
        status,
        why=_text(why),
        question=case.question,
        expect=case.expect,
    )


def _text(given: object) -> str:
    """Return a reason as text, for any object that a user's reference gives as its reason."""
    return exact(given) if isinstance(given, str) else shown(given, MOST_SAID, str)


def title_of(trial: Trial) -> str:
    """Return the title of a trial's reference, or its name if computing the title raises an
    error.
    """
    try:
        title: str = trial.reference.title()
    except Exception:  # a reference of a user's own
        title = trial.against
    return title


def heading(trial: Trial) -> str:
    """Return the first line of the message on a trial's failure."""
    return wording.heading(blank(trial, Status.FAIL, ""), title_of(trial))


def failure(trial: Trial, status: Status, reason: str, rerun: str = "") -> Verdict:
    """Return the verdict on a trial that fails for a reason without numbers.

    `rerun` is the shell line that runs the trial again.
    """
    finding = Finding(Form.REASON, title_of(trial), _text(reason), rerun=rerun)
    return with_finding(blank(trial, status, ""), finding)


def missing(trial: Trial, answer: Missing, quantity: str, rerun: str = "") -> Verdict:
    """Return the verdict on a trial in which the answer for a quantity is missing.

    `rerun` is the shell line that runs the trial again.
    """
    if answer.status is Status.ABSENT:
        return blank(trial, answer.status, answer.why)
    reason = _text(f"{answer.why}")
    finding = Finding(
        Form.UNANSWERED,
        title_of(trial),
        reason,
        quantity,
        of_reference=not answer.of_subject,
        rerun=rerun,
    )
    verdict = blank(trial, answer.status, "")
    if answer.of_subject and trial.known:
        verdict = replace(verdict, status=Status.KNOWN, known=trial.known)
    return with_finding(verdict, finding)


def measured_verdict(trial: Trial, judgement: Judgement, where: str, caveat: str = "") -> Verdict:
    """Return a verdict with the numbers of a judgement, but without a sentence.

    `where` names the element, and `caveat` is the limit of the evidence.
    """
    names = ("budget_used", "actual", "expected", "allowed", "contract_share")
    figures: dict[str, Any] = {name: getattr(judgement, name) for name in names}
    return changed(blank(trial, judgement.status, ""), where=where, caveat=caveat, **figures)


def finding_of(
    verdict: Verdict, trial: Trial, form: Form, quantity: str, share: float | None = None
) -> Finding:
    """Return a finding (a failure as data) with the numbers of a verdict.

    `form` is the way in which the trial failed. `share` is the share of its bound that the shown
    element uses, by default the verdict's largest.
    """
    names = ("actual", "expected", "allowed", "contract_share")
    figures: dict[str, Any] = {name: figure(getattr(verdict, name)) for name in names}
    share = verdict.budget_used if share is None else share
    factor = None if share is None else figure(share)
    finding = Finding(form, title_of(trial), quantity=quantity, where=verdict.where, factor=factor)
    return replace(finding, **figures)
