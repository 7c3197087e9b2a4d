"""Describes a counterexample: an element in which a subject and a reference differ."""

from harness.comparing.judge import Judgement
from harness.core.problem import STEP
from harness.judging.comparison import Comparison, title_of
from harness.words.naming import distinct_digits


def describe_example(comparison: Comparison, judgement: Judgement) -> str:
    """Return a sentence with the figures of the counterexample: the element that a judgement shows.

    For an optimiser's step, the figures are the changes of the parameter.
    """
    trial, title = comparison.trial, title_of(comparison.trial)
    where = comparison.where(judgement.index, judgement.stack)
    actual, expected, verb, end = (
        judgement.actual,
        judgement.expected,
        "gives",
        " at the same parameters",
    )
    if comparison.quantity == STEP:
        before = float(comparison.problems[judgement.stack].own[judgement.index])
        actual, expected, verb, end = actual - before, expected - before, "moves it by", ""
    elif comparison.quantity == "gradient":
        where = f"gradient of {where}"
    figures = distinct_digits(actual, expected)
    return (
        f"{where}: {trial.subject.name} {verb} {figures[0]}, {title} {figures[1]}{end}"
        f" (allowed ±{judgement.allowed:.1e})"
    )
