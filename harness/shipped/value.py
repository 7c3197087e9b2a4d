"""The verdict on a port's loss on the fitted rows, compared with the loss that the fit claims."""

from __future__ import annotations

from dataclasses import replace
from textwrap import shorten

import numpy as np

from harness.comparing.judge import Side, judge, outside
from harness.core.contract import NNET_FLOOR, NNET_LOST, Array, Bounded, Contract
from harness.core.finding import Form
from harness.core.implementation import Missing
from harness.core.problem import Problem
from harness.core.verdict import Status, Verdict
from harness.judging.comparison import blank, failure, finding_of, measured_verdict, missing
from harness.shipped.losses import errors_of, target_slopes
from harness.shipped.port_trial import PortTrial
from harness.shipped.predictions import list_hints, with_name
from harness.shipped.truth import R_CONTRACT
from harness.shipped.weights import FIFTEEN_DIGITS
from harness.words.naming import describe_used
from harness.words.wording import with_finding

MOST_SAID = 240  # characters of R's call, whose subset= and weights= stand late


def judge_value(port_trial: PortTrial) -> Verdict:
    """Return the verdict on the loss of a port (a PyTorch model with trained weights) on the fitted
    rows.
    """
    trial, truth, predicted = port_trial.trial, port_trial.truth, port_trial.predicted
    fitted = truth.fitted_loss
    assert fitted is not None
    if isinstance(predicted, Missing):
        return missing(trial, with_name(predicted, trial), trial.check)
    table, targets, error = fitted.table, fitted.targets, str(fitted.loss.error)
    if table.inputs is None:
        why = (
            "the loss is not compared: it is not known which numbers enter the network (prepare="
            " tells)"
        )
        return blank(trial, Status.ABSENT, why)
    if np.isnan(fitted.value):
        why = "fit$value is NA: nnet-parity back marked it as that of older weights"
        return blank(trial, Status.ABSENT, why)
    exact = truth.exact_problem(table, fitted.loss, targets)
    theirs = _claimed_bounds(exact, np.asarray(table.written), fitted.comparison_offset)
    if outside(np.array([fitted.value]), theirs, R_CONTRACT.largest):
        call = shorten(truth.facts["call"], MOST_SAID, placeholder=" ...")
        reason = (
            f"fit$value is {fitted.value:.9g}, and R's own weights give {theirs.value[0]:.9g} on"
            " these rows: they are not what nnet() was given. Where the data were scaled before"
            " nnet(), give prepare=; where rows were weighted, weights=; where it took a subset="
            f" of them, those; where the response was transformed ({', '.join(truth.responses)}),"
            f" that; else leave y= out (R's call: {call})"
        )
        return failure(trial, Status.BROKEN, reason)
    errors = errors_of(error, predicted[0].outputs[fitted.rows], targets)
    weights = fitted.loss.row_weights
    if weights is not None:
        errors = np.reshape(weights, (-1, 1)) * errors
    penalties = fitted.loss.decays(truth.network.layout) * truth.theta**2
    claimed = np.array([float(errors.sum() + penalties.sum())])
    judged = []
    for contract in port_trial.contracts:
        # the penalty is that of the fitted weights, however the port computes
        loss = replace(fitted.loss, decay=0.0)
        problem = truth.problem(table, trial.dtype, port_trial.form, loss, targets)
        data = port_trial.bounds(problem, _as_nnet(contract))["loss"]
        rounding = (len(penalties) + 2) * R_CONTRACT.roundoff * float(penalties.sum())
        mine = Bounded(data.value + penalties.sum(), data.error + rounding)
        sides = [Side(claimed, mine)], [Side(np.array([fitted.value]), theirs)]
        judged.append(judge(*sides, [np.zeros((), dtype=np.intp)], contract.largest))
    passing = [each for each in judged if each.status is Status.PASS]
    judgement = min(passing or judged, key=lambda each: each.budget_used)
    verdict = measured_verdict(trial, judgement, f"loss ({table.name})")
    if judgement.status is Status.FAIL:
        finding = finding_of(verdict, trial, Form.OUTSIDE, trial.check, judgement.factor)
        hints = list_hints(port_trial, predicted)
        return with_finding(verdict, replace(finding, witness="fit$value", hints=hints))
    if judgement.status is Status.UNDEFINED and error != "squares":
        why = (
            "its probabilities round to 0 or 1 where R's are clipped, and the loss by them is not"
            " defined there"
        )
        return replace(verdict, why=why)
    if judgement.status is not Status.PASS:
        return replace(verdict, why="the loss is too small beside what rounding may change in it")
    used = describe_used(judgement.budget_used, trial.dtype)
    return replace(verdict, why=f"{used}: its loss on the fitted rows is fit$value")


def _claimed_bounds(problem: Problem, written: Array, comparison_offset: float) -> Bounded:
    """Return the loss that R claims for a problem, with an error bound.

    Its weights may have moved after R computed the loss, by less than R notices: a change is lost
    if it does not change the weight plus `comparison_offset`. The rows may have been written with
    15 digits, as write.csv() does: then inputs (by at most `written` (R, I)) and targets differ
    from the fitted ones. R counts rows and I inputs.
    """
    before = 0.0 if problem.input_error is None else problem.input_error
    bounds = problem.network.oracle(
        replace(problem, input_error=before + written[None]), R_CONTRACT
    )
    loss, slope, outputs = bounds["loss"], bounds["gradient"], bounds["forward"]
    moved = np.spacing(comparison_offset + abs(problem.own))
    allowed = np.sum((abs(slope.value) + slope.error) * moved, axis=1)
    off = FIFTEEN_DIGITS * abs(problem.targets)
    if problem.loss.error == "squares":
        residuals = abs(outputs.value - problem.targets) + outputs.error
        allowed += np.sum(problem.shares * (2 * residuals * off + off**2), axis=(1, 2))
        return Bounded(loss.value, loss.error + allowed)
    off = np.where(np.isin(problem.targets, (0.0, 1.0)), 0.0, off)  # which are written exactly
    arguments = outputs.value, problem.targets, outputs.error
    slopes = target_slopes(str(problem.loss.error), *arguments)
    allowed += np.sum(problem.shares * slopes * off, axis=(1, 2))
    return Bounded(loss.value, loss.error + allowed)


def _as_nnet(contract: Contract) -> Contract:
    """Return a copy of a contract (properties of an implementation's arithmetic) for a loss that is
    computed from probabilities, as nnet computes it.
    """
    return replace(
        contract,
        from_probabilities=True,
        log_floor=NNET_FLOOR,
        log_lost=NNET_LOST,
        log_least=None,
        unfused_slope=False,
    )
