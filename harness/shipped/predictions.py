"""The verdict on a port's predictions, and explanations of wrong ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from textwrap import shorten

import numpy as np

from harness.calling.modes import EVALUATE
from harness.comparing.judge import Judgement, Side, judge, outside
from harness.core.contract import Array, Bounded, Contract
from harness.core.finding import Form, Hint, HintKind
from harness.core.implementation import Missing
from harness.core.verdict import Status, Verdict
from harness.judging.case import Trial
from harness.judging.comparison import blank, failure, finding_of, measured_verdict, missing
from harness.shipped.asking import Predicted
from harness.shipped.classes import describe_classes, find_wrong_class
from harness.shipped.port_trial import PortTrial
from harness.shipped.saturation import SATURATED, is_saturated
from harness.shipped.weights import FIFTEEN_DIGITS, Held
from harness.words.naming import describe_used
from harness.words.wording import with_finding

COARSE = 0.01  # share of the range of R's predictions; no verdict depends on it
MOST_SAID = 120  # characters of R's call
LAST_DIGITS = "but for their last digits: in R write format(weights, digits = 17)"


def judge_predictions(port_trial: PortTrial) -> Verdict:
    """Return the verdict on the predictions of a port (a PyTorch model with trained weights) for
    the rows of all tables.
    """
    trial, predicted = port_trial.trial, port_trial.predicted
    if isinstance(predicted, Missing):
        return missing(trial, with_name(predicted, trial), trial.check)
    if sentence := _find_missing_rows(port_trial, predicted):
        return failure(trial, Status.FAIL, sentence)
    for table in port_trial.truth.tables:
        if table.inputs is None and not port_trial.sensitivity(table).is_known:
            why = (
                f"it is not known which numbers enter the network, and {trial.subject.name} has no"
                " derivatives from which its rounding follows: give prepare="
            )
            return blank(trial, Status.ABSENT, why)
    judgement, contract = _judge_under_any(port_trial, predicted)
    table = port_trial.truth.tables[judgement.stack]
    verdict = measured_verdict(trial, judgement, port_trial.name(table, judgement.index))
    if judgement.status is Status.FAIL:
        return _describe_fail(port_trial, predicted, judgement, contract)
    if wrong := _judge_other_answers(port_trial, predicted, contract):
        return wrong
    if judgement.status is not Status.PASS:
        why = "the bound of its predictions is too wide, or all of them are 0: give other rows"
        if judgement.status is Status.UNDEFINED:
            why = f"its predictions, or their bounds, leave the range of {trial.dtype}"
        return replace(verdict, why=why)
    if is_saturated(port_trial.truth):
        return blank(trial, Status.VACUOUS, SATURATED)
    why = _describe_pass(port_trial, judgement, contract)
    return replace(verdict, why=why, caveat=_describe_coarse(port_trial, contract))


def _describe_fail(
    port_trial: PortTrial, predicted: Sequence[Predicted], judgement: Judgement, contract: Contract
) -> Verdict:
    """Return the verdict on wrong predictions.

    If the port (a PyTorch model) is outside its own rounding bounds, the verdict shows the element
    outside with the largest difference from nnet's equations.
    """
    trial, hints = port_trial.trial, list_hints(port_trial, predicted)
    witness = "R"
    if "subject" in judgement.outside:
        judgement, is_clip = _find_largest(port_trial, predicted, judgement, contract)
        witness = "R without its clip" if is_clip else "R"
    table = port_trial.truth.tables[judgement.stack]
    verdict = measured_verdict(trial, judgement, port_trial.name(table, judgement.index))
    finding = finding_of(verdict, trial, Form.OUTSIDE, trial.check, judgement.factor)
    finding = replace(finding, witness=witness, blamed=judgement.outside, hints=hints)
    return with_finding(verdict, finding)


def _find_largest(
    port_trial: PortTrial, predicted: Sequence[Predicted], judgement: Judgement, contract: Contract
) -> tuple[Judgement, bool]:
    """Return the judgement with the figures of the largest difference outside the port's own
    rounding bounds, and whether R's clip of the logistic's argument causes it.

    A port is the PyTorch model that is judged.
    """
    largest, clips = -1.0, False
    for stack, (table, one) in enumerate(zip(port_trial.truth.tables, predicted, strict=True)):
        mine, theirs = port_trial.predictions_of(table, contract)
        outputs = one.outputs[None]
        differences = abs(outputs - mine.value)
        differences = np.where(np.isnan(differences), np.inf, differences)
        differences = np.where(differences > mine.error, differences, -1.0)
        index = tuple(
            int(i) for i in np.unravel_index(int(differences.argmax()), differences.shape)
        )
        if differences[index] <= largest:
            continue
        largest, allowed = float(differences[index]), float(mine.error[index])
        share = largest / allowed if allowed else np.inf
        clips = bool(abs(mine.value[index] - theirs.value[index]) > allowed)
        judgement = replace(
            judgement,
            stack=stack,
            index=index,
            budget_used=share,
            factor=share,
            actual=float(outputs[index]),
            expected=float(mine.value[index]),
            allowed=allowed,
            contract_share=0.0,
        )
    return judgement, clips


def with_name(answer: Missing, trial: Trial) -> Missing:
    """Return a copy of `answer` (why an answer is missing) in which the reason names the port (a
    PyTorch model).
    """
    return replace(answer, why=f"{trial.subject.name} {answer.why}")


def _judge_under_any(
    port_trial: PortTrial, predicted: Sequence[Predicted]
) -> tuple[Judgement, Contract]:
    """Judge the predictions under each contract (properties of its arithmetic) that a correct port
    may have.

    Return the first judgement that passes, else the nearest, with its contract. A port is the
    PyTorch model that is judged.
    """
    judged = []
    for contract in port_trial.contracts:
        judgement = _judge_under(port_trial, predicted, contract)
        if judgement.status is not Status.FAIL:
            return judgement, contract
        judged.append((judgement, contract))
    return min(judged, key=lambda each: each[0].budget_used)


def _judge_under(
    port_trial: PortTrial, predicted: Sequence[Predicted], contract: Contract
) -> Judgement:
    """Judge the predictions under one contract (properties of the port's arithmetic)."""
    subjects, references, owners = [], [], []
    for table, one in zip(port_trial.truth.tables, predicted, strict=True):
        mine, theirs = port_trial.predictions_of(table, contract)
        subjects.append(Side(one.outputs[None], mine))
        references.append(Side(table.predictions[None], theirs))
        columns = np.arange(one.outputs.shape[1], dtype=np.intp)
        owners.append(np.broadcast_to(columns, one.outputs.shape))
    return judge(subjects, references, owners, contract.largest)


def _find_missing_rows(port_trial: PortTrial, predicted: Sequence[Predicted]) -> str:
    """Return a sentence if the port (a PyTorch model) predicts a number for a row with a missing
    value, else "".
    """
    for table, one in zip(port_trial.truth.tables, predicted, strict=True):
        if one.incomplete is None:
            continue
        where = f"row {table.incomplete_places[0]} ({table.name})"
        says = "has a missing value, for which R's predict() gives NA"
        if isinstance(one.incomplete, Missing):
            return f"{where} {says}; {port_trial.trial.subject.name} {one.incomplete.why}"
        numbers = np.argwhere(np.isfinite(one.incomplete))
        if len(numbers):
            row, output = numbers[0]
            where = f"row {table.incomplete_places[row]} ({table.name})"
            got = one.incomplete[row, output]
            return f"{where} {says}; {port_trial.trial.subject.name} gives {got:.5g}, expected NaN"
    return ""


def _judge_other_answers(
    port_trial: PortTrial, predicted: Sequence[Predicted], contract: Contract
) -> Verdict | None:
    """Return a verdict if another call of the port (a PyTorch model) gives other predictions, or
    its classes are not R's.
    """
    trial = port_trial.trial
    sentence = _find_other_outputs(port_trial, predicted, contract)
    for table, one in zip(port_trial.truth.tables, predicted, strict=True):
        if isinstance(one.classes, Missing):
            return missing(trial, with_name(one.classes, trial), trial.check)
        sentence = sentence or find_wrong_class(port_trial.truth, table, one.outputs, one.classes)
    return failure(trial, Status.FAIL, sentence) if sentence else None


def _find_other_outputs(
    port_trial: PortTrial, predicted: Sequence[Predicted], contract: Contract
) -> str:
    """Return a sentence if another call of the port (a PyTorch model) gives predictions outside
    their bounds.
    """
    for table, one in zip(port_trial.truth.tables, predicted, strict=True):
        bound, _ = port_trial.predictions_of(table, contract)
        for words, rows, outputs in one.others:
            part = Bounded(bound.value[0, rows], bound.error[0, rows])
            if outside(outputs, part, contract.largest):
                return f"{port_trial.trial.subject.name} gave other predictions {words}"
    return ""


def _describe_pass(port_trial: PortTrial, judgement: Judgement, contract: Contract) -> str:
    trial, truth = port_trial.trial, port_trial.truth
    counts = [f"{table.name} ({len(table.places)})" for table in truth.tables]
    sentence = describe_used(judgement.budget_used, trial.dtype)
    sentence += f", on {' and '.join(counts)}{describe_classes(truth)}"
    stored = truth.stored or (trial.dtype if trial.dtype != "float64" else "")
    if stored:
        sentence += (
            f"; stored in {stored}, a prediction may be off by {_storage(port_trial, contract):.1e}"
        )
    for table in truth.tables:
        if (most := port_trial.clip_allowance(table, contract).max(initial=0.0)) > 0:
            sentence += (
                f"; {most:.1e} is allowed for nnet's clip, since it is not known where it acts"
            )
            sentence += " (prepare= tells)"
    if (share := judgement.contract_share) > judgement.allowed / 2:
        sentence += f"; {share:.1e} of it is nnet's clip, which the port does not copy"
    return sentence


def _describe_coarse(port_trial: PortTrial, contract: Contract) -> str:
    """Return a sentence if the rounding of stored inputs and weights may change a prediction by
    more than COARSE of the range of R's predictions, else "".
    """
    trial, truth = port_trial.trial, port_trial.truth
    stored = truth.stored or trial.dtype
    every = np.concatenate([table.predictions for table in truth.tables])
    share = _storage(port_trial, contract) / float(np.ptp(every, axis=0).max() or 1.0)
    if stored == "float64" or not share > COARSE:
        return ""
    much = f"{100 * share:.0f} % of" if share <= 1 else "more than"
    return (
        f"{trial.subject.name} stores its inputs and weights in {stored}, whose rounding may move a"
        f" prediction by {much} the range of R's predictions: scale large inputs in float64"
    )


def _storage(port_trial: PortTrial, contract: Contract) -> float:
    """Return the largest error bound on the port's predictions, including the rounding of stored
    weights.
    """
    most = 0.0
    for table in port_trial.truth.tables:
        bound, _ = port_trial.predictions_of(table, contract)
        most = max(most, float(bound.error.max()))
    return most


def list_hints(port_trial: PortTrial, predicted: Sequence[Predicted]) -> tuple[Hint, ...]:
    """Return explanations of wrong predictions: a mistake in reading the fitted object, and whether
    the formula or the weights are wrong.
    """
    if mode := _describe_mode(port_trial, predicted):
        return (mode,)
    hints = []
    if cause := port_trial.explain():
        hints.append(Hint(HintKind.LIKELY, cause))
    elif right := _describe_right_rows(port_trial, predicted):
        hints.append(Hint(HintKind.NOTE, right))
    held = port_trial.held
    if isinstance(held, Missing):
        return tuple(hints)
    if sentence := _formula_or_weights(port_trial, predicted, held, bool(cause)):
        is_open = port_trial.truth.scaling_is_open and LAST_DIGITS not in sentence
        if held.matches and is_open and not hints:
            call = shorten(port_trial.truth.facts["call"], MOST_SAID, placeholder=" ...")
            sentence += (
                ". If it scales its inputs, as R's pipeline did before nnet(), give prepare= (R's"
                f" call: {call})"
            )
        hints.append(Hint(HintKind.NOTE, sentence))
    return tuple(hints)


def _whose_weights(held: Held, theta: Array) -> str:
    """Return the end of a sentence that says whether a port has the fitted weights theta (T,)."""
    if not held.matches:
        return "; these are not R's"
    difference = abs(held.theta - theta)
    if difference.any() and (difference <= FIFTEEN_DIGITS * abs(theta)).all():
        return f", which are R's {LAST_DIGITS}"
    return ", which are R's"


def _describe_right_rows(port_trial: PortTrial, predicted: Sequence[Predicted]) -> str:
    """Return a sentence if the port (a PyTorch model) is right on the rows of the first of several
    tables, else "".
    """
    tables, name = port_trial.truth.tables, port_trial.trial.subject.name
    for contract in port_trial.contracts if len(tables) > 1 else ():
        bound, _ = port_trial.predictions_of(tables[0], contract)
        if not outside(predicted[0].outputs[None], bound, contract.largest):
            return (
                f"{name} is right on {tables[0].name}, and differs on {tables[1].name}, which go"
                " beyond their range"
            )
    return ""


def _describe_mode(port_trial: PortTrial, predicted: Sequence[Predicted]) -> Hint | None:
    """Return a hint if the port (a PyTorch model) gives other predictions for all rows in another
    mode: a likely cause if these are right.
    """
    for table, one in zip(port_trial.truth.tables, predicted, strict=True):
        of_all = [(words, each) for words, _, each in one.others if len(each) == len(one.outputs)]
        for words, outputs in reversed(of_all):
            for contract in port_trial.contracts:
                bound, _ = port_trial.predictions_of(table, contract)
                if not outside(outputs[None], bound, contract.largest):
                    sentence = "it is in train(), as it was built, and right in eval()"
                    return Hint(HintKind.LIKELY, sentence + EVALUATE)
            return Hint(
                HintKind.NOTE, f"{port_trial.trial.subject.name} gave other predictions {words}"
            )
    return None


def _formula_or_weights(
    port_trial: PortTrial, predicted: Sequence[Predicted], held: Held, is_explained: bool
) -> str:
    """Return a sentence that says whether the port computes the network's equations with its own
    weights. Then the weights are wrong, else the formula, or the preparation of the rows.
    """
    name = port_trial.trial.subject.name
    for contract in port_trial.contracts:
        same = True
        for table, one in zip(port_trial.truth.tables, predicted, strict=True):
            if table.inputs is None:
                return ""
            problem = replace(
                port_trial.truth.problem(table, port_trial.trial.dtype), own=held.theta[None]
            )
            bound = port_trial.bounds(problem, contract)["forward"]
            same = same and not outside(one.outputs[None], bound, contract.largest)
        if same:
            sentence = (
                f"the formula is right: {name} computes what nnet's equations give at the weights"
                " that it holds"
            )
            return sentence + _whose_weights(held, port_trial.truth.theta)
    if held.matches:
        sentence = f"the weights are R's: {name} holds each where nnet has it"
        if is_explained:
            return sentence
        return sentence + "; its formula, or what it makes of the rows, is another"
    return f"{name} computes something else than nnet's equations at the weights that it holds"
