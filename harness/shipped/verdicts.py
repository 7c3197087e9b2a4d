"""The verdicts on a port that ships with weights of its own.

`predictions` compares what it predicts with what the fitted object predicts, `value` its loss on
the fitted rows with the loss that the fit claims, and `parameters` its weights with the fitted
ones. In shapes, R counts rows and O outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.core.contract import NNET_CLIP, Bounded, Contract
from harness.core.finding import Form, Hint, HintKind
from harness.core.implementation import Missing
from harness.core.judge import Judgement, Side, judge, outside
from harness.core.problem import Problem
from harness.core.progress import patient
from harness.core.verdict import Status, Verdict
from harness.core.wording import with_finding
from harness.judging.cache import Cache
from harness.judging.case import Trial
from harness.judging.comparison import blank, failure, finding_of, measured_verdict, missing
from harness.judging.store import Key, Same
from harness.shipped.asking import Port, Predicted, build, predict
from harness.shipped.sensitivity import Sensitivity, measure_sensitivity
from harness.shipped.truth import R_CONTRACT, Equivalent, Table, Truth
from harness.shipped.weights import FIFTEEN_DIGITS, Held, compare_weights, read_weights

ROUNDINGS = 16  # on a path through a port, beyond those of the network's longest sum
CLIPPED_OFF = 3.06e-7  # 1 / (1 + exp(15)): what nnet's clip takes off a logistic unit, at most
PREDICTIONS, VALUE, PARAMETERS = CHECKS = ("predictions", "value", "parameters")


@dataclass(frozen=True)
class BuiltPort(Key[Port | Missing]):
    """Cache key for a port, built on a device."""

    subject: str
    device: str


@dataclass(frozen=True)
class PortPredictions(Key[list[Predicted] | Missing]):
    """Cache key for a port's predictions for the rows of each table."""

    subject: str
    device: str


@dataclass(frozen=True)
class HeldWeights(Key[Held | Missing]):
    """Cache key for the weights that a port holds."""

    subject: str
    device: str


@dataclass(frozen=True)
class SensitivityOf(Key[Sensitivity]):
    """Cache key for the sensitivity of a port's predictions on a table."""

    subject: str
    device: str
    table: Same


@dataclass(frozen=True)
class Cause(Key[str]):
    """Cache key for the misreading that explains a port, in words."""

    subject: str
    device: str


@dataclass(frozen=True, eq=False)
class Asked:
    """A port and the truth about it, in one trial."""

    trial: Trial
    cache: Cache
    truth: Truth

    @property
    def port(self) -> Port | Missing:
        trial = self.trial
        key = BuiltPort(trial.subject.name, trial.device)
        network, device = self.truth.network, trial.device
        return self.cache.get_or_make(key, lambda: build(trial.subject, network, device))

    @property
    def predicted(self) -> list[Predicted] | Missing:
        key = PortPredictions(self.trial.subject.name, self.trial.device)
        return self.cache.get_or_make(key, self._predict)

    def _predict(self) -> list[Predicted] | Missing:
        port, width = self.port, sum(self.truth.network.outputs)
        if isinstance(port, Missing):
            return port
        predicted = []
        for table in self.truth.tables:
            one = predict(port, table, width, self.trial.dtype)
            if isinstance(one, Missing):
                return one
            predicted.append(one)
        return predicted

    @property
    def contracts(self) -> list[Contract]:
        """The contracts that a right port may have: with nnet's clip of the logistic, or without,
        unless the subject says which.
        """
        promised = self.trial.subject.contract(self.trial.dtype)
        if promised.logistic_clip is not None:
            return [promised]
        return [replace(promised, logistic_clip=NNET_CLIP), promised]

    def predictions_of(self, table: Table, contract: Contract) -> tuple[Bounded, Bounded]:
        """Return the bounds (1, R, O) on the port's predictions, and on those of the fitted object.

        Where the inputs of the network are not known, they follow from the port's derivatives, see
        `sensitivity`; a port without nnet's clip may then differ by as much as the clip makes.
        """
        truth, dtype = self.truth, self.trial.dtype
        if table.inputs is None:
            mine, theirs = self._of_derivatives(table, contract)
        else:
            mine = self.bounds(truth.problem(table, dtype, form=self.form), contract)["forward"]
            theirs = self.bounds(truth.exact_problem(table), R_CONTRACT)["forward"]
        if table.digits is not None:
            theirs = Bounded(theirs.value, theirs.error + table.digits[None])
        return mine, theirs

    def _of_derivatives(self, table: Table, contract: Contract) -> tuple[Bounded, Bounded]:
        port, truth = self.port, self.truth
        assert isinstance(port, Port)
        key = SensitivityOf(self.trial.subject.name, self.trial.device, Same(table))
        width = table.predictions.shape[1]
        sizes = self.cache.get_or_make(
            key, lambda: measure_sensitivity(port, table, width, self.trial.dtype)
        )
        own = [contract.roundoff]
        if truth.stored:
            own.append(Contract(truth.stored).roundoff)
        roundings = truth.network.widest + ROUNDINGS
        clip = 0.0
        if contract.logistic_clip is None and sizes.may_clip:
            clip = CLIPPED_OFF * abs(truth.theta).sum()
        value = table.predictions[None]
        mine = roundings * max(own) * sizes.sizes[None] + clip
        theirs = roundings * R_CONTRACT.roundoff * sizes.sizes[None]
        return Bounded(value, mine), Bounded(value, theirs)

    def bounds(self, problem: Problem, contract: Contract) -> dict[str, Bounded]:
        network = problem.formulation.network
        return network.oracle(problem, contract)

    def name(self, table: Table, index: tuple[int, ...]) -> str:
        """Return the name of a prediction, such as `mpg[row 3] (your rows)`."""
        _, row, output = index
        return f"{self.truth.responses[output]}[row {table.places[row]}] ({table.name})"

    @property
    def held(self) -> Held | Missing:
        key = HeldWeights(self.trial.subject.name, self.trial.device)
        return self.cache.get_or_make(key, self._read_weights)

    def _read_weights(self) -> Held | Missing:
        port = self.port
        if isinstance(port, Missing):
            return port
        return read_weights(self.trial.subject, port, self.truth)

    @property
    def form(self) -> Equivalent | None:
        """The form of the fitted weights with which the port computes; None if it holds others."""
        held = self.held
        if isinstance(held, Missing):
            return None
        compared = compare_weights(held, self.truth)
        return compared.form if compared.same else None

    def explain(self) -> str:
        """Return the misreading that explains the port's predictions or weights, "" if none."""
        trial = self.trial
        predicted, held = self.predicted, self.held
        if isinstance(predicted, Missing):
            return ""
        say = patient(lambda how: self.cache.say(f"{trial.case.name}: {how}"))
        theta = None if isinstance(held, Missing) else held.theta
        outputs = [one.outputs for one in predicted]
        key = Cause(trial.subject.name, trial.device)
        return self.cache.get_or_make(
            key, lambda: self.truth.explain(self.truth, outputs, theta, say)
        )


def judge_port(trial: Trial, cache: Cache, truth: Truth) -> Verdict:
    """Return the verdict on one of CHECKS."""
    asked = Asked(trial, cache, truth)
    judges: dict[str, Callable[[Asked], Verdict]] = {
        PREDICTIONS: _judge_predictions,
        VALUE: _judge_value,
        PARAMETERS: _judge_parameters,
    }
    return replace(judges[trial.check](asked), caveat=truth.caveat)


def _judge_predictions(asked: Asked) -> Verdict:
    trial, predicted = asked.trial, asked.predicted
    if isinstance(predicted, Missing):
        return missing(trial, _named(predicted, trial), trial.check)
    if said := _find_missing_rows(asked, predicted):
        return failure(trial, Status.FAIL, said)
    judgement, contract = _judge_under_any(asked, predicted)
    table = asked.truth.tables[judgement.stack]
    verdict = measured_verdict(trial, judgement, asked.name(table, judgement.index))
    if judgement.status is Status.FAIL:
        finding = finding_of(verdict, trial, Form.OUTSIDE, trial.check)
        hints = _hints(asked, predicted)
        return with_finding(
            verdict, replace(finding, witness="R", blamed=judgement.outside, hints=hints)
        )
    if said := _find_other_outputs(asked, predicted, contract):
        return failure(trial, Status.FAIL, said)
    if judgement.status is not Status.PASS:
        why = "the bound of its predictions is too wide, or all of them are 0: give other rows"
        return replace(verdict, why=why)
    return replace(verdict, why=_describe_pass(asked, judgement, contract))


def _named(answer: Missing, trial: Trial) -> Missing:
    return replace(answer, why=f"{trial.subject.name} {answer.why}")


def _judge_under_any(asked: Asked, predicted: Sequence[Predicted]) -> tuple[Judgement, Contract]:
    """Judge the predictions under the first contract by which they are right, else the nearest."""
    judged = []
    for contract in asked.contracts:
        judgement = _judge_under(asked, predicted, contract)
        if judgement.status is not Status.FAIL:
            return judgement, contract
        judged.append((judgement, contract))
    return min(judged, key=lambda each: each[0].budget_used)


def _judge_under(asked: Asked, predicted: Sequence[Predicted], contract: Contract) -> Judgement:
    """Judge the predictions under one contract of the port."""
    subjects, references, owners = [], [], []
    for table, one in zip(asked.truth.tables, predicted, strict=True):
        mine, theirs = asked.predictions_of(table, contract)
        subjects.append(Side(one.outputs[None], mine))
        references.append(Side(table.predictions[None], theirs))
        columns = np.arange(one.outputs.shape[1], dtype=np.intp)
        owners.append(np.broadcast_to(columns, one.outputs.shape))
    return judge(subjects, references, owners, contract.largest)


def _find_missing_rows(asked: Asked, predicted: Sequence[Predicted]) -> str:
    """Return a sentence if the port predicts a number for a row with a missing value, else ""."""
    for table, one in zip(asked.truth.tables, predicted, strict=True):
        if one.incomplete is None:
            continue
        where = f"row {table.incomplete_places[0]} ({table.name})"
        says = "has a missing value, for which R's predict() gives NA"
        if isinstance(one.incomplete, Missing):
            return f"{where} {says}; {asked.trial.subject.name} {one.incomplete.why}"
        numbers = np.argwhere(np.isfinite(one.incomplete))
        if len(numbers):
            row, output = numbers[0]
            where = f"row {table.incomplete_places[row]} ({table.name})"
            got = one.incomplete[row, output]
            return f"{where} {says}; {asked.trial.subject.name} gives {got:.5g}, expected NaN"
    return ""


def _find_other_outputs(asked: Asked, predicted: Sequence[Predicted], contract: Contract) -> str:
    """Return a sentence if another call of the port gives predictions outside their bounds."""
    for table, one in zip(asked.truth.tables, predicted, strict=True):
        bound, _ = asked.predictions_of(table, contract)
        for words, rows, outputs in one.others:
            part = Bounded(bound.value[0, rows], bound.error[0, rows])
            if outside(outputs, part, contract.largest):
                return f"{asked.trial.subject.name} gave other predictions {words}"
    return ""


def _describe_pass(asked: Asked, judgement: Judgement, contract: Contract) -> str:
    trial, truth = asked.trial, asked.truth
    counts = [f"{table.name} ({len(table.places)})" for table in truth.tables]
    said = f"inside: {judgement.budget_used:.2g} of what {trial.dtype} may differ by"
    said += f", on {' and '.join(counts)}"
    stored = truth.stored or (trial.dtype if trial.dtype != "float64" else "")
    if stored:
        said += f"; weights of {stored} may make up to {_storage(asked, contract):.1e} of it"
    if (share := judgement.contract_share) > judgement.allowed / 2:
        said += f"; {share:.1e} of it is nnet's clip, which the port does not copy"
    return said


def _storage(asked: Asked, contract: Contract) -> float:
    """Return the largest bound of a prediction, of which the storage of the weights is a part."""
    most = 0.0
    for table in asked.truth.tables:
        bound, _ = asked.predictions_of(table, contract)
        most = max(most, float(bound.error.max()))
    return most


def _hints(asked: Asked, predicted: Sequence[Predicted]) -> tuple[Hint, ...]:
    """Return what explains wrong predictions: a misreading, and whether formula or weights are
    wrong.
    """
    hints = []
    if cause := asked.explain():
        hints.append(Hint(HintKind.LIKELY, cause))
    held = asked.held
    if isinstance(held, Missing):
        return tuple(hints)
    if said := _formula_or_weights(asked, predicted, held):
        hints.append(Hint(HintKind.NOTE, said))
    return tuple(hints)


def _formula_or_weights(asked: Asked, predicted: Sequence[Predicted], held: Held) -> str:
    """Return a sentence on whether the port computes the network at its own weights."""
    name = asked.trial.subject.name
    for contract in asked.contracts:
        same = True
        for table, one in zip(asked.truth.tables, predicted, strict=True):
            if table.inputs is None:
                return ""
            problem = replace(asked.truth.problem(table, asked.trial.dtype), own=held.theta[None])
            bound = asked.bounds(problem, contract)["forward"]
            same = same and not outside(one.outputs[None], bound, contract.largest)
        if same:
            return (
                f"the formula is right: {name} computes what nnet's equations give at the weights"
                " that it holds; these are not R's"
            )
    if held.matches:
        said = f"the weights are R's: {name} holds each where nnet has it; its formula is another"
        if asked.truth.scaling_is_open:
            said += ". If it scales its inputs as R's pipeline did before nnet(), give prepare="
        return said
    return f"{name} computes something else than nnet's equations at the weights that it holds"


def _judge_value(asked: Asked) -> Verdict:
    """Return the verdict on the port's loss on the rows that were fitted."""
    trial, truth, predicted = asked.trial, asked.truth, asked.predicted
    fitted = truth.fitted_loss
    assert fitted is not None
    if isinstance(predicted, Missing):
        return missing(trial, _named(predicted, trial), trial.check)
    table = truth.tables[0]
    exact = truth.exact_problem(table, fitted.loss)
    theirs = _claimed_bounds(exact, fitted.comparison_offset)
    if outside(np.array([fitted.value]), theirs, R_CONTRACT.largest):
        reason = (
            f"fit$value is {fitted.value:.9g}, and R's own weights give {theirs.value[0]:.9g} on"
            " these rows: they are not what nnet() was given. Where the data were scaled before"
            " nnet(), give prepare=; where rows were weighted, weights=; else leave y= out"
        )
        return failure(trial, Status.BROKEN, reason)
    residuals, weights = predicted[0].outputs - fitted.targets, fitted.loss.row_weights
    squares = residuals**2 if weights is None else np.reshape(weights, (-1, 1)) * residuals**2
    penalties = fitted.loss.decays(truth.network.layout) * truth.theta**2
    claimed = np.array([float(squares.sum() + penalties.sum())])
    judged = []
    for contract in asked.contracts:
        # the penalty is that of the fitted weights, however the port computes
        problem = truth.problem(table, trial.dtype, replace(fitted.loss, decay=0.0), asked.form)
        data = asked.bounds(problem, contract)["loss"]
        rounding = (len(penalties) + 2) * R_CONTRACT.roundoff * float(penalties.sum())
        mine = Bounded(data.value + penalties.sum(), data.error + rounding)
        sides = [Side(claimed, mine)], [Side(np.array([fitted.value]), theirs)]
        judged.append(judge(*sides, [np.zeros((), dtype=np.intp)], contract.largest))
    judgement = min(judged, key=lambda each: each.budget_used)
    verdict = measured_verdict(trial, judgement, f"loss ({table.name})")
    if judgement.status is Status.FAIL:
        finding = finding_of(verdict, trial, Form.OUTSIDE, trial.check)
        hints = _hints(asked, predicted)
        return with_finding(verdict, replace(finding, witness="fit$value", hints=hints))
    if judgement.status is not Status.PASS:
        return replace(verdict, why="the loss is too near to 0 to be judged by rounding")
    used = f"inside: {judgement.budget_used:.2g} of what {trial.dtype} may differ by"
    return replace(verdict, why=f"{used}: its loss on the fitted rows is fit$value")


def _claimed_bounds(problem: Problem, comparison_offset: float) -> Bounded:
    """Return the bounds on the loss that R claims for a problem of one draw.

    Its weights may have moved afterwards by less than it notices. The rows may have been written
    with 15 digits, as write.csv() does: inputs and targets are not quite those that were fitted.
    """
    written = FIFTEEN_DIGITS * abs(problem.inputs)
    before = 0.0 if problem.input_error is None else problem.input_error
    bounds = problem.formulation.network.oracle(
        replace(problem, input_error=before + written), R_CONTRACT
    )
    loss, slope, outputs = bounds["loss"], bounds["gradient"], bounds["forward"]
    moved = np.spacing(comparison_offset + abs(problem.own))
    allowed = np.sum((abs(slope.value) + slope.error) * moved, axis=1)
    residuals = abs(outputs.value - problem.targets) + outputs.error
    off = FIFTEEN_DIGITS * abs(problem.targets)
    allowed += np.sum(problem.shares * (2 * residuals * off + off**2), axis=(1, 2))
    return Bounded(loss.value, loss.error + allowed)


def _judge_parameters(asked: Asked) -> Verdict:
    """Return the verdict on the port's weights, by what they mean."""
    trial, held = asked.trial, asked.held
    if isinstance(held, Missing):
        if held.status is Status.ABSENT:
            return blank(trial, Status.ABSENT, held.why)
        return missing(trial, _named(held, trial), trial.check)
    compared = compare_weights(held, asked.truth)
    if compared.same:
        return replace(blank(trial, Status.PASS, compared.words), budget_used=compared.share)
    if held.guessed and _predicts_right(asked):
        reason = (
            "its weights, by names and shapes, are not R's, and its predictions are: say what they"
            " mean with parameters=, and they are compared"
        )
        return blank(trial, Status.ABSENT, reason)
    position = compared.position
    actual, expected = float(held.theta[position]), float(asked.truth.theta[position])
    judgement = Judgement(
        Status.FAIL, compared.share, 0, (0, position), actual, expected, compared.allowed
    )
    verdict = measured_verdict(trial, judgement, held.label(position))
    finding = replace(
        finding_of(verdict, trial, Form.OUTSIDE, trial.check),
        witness="fit$wts",
        losses=compared.words,
    )
    hints = []
    if cause := asked.explain():
        hints.append(Hint(HintKind.LIKELY, cause))
    return with_finding(verdict, replace(finding, hints=tuple(hints)))


def _predicts_right(asked: Asked) -> bool:
    verdict = _judge_predictions(asked)
    return verdict.status is Status.PASS
