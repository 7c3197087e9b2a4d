"""The case that compares two PyTorch models: `same(MyModel, Original, data=(32, 10))`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Self

from harness.core.contract import Contract
from harness.core.formulation import Family
from harness.core.implementation import Missing
from harness.core.verdict import Status, Verdict
from harness.evaluating.given import (
    MODES,
    Given,
    Mode,
    find_dtypes,
    is_module,
    make_factory,
    read_dtype,
    read_dtypes,
    read_words,
)
from harness.judging.cache import Cache
from harness.judging.case import Case, Trial
from harness.judging.comparison import blank, failure
from harness.judging.store import Key, Same
from harness.model.errors import raised, words_of
from harness.pytorch.subject import Subject
from harness.waiting.progress import Say, patient

QUESTIONS = ("same-function", "well-computed", "precision-kept")


@dataclass(frozen=True)
class ModelsOf(Key[Any]):
    """Cache key for both models after preparation, or the reason why they cannot be compared."""

    judge: Same


@dataclass(frozen=True)
class EvidenceIn(Key[Any]):
    """Cache key for the results of both models on a device, in a dtype and a mode."""

    judge: Same
    device: str
    dtype: str
    mode: str


def same(
    model: Any,
    reference: Any,
    *,
    data: Any,
    targets: Any = None,
    loss: Any = None,
    parameters: Any = None,
    dtypes: Any = None,
    reference_dtype: Any = "",
    modes: Mode | Sequence[Mode] = MODES,
    draws: int = 2,
    precision_lost: str = "",
    own_backward: str = "",
    memory: float = 4.0,
    name: str = "",
    known: str = "",
) -> Case:
    """Return the case that compares two PyTorch models.

    It asks whether both are the same function of the same parameters, and whether the first
    computes it as well.

    `model` and `reference` are nn.Module classes, functions that build one, or modules. `data` are
    the arguments of both: a tensor, a tuple of arguments, a dict of arguments by name, a list of
    batches of these, or a function of a torch.Generator. Instead of a tensor it may hold a shape,
    (32, 10), or words: "integers 0..99 (32, 10)". `loss(output, targets)`, or `loss(output)`
    without targets, is differentiated; by default a random weighted sum of all outputs is.

    `parameters` maps the reference's parameters to the model's. It is a function from the
    reference's state_dict to the model's, written in torch operations, or a dict by the model's
    names: {"fc.weight": "net.0.weight.T", ...}. By default the map is found by names and shapes,
    else by trying, and the result is printed. "as built" compares both with their present numbers.

    Both models are evaluated in each of `modes`: in train(), and in eval(). `dtypes` are the dtypes
    of both. The default is float64 and float32, or the dtype of a given module if it is narrower; a
    dtype that a function gives to its module does not count. Of the default, a dtype in which a
    model does not run is not applicable; a named dtype is BROKEN. `reference_dtype` is the
    dtype of the reference if it is another. Dtypes are names, as "bfloat16", or torch dtypes.
    `draws` is the number of random draws of parameters besides those as built.

    `precision_lost` is the reason why the model loses digits on purpose. `own_backward` is the
    reason why an autograd Function of the model has a backward pass other than its derivative, such
    as a straight-through estimator. `memory` is the limit in GiB above which models are refused.
    `known` is the reason why the case is known to fail.

    Raises ValueError or TypeError, with a sentence, for wrong arguments.
    """
    build, called = make_factory(model, "the model")
    build_reference, called_reference = make_factory(reference, "the reference")
    if called == called_reference:
        called_reference += "-reference"
    given = Given(
        build,
        build_reference,
        called,
        called_reference,
        data,
        targets,
        loss,
        parameters,
        draws,
        memory,
        read_words("modes", modes, MODES),
        is_module(model) and is_module(reference),
        read_dtype(reference_dtype),
        precision_lost,
        own_backward,
        dtypes is not None,
    )
    judge = SameModels(given)
    return Case(
        name=name or f"{called} = {called_reference}",
        network=judge,  # type: ignore[arg-type] # it has no equations
        subjects=[Subject(build, name=called, known=known)],
        references=[judge],
        problems=judge,
        dtypes=find_dtypes([model, reference]) if dtypes is None else read_dtypes(dtypes),
        question=f"{called} = {called_reference}?",
    )


@dataclass(frozen=True, eq=False)
class SameModels:
    """A comparison of two models. It is the only reference of its case, and judges the case's
    trials itself.
    """

    given: Given = field(repr=False)
    source: str = "computed"

    @property
    def name(self) -> str:
        return self.given.name_reference

    @property
    def checks(self) -> tuple[str, ...]:
        """The names of the checks in each mode, such as "same-function-train"."""
        return tuple(f"{question}-{mode}" for mode in self.given.modes for question in QUESTIONS)

    def title(self) -> str:
        """Return the reference's name."""
        return self.given.name_reference

    def sentence(self) -> str:
        return f"the model {self.given.name_reference}"

    def contract(self, dtype: str = "float64") -> Contract:
        return Contract(self.given.reference_dtype or dtype)

    def cannot_answer(
        self, network: Family, quantity: str, dtype: str = "float64", device: str = "cpu"
    ) -> str | None:
        return None

    def answering(self, file: str, case: str, states_only: bool, mode: Any) -> Self:
        """Return this object unchanged, since it does not use R."""
        return self

    def judge(self, trial: Trial, cache: Cache) -> Verdict:
        """Return the verdict of a trial; BROKEN if the models cannot be built or called."""
        from harness.same.verdicts import judge_models

        models = cache.get_or_make(ModelsOf(Same(self)), self.try_models)
        if isinstance(models, Missing):
            if models.status is Status.ABSENT:
                return blank(trial, models.status, models.why)
            return failure(trial, models.status, models.why)
        question, _, mode = trial.check.rpartition("-")
        for side in (models.reference, models.subject):
            if mode in side.errors:
                return failure(trial, Status.BROKEN, side.errors[mode])
        key = EvidenceIn(Same(self), trial.device, trial.dtype, mode)
        known: list[Any] = []
        for other in MODES:
            found = cache.get(EvidenceIn(Same(self), trial.device, trial.dtype, other))
            known += getattr(found, "results", ())
        say = patient(lambda how: cache.say(f"{trial.case.name}: {how}"))
        make = partial(self.find_evidence, models, trial, mode, known, say)
        evidence = cache.get_or_make(key, make)
        if isinstance(evidence, Missing):
            if evidence.status is Status.ABSENT:
                return replace(blank(trial, evidence.status, evidence.why), applicable=False)
            return failure(trial, evidence.status, evidence.why)
        return judge_models(trial, models, evidence, question, mode)

    def try_models(self) -> Any:
        """Return both models after preparation, or the reason why they cannot be compared."""
        from harness.mapping.models import TooLarge, prepare

        try:
            return prepare(self.given)
        except TooLarge as error:
            return Missing(Status.ABSENT, str(error))
        except (ValueError, TypeError) as error:
            if isinstance(error.__cause__, TooLarge):
                return Missing(Status.ABSENT, str(error.__cause__))
            return Missing(Status.BROKEN, words_of(error))
        except Exception as error:  # a user's model may raise anything
            return Missing(Status.BROKEN, raised(error))

    def find_evidence(
        self, models: Any, trial: Trial, mode: str, known: Sequence[Any], say: Say
    ) -> Any:
        """Return the results of all evaluations in the trial's dtype and device and in a mode, or
        the reason why there are none.

        `known` has the results of the other mode. `say` gets progress messages.
        """
        from harness.evaluating.fixed_dtype import describe_refusals
        from harness.matching.asking import Asker, list_calls_in_float64
        from harness.matching.points import list_asks
        from harness.matching.respondent import Setting
        from harness.matching.result import AS_BUILT
        from harness.model.devices import kind_of
        from harness.same.evidence import Evidence

        setting = Setting(
            trial.dtype, self.given.reference_dtype or trial.dtype, trial.device, mode
        )
        try:
            with kind_of(trial.device).hold_precision(trial.device, trial.dtype):
                asker = Asker(models, setting, known, say)
                results = []
                for ask in list_asks(models):
                    say(describe_point(trial.dtype, mode, ask.label))
                    results.append(asker.ask(ask))
                if "float64" not in trial.case.dtypes and not any(each.calls for each in results):
                    say(describe_point("float64", mode, AS_BUILT))
                    results[0] = replace(results[0], calls=list_calls_in_float64(models, setting))
            evidence = Evidence(results)
            asked = (models.reference, setting.dtype_reference), (models.subject, setting.dtype)
            if evidence.broken and (refusal := describe_refusals(asked, self.given, mode)):
                named = self.given.dtypes_named
                return Missing(Status.BROKEN if named else Status.ABSENT, refusal)
            return evidence
        except Exception as error:  # a user's model may raise anything
            return Missing(Status.BROKEN, raised(error))


def describe_point(dtype: str, mode: str, label: str) -> str:
    """Return the line of progress on the parameters (`label`) with which models are evaluated."""
    return f"{dtype}, {mode}(): parameters {label}"
