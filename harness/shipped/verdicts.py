"""The verdicts on a port with weights of its own.

`predictions` compares the port's predictions with those of the fitted object, `value` its loss on
the fitted rows with the loss that the fit claims, and `parameters` its weights with the fitted
ones. In shapes, R counts rows and O outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from harness.comparing.judge import Judgement
from harness.core.finding import Form, Hint, HintKind
from harness.core.implementation import Missing
from harness.core.verdict import Status, Verdict
from harness.judging.cache import Cache
from harness.judging.case import Trial
from harness.judging.comparison import blank, finding_of, measured_verdict, missing
from harness.shipped.meaning import confirms_meaning
from harness.shipped.port_trial import PortTrial
from harness.shipped.predictions import judge_predictions, with_name
from harness.shipped.truth import Truth
from harness.shipped.value import judge_value
from harness.shipped.weights import compare_weights
from harness.words.wording import with_finding

PREDICTIONS, VALUE, PARAMETERS = ("predictions", "value", "parameters")


def judge_port(trial: Trial, cache: Cache, truth: Truth) -> Verdict:
    """Return the verdict on the trial's check: the port's predictions, its loss ("value"), or its
    weights ("parameters").

    `truth` has the fitted object's.
    """
    port_trial = PortTrial(trial, cache, truth)
    judges: dict[str, Callable[[PortTrial], Verdict]] = {
        PREDICTIONS: judge_predictions,
        VALUE: judge_value,
        PARAMETERS: judge_parameters,
    }
    verdict = judges[trial.check](port_trial)
    return replace(verdict, caveat=". ".join(filter(None, [truth.caveat, verdict.caveat])))


def judge_parameters(port_trial: PortTrial) -> Verdict:
    """Return the verdict on the weights of a port (a PyTorch model), each compared with the fitted
    weight at the same place of the network.
    """
    trial, held = port_trial.trial, port_trial.held
    if isinstance(held, Missing):
        if held.status is Status.ABSENT:
            return blank(trial, Status.ABSENT, held.why)
        return missing(trial, with_name(held, trial), trial.check)
    compared = compare_weights(held, port_trial.truth)
    if compared.same:
        return replace(blank(trial, Status.PASS, compared.words), budget_used=compared.share)
    if held.guessed and _predicts_right(port_trial) and not confirms_meaning(port_trial, held):
        by = "R's" if port_trial.truth.tables[0].inputs is not None else "those of predictions="
        reason = (
            f"its weights, by names and shapes, are not R's, though its predictions are {by}: say"
            " what they mean with parameters=, and they are compared"
        )
        return blank(trial, Status.ABSENT, reason)
    position = compared.position
    actual, expected = float(held.theta[position]), float(port_trial.truth.theta[position])
    share = compared.share
    judgement = Judgement(
        Status.FAIL, share, 0, (0, position), actual, expected, compared.allowed, share
    )
    verdict = measured_verdict(trial, judgement, held.label(position))
    finding = replace(
        finding_of(verdict, trial, Form.OUTSIDE, trial.check),
        witness="fit$wts",
        losses=compared.words,
    )
    hints = []
    if cause := port_trial.explain():
        hints.append(Hint(HintKind.LIKELY, cause))
    return with_finding(verdict, replace(finding, hints=tuple(hints)))


def _predicts_right(port_trial: PortTrial) -> bool:
    verdict = judge_predictions(port_trial)
    return verdict.status is Status.PASS
