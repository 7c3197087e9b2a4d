"""Cases (questions about implementations of a network) and the trials that pytest runs for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, cast

from harness.core.contract import DTYPES, PRECISION, Contract, Dtype
from harness.core.formulation import Family, Formulation
from harness.core.numpy_errors import users
from harness.core.problem import QUANTITIES, STEP, Problem
from harness.core.report import Row
from harness.core.verdict import Verdict
from harness.model.errors import MOST_SAID
from harness.model.settings import Settings, read_settings
from harness.pytorch.subject import Subject
from harness.text.harmless import exact, one_line, shown
from harness.training.trained import Trained
from harness.training.trainer import Population

Check = Literal["forward", "loss", "gradient", "input_gradient", "step", "final", "fit"]
ProblemMaker = Callable[[Formulation], Sequence[Problem]]
STEPS_ALONE = (
    "; to judge single steps, write checks=['loss', 'gradient', 'step'] in a case of its own"
)
ENDS = ("final", "fit")  # checks of the result of training
# checks of a model in training, at every state that it visits
LOCKSTEP = ("loss", "gradient", STEP)


class SelfJudging(Protocol):
    """The interface of problems that judge the trials of their case themselves.

    For example, an object that R's nnet has fitted does. Such a case has the same object as its
    only reference.
    """

    @property
    def checks(self) -> Sequence[str]:
        """The names of the checks that it judges."""

    def answering(self, file: str, case: str, states_only: bool, mode: Any) -> Any:
        """Return the object that takes its place in a run; the arguments are those of
        `Case.answering`.
        """

    def judge(self, trial: Trial, cache: Any) -> Verdict:
        """Return the verdict of a trial; `cache` is the case's Cache."""


@dataclass(frozen=True)
class Contrast:
    """A linear combination of outputs, claimed to be 0 for a subject and not 0 for the case's
    network.

    It is the sum over the rows of inputs of a coefficient in `rows` times the output of that row.
    It is computed for each output of the head `head`, or of all heads if `head` is None. With
    `on_logits` the arguments of the outputs' logistic are combined instead. `asks` names the
    measured quantity in words.
    """

    name: str
    asks: str
    rows: tuple[float, ...]
    head: int | None = None
    on_logits: bool = False


@dataclass(frozen=True, eq=False)
class Case:
    """One question about every subject and every reference that can judge it, in every dtype.

    A subject is an implementation that is judged; a reference is an implementation that it is
    compared with. A reference may itself be a Subject. `expect` is the claimed answer. "equal"
    claims that subject and reference agree. "differs" claims that they do not, and passes only with
    a counterexample beyond the bounds: different outputs at one theta (the network's parameters in
    nnet's order), or a `contrast`.

    `problems` is a function, or several, from a formulation to stacks of problems. It may also be a
    Population: then the subjects are trainers. The default checks are then `final` (are the claimed
    loss and predictions of each trainer those of its final weights?) and `fit` (does training end
    as well?). The other checks of trainers are loss, gradient and step, at every state of a model's
    training.

    `question` is the sentence that the report answers; cases with the same question are answered
    together. `answer` makes a sentence of the case's rows in the report's table of changes, which
    is shown first. `known` is the reason why trials of the case are known to fail: a trial that
    fails is then KNOWN and does not fail the run, and the run fails once no trial fails any more. A
    Subject may have a `known` of its own.

    `settings` are torch's global settings at the time when the case was made; they hold while its
    models are built and evaluated. `file` is the file in which the case was verified, "" before
    that.
    """

    name: str
    network: Family
    subjects: Sequence[Any]
    references: Sequence[Any]
    problems: ProblemMaker | Sequence[ProblemMaker] | Population | SelfJudging
    expect: Literal["equal", "differs"] = "equal"
    question: str = ""
    checks: Sequence[Check] | None = None
    contrast: Contrast | None = None
    dtypes: Sequence[Dtype] = DTYPES
    answer: Callable[[Sequence[Row]], str] | None = None
    known: str = ""
    settings: Settings = field(default_factory=read_settings, repr=False)
    file: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        for each in ("name", "question", "known"):
            if isinstance(text := getattr(self, each), str):
                object.__setattr__(self, each, exact(text))

    def trials(self, devices: Sequence[str] = ("cpu",)) -> list[Trial]:
        """Return every trial of the case; trials that share work follow each other.

        Raises ValueError or TypeError, with a sentence, if the case names something that does not
        exist.
        """
        self._validate()
        trials: list[Trial] = []
        for subject in map(Subject.of, self.subjects):
            for device in devices:
                for dtype in self.dtypes:
                    trials += self._trials_of(subject, device, dtype)
        return trials

    def _trials_of(self, subject: Any, device: str, dtype: str) -> list[Trial]:
        """Return the trials of one subject on a device and in a dtype, ordered by check, then by
        reference.

        On a device other than the CPU, the subject itself on the CPU is a reference too, unless a
        difference is claimed or the check is `final` or `fit`.
        """
        trials = []
        for check in self._checks():
            for reference in self.references:
                trials.append(Trial(self, subject, reference, device, dtype, check))
            if device != "cpu" and self.expect != "differs" and check not in ENDS:
                model = subject.subject if isinstance(subject, Trained) else subject
                trials.append(Trial(self, subject, model, device, dtype, check, itself=True))
        return trials

    def answering(self, file: str, mode: Any) -> Case:
        """Return a copy of the case in which R's answers come from the source `mode`.

        `mode` is "live" (R itself), "recorded" (the recordings beside `file`), "auto" (R if it is
        installed, else the recordings), or an R session. Raises LookupError if R must be live and
        is not installed, and ValueError if the recording is damaged.
        """
        self._validate()
        visits = bool(self.population) and not self._trains_to_the_end()

        def answered(one: Any) -> Any:
            """Return the object that takes the place of `one`: `one` itself if it does not
            use R.
            """
            if not hasattr(one, "answering"):
                return one
            return one.answering(file, self.name, visits, mode)

        if self.judge is not None:
            judge = answered(self.judge)
            return replace(self, problems=judge, references=[judge], network=judge, file=file)
        return replace(
            self,
            subjects=[answered(one) for one in self.subjects],
            references=[answered(one) for one in self.references],
            file=file,
        )

    @property
    def population(self) -> Population | None:
        """The data and the criterion of a good fit by which trainers are judged; None if the case
        is not about training.
        """
        return self.problems if isinstance(self.problems, Population) else None

    @property
    def judge(self) -> SelfJudging | None:
        """The problems if they judge the trials of the case themselves, else None."""
        return cast(SelfJudging, self.problems) if hasattr(self.problems, "judge") else None

    def _checks(self) -> Sequence[str]:
        if self.judge is not None:
            return self.judge.checks
        if self.contrast:
            return (self.contrast.name,)
        if self.expect == "differs" and not self.population:
            return ("forward",)
        if self.checks is not None:
            return self.checks
        return ENDS if self.population else QUANTITIES

    def _trains_to_the_end(self) -> bool:
        return bool(set(self._checks()) & set(ENDS))

    def make_problems(self, formulation: Formulation) -> list[Problem]:
        """Return the problems (each a stack of single ones) for a formulation: a map from own
        parameters to the network's.

        Raises TypeError if a function in `problems` returns anything but a list of problems, and
        ValueError if there are no problems at all.
        """
        assert not isinstance(self.problems, Population)
        makers = self.problems if isinstance(self.problems, Sequence) else [self.problems]
        problems: list[Problem] = []
        for make in makers:
            assert callable(make)
            with users():
                stack = make(formulation)
            if not _are_problems(stack):
                raise TypeError(f"its problems are {shown(stack)}, expected a list of problems")
            problems += stack
        if not problems:
            raise ValueError(
                "its probes made no problem, expected at least one: choose other kinds"
            )
        return problems

    def _validate(self) -> None:
        """Check every argument of the case.

        Raises ValueError or TypeError, with a sentence that names the case and the argument.
        """
        who = f"case {shown(self.name, MOST_SAID)}"
        self._validate_lists(who)
        if self.judge is None:
            self._validate_network(who)
            self._validate_problems(who)
            self._validate_training(who)
            self._validate_references(who)
            self._validate_contrast(who)
        self._validate_words(who)
        self._validate_names(who)
        for what, text in (("question", self.question), ("known", self.known)):
            if not isinstance(text, str):
                raise TypeError(f"{who} has the {what} {shown(text)}, expected text")

    def _validate_lists(self, who: str) -> None:
        lists = {"subjects": self.subjects, "references": self.references, "dtypes": self.dtypes}
        for what, found in (lists | {"checks": self._checks()}).items():
            if isinstance(found, str) or not isinstance(found, Sequence):
                raise TypeError(f"{who}: {what} is {shown(found)}, expected a list: {what}=[...]")
            if not found:
                raise ValueError(
                    f"{who} has no {what}, expected at least one: no evidence is not a pass"
                )

    def _validate_network(self, who: str) -> None:
        if not hasattr(self.network, "oracle"):
            found = shown(self.network)
            raise TypeError(
                f"{who}: network is {found}, expected a Network (from nnet_parity import Network)"
            )

    def _validate_problems(self, who: str) -> None:
        makers = self.problems if isinstance(self.problems, Sequence) else [self.problems]
        good = [callable(maker) or isinstance(maker, Population) for maker in makers]
        if not good or not all(good):
            found = shown(self.problems)
            raise TypeError(
                f"{who}: problems is {found}, expected probes(...), or a function of a formulation"
            )

    def _validate_references(self, who: str) -> None:
        for reference in self.references:
            answers = hasattr(reference, "observe") or hasattr(reference, "fit")
            if hasattr(reference, "named_parameters"):
                raise TypeError(
                    f"{who} names the reference {shown(reference)}, a PyTorch model: write"
                    " Subject(...) around its class, or compare two models by same(...)"
                )
            if isinstance(reference, type) or not answers:
                raise TypeError(
                    f"{who} names the reference {shown(reference)}, which is not known: expected"
                    " r_nnet, numpy_net (from nnet_parity import r_nnet, numpy_net), or an object"
                    " like them"
                )

    def _validate_words(self, who: str) -> None:
        """Raise ValueError unless the checks, the dtypes and the claimed answer are known words.

        `who` is the case's name in messages.
        """
        checks: Sequence[str] = (*LOCKSTEP, *ENDS) if self.population else QUANTITIES
        if self.judge is not None:
            checks = self.judge.checks
        dtypes = DTYPES if self.population or self.contrast else tuple(PRECISION)
        for what, given, known in (
            ("check", self.checks or (), checks),
            ("dtype", self.dtypes, dtypes),
            ("expect", (self.expect,), ("equal", "differs")),
        ):
            for word in given:
                if word not in known:
                    raise ValueError(
                        f"{who}: {what} {shown(word)} is not known, expected {' or '.join(known)}"
                    )

    def _validate_contrast(self, who: str) -> None:
        """Raise ValueError unless the network has the head of the contrast.

        `who` is the case's name in messages.
        """
        heads = len(self.network.outputs)
        head = self.contrast.head if self.contrast else None
        if head is not None and not 0 <= head < heads:
            found = f"the network has {heads} head{'s' if heads > 1 else ''}"
            raise ValueError(
                f"{who}: contrast is of head {head}, {found}: expected 0 to {heads - 1}"
            )

    def _validate_names(self, who: str) -> None:
        """Check that each name is text on one line, and that no two subjects or references share a
        name.

        `who` is the case's name in messages.
        """
        named = {
            "subjects": [Subject.of(subject).name for subject in self.subjects],
            "cases": [self.name],
            "references": [reference.name for reference in self.references],
            "contrasts": [self.contrast.name] if self.contrast else [],
        }
        for what, names in named.items():
            for name in names:
                if not isinstance(name, str) or len(name.splitlines()) != 1:
                    raise TypeError(
                        f"{who} has {what} called {shown(name)}, expected text on one line"
                    )
            lines = list(map(one_line, names))
            if twice := sorted({name for name in lines if lines.count(name) > 1}):
                raise ValueError(
                    f"{who} has two {what} called {twice[0]!r}, expected a name for each"
                )

    def _validate_training(self, who: str) -> None:
        """Check that trainers have a Population, and that a Population has trainers.

        `who` is the case's name in messages.
        """
        ends, width = self._trains_to_the_end(), sum(self.network.inputs)
        if self.population and self.population.grid.shape[1] != width:
            raise ValueError(
                f"{who}: grid has shape {self.population.grid.shape}, expected (points, {width})"
            )
        for what, given in (("subject", self.subjects), ("reference", self.references)):
            for one in given:
                trains = hasattr(one, "fit")
                found = getattr(one, "name", getattr(one, "__name__", one))
                if trains and not self.population:
                    raise TypeError(
                        f"{who}: {what} {shown(found, say=str)} is trained, expected a Population"
                        " as its problems"
                    )
                if trains and what == "reference" and set(self._checks()) & set(LOCKSTEP):
                    raise TypeError(
                        f"{who}: reference {shown(found, say=str)} is trained, expected numpy_net"
                        " or r_nnet where single steps are judged: whether two trainings take the"
                        " same steps shows with both as subjects, by one recipe"
                    )
                if not trains and self.population and (ends or what == "subject"):
                    steps = "" if what == "subject" else STEPS_ALONE
                    raise TypeError(
                        f"{who}: {what} {shown(found, say=str)} is not trained, expected"
                        f" Trained(...) or a trainer{steps}"
                    )


def _are_problems(made: object) -> bool:
    if not isinstance(made, Sequence):
        return False
    return all(isinstance(problem, Problem) for problem in made)


@dataclass(frozen=True, eq=False)
class Trial:
    """One item of pytest: one check of one subject against one reference, on a device, in a dtype.

    `marked` is the reason of a pytest mark by which the trial is expected to fail, or "". `itself`
    says that the reference is the subject itself on the CPU. `impossible` says why the trial can
    never be judged, "" if it may be.
    """

    case: Case
    subject: Any
    reference: Any
    device: str
    dtype: str
    check: str
    marked: str = ""
    itself: bool = False
    impossible: str = ""

    @property
    def contract(self) -> Contract:
        """The contract of the subject in this dtype: the arithmetic that it promises."""
        promised: Contract = self.subject.contract(self.dtype)
        return promised

    @property
    def against(self) -> Any:
        """Return the name of the reference; "cpu" for the subject itself on the CPU."""
        return "cpu" if self.itself else self.reference.name

    @property
    def id(self) -> str:
        """Return a stable and readable name: `SineNet-cpu-float32-gradient-vs-r_nnet`."""
        return f"{self.subject.name}-{self.device}-{self.dtype}-{self.check}-vs-{self.against}"

    @property
    def known(self) -> str:
        """Return why the trial is known to fail, by its mark, subject or case; "" if it is expected
        to pass.
        """
        return self.marked or getattr(self.subject, "known", "") or self.case.known
