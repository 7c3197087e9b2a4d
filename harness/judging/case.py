"""A question of a model, and what `pytest` makes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from harness.core.contract import DTYPES, PRECISION
from harness.core.formulation import Family, Formulation
from harness.core.implementation import Reference
from harness.core.numpy_errors import users
from harness.core.problem import QUANTITIES, STEP, Problem
from harness.core.report import Row
from harness.pytorch.errors import MOST_SAID
from harness.pytorch.settings import Settings, read_settings
from harness.pytorch.subject import SameOnCpu, Subject
from harness.text.harmless import exact, one_line, shown
from harness.training.trained import Trained
from harness.training.trainer import Population

ProblemMaker = Callable[[Formulation], Sequence[Problem]]
ENDS = ("final", "fit")  # checks of what training came to
# checks of a model in training, at every state that it visits
LOCKSTEP = ("loss", "gradient", STEP)


@dataclass(frozen=True)
class Contrast:
    """A combination of rows of the outputs that is claimed to be 0 for a subject and is not for the
    case's network.

    `rows` are the coefficients; `head` the only head looked at, all when None. `on_logits` undoes a
    logistic output first. `asks` says in words what the combination measures.
    """

    name: str
    asks: str
    rows: tuple[float, ...]
    head: int | None = None
    on_logits: bool = False


@dataclass(frozen=True, eq=False)
class Case:
    """One question, asked of every subject and every reference that can judge it, in every dtype.

    `expect` is the answer claimed: "equal", or "differs", which passes only with a counterexample
    beyond the bounds: outputs at one theta, or a `contrast`. `problems` makes the stacks of a
    formulation, one maker or several, or is a Population, on which trainers are judged: `final` (is
    the loss that each claims that of its weights, and are its predictions?) and `fit` (do as many
    starts end well?) by default; or loss, gradient and step at every state that a model visits in
    training. A reference may be a Subject: then that model itself. `question` is the sentence that
    the report answers; cases that share one are answered together. `answer` makes a sentence of the
    case's rows of the table of changes, which then comes first. `known` says why trials are known
    to fail: those that do are KNOWN and fail nothing, and the run fails when none does any more. A
    Subject has a `known` of its own. `settings` are what torch as a whole is told while the case's
    models are built and asked: what it was told when the case was verified.
    """

    name: str
    network: Family
    subjects: Sequence[Any]
    references: Sequence[Any]
    problems: ProblemMaker | Sequence[ProblemMaker] | Population
    expect: str = "equal"
    question: str = ""
    checks: Sequence[str] | None = None
    contrast: Contrast | None = None
    dtypes: Sequence[str] = DTYPES
    answer: Callable[[Sequence[Row]], str] | None = None
    known: str = ""
    settings: Settings = field(default_factory=read_settings, repr=False)

    def __post_init__(self) -> None:
        for each in ("name", "question", "known"):
            if isinstance(text := getattr(self, each), str):
                object.__setattr__(self, each, exact(text))

    def trials(self, devices: Sequence[str] = ("cpu",)) -> list[Trial]:
        """Every trial of the case, those that share work side by side.

        Raises ValueError or TypeError, in a sentence, when the case asks for something that is not
        there.
        """
        self._validate()
        trials: list[Trial] = []
        for subject in map(Subject.of, self.subjects):
            for device in devices:
                for dtype in self.dtypes:
                    trials += self._trials_of(subject, device, dtype)
        return trials

    def _trials_of(self, subject: Any, device: str, dtype: str) -> list[Trial]:
        """The trials of one subject on a device and in a dtype, by check and reference."""
        trials = []
        for check in self._checks():
            for reference in self._references(subject, check, device, dtype):
                trials.append(Trial(self, subject, reference, device, dtype, check))
        return trials

    def answering(self, file: str, mode: Any) -> Case:
        """The case with everyone who asks R answered as `mode` says: auto, live, recorded, or a
        session of R's to be asked.

        Raises LookupError if R must be live and is not here, ValueError if the recording is not
        sound.
        """
        self._validate()
        visits = bool(self.population) and not self._trains_to_the_end()

        def answered(one: Any) -> Any:
            """Who answers in the place of one, itself if it does not ask R."""
            if not hasattr(one, "answering"):
                return one
            return one.answering(file, self.name, visits, mode)

        return replace(
            self,
            subjects=[answered(one) for one in self.subjects],
            references=[answered(one) for one in self.references],
        )

    @property
    def population(self) -> Population | None:
        """What its trainers are given; None if it is not about training."""
        return self.problems if isinstance(self.problems, Population) else None

    def _checks(self) -> Sequence[str]:
        if self.contrast:
            return (self.contrast.name,)
        if self.expect == "differs" and not self.population:
            return ("forward",)
        if self.checks is not None:
            return self.checks
        return ENDS if self.population else QUANTITIES

    def _trains_to_the_end(self) -> bool:
        return bool(set(self._checks()) & set(ENDS))

    def _references(self, subject: Any, check: str, device: str, dtype: str) -> list[Reference]:
        """Those of the case; on another device than the CPU also the subject itself on the CPU."""
        references: list[Reference] = []
        for one in self.references:
            is_model = isinstance(one, Subject)
            references.append(SameOnCpu(one, dtype, one.name) if is_model else one)
        if device != "cpu" and self.expect != "differs" and check not in ENDS:
            model = subject.subject if isinstance(subject, Trained) else subject
            references.append(SameOnCpu(model, dtype))
        return references

    def make_problems(self, formulation: Formulation) -> list[Problem]:
        """The stacks of problems for a formulation.

        Raises TypeError if a maker gives something else, ValueError if they make none.
        """
        assert not isinstance(self.problems, Population)
        makers = [self.problems] if callable(self.problems) else self.problems
        problems: list[Problem] = []
        for make in makers:
            with users():
                made = make(formulation)
            if not _are_problems(made):
                raise TypeError(f"its problems are {shown(made)}, expected a list of problems")
            problems += made
        if not problems:
            raise ValueError(
                "its probes made no problem, expected at least one: choose other kinds"
            )
        return problems

    def _validate(self) -> None:
        """Raise ValueError or TypeError, in a sentence that names the case and the argument."""
        who = f"case {shown(self.name, MOST_SAID)}"
        self._validate_lists(who)
        self._validate_network(who)
        self._validate_problems(who)
        self._validate_training(who)
        self._validate_references(who)
        self._validate_words(who)
        self._validate_contrast(who)
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
            answers = (
                isinstance(reference, Subject)
                or hasattr(reference, "observe")
                or hasattr(reference, "fit")
            )
            if isinstance(reference, type) or not answers:
                raise TypeError(
                    f"{who} names the reference {shown(reference)}, which is not known: expected"
                    " r_nnet, numpy_net (from nnet_parity import r_nnet, numpy_net), or an object"
                    " like them"
                )

    def _validate_words(self, who: str) -> None:
        """Checks, dtypes and the claim are among those that are known."""
        checks = (*LOCKSTEP, *ENDS) if self.population else QUANTITIES
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
        """The head that it looks at exists."""
        heads = len(self.network.outputs)
        head = self.contrast.head if self.contrast else None
        if head is not None and not 0 <= head < heads:
            found = f"the network has {heads} head{'s' if heads > 1 else ''}"
            raise ValueError(
                f"{who}: contrast is of head {head}, {found}: expected 0 to {heads - 1}"
            )

    def _validate_names(self, who: str) -> None:
        """Each is text on one line, and one of its kind."""
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
        """Trainers are asked on a Population, and a Population needs trainers."""
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
                if not trains and self.population and (ends or what == "subject"):
                    raise TypeError(
                        f"{who}: {what} {shown(found, say=str)} is not trained, expected"
                        " Trained(...) or a trainer"
                    )


def _are_problems(made: object) -> bool:
    if not isinstance(made, Sequence):
        return False
    return all(isinstance(problem, Problem) for problem in made)


@dataclass(frozen=True, eq=False)
class Trial:
    """Case x subject x reference x device x dtype x check: one pytest item.

    `marked` is why a mark of pytest's says that it is expected to fail.
    """

    case: Case
    subject: Any
    reference: Any
    device: str
    dtype: str
    check: str
    marked: str = ""

    @property
    def id(self) -> str:
        """Stable and readable: `SineNet-cpu-float32-gradient-vs-r_nnet`."""
        return (
            f"{self.subject.name}-{self.device}-{self.dtype}-{self.check}-vs-{self.reference.name}"
        )

    @property
    def known(self) -> str:
        """Why it is known to fail, as its mark, subject or case says; "" if it is to pass."""
        return self.marked or getattr(self.subject, "known", "") or self.case.known
