"""Shows that a subject and the case's network compute different families of functions.

The proof is a contrast: a combination of outputs that is 0 for the subject and beyond its bounds
for the case's network.
"""

from collections.abc import Sequence
from dataclasses import replace

from harness.core.contract import Array, Bounded
from harness.core.finding import Form
from harness.core.implementation import Missing
from harness.core.judge import Side, contrast, judge_contrast
from harness.core.naming import element
from harness.core.problem import Problem
from harness.core.verdict import Status, Verdict
from harness.core.wording import with_finding
from harness.judging.cache import Cache
from harness.judging.case import Contrast, Trial
from harness.judging.comparison import (
    failure,
    finding_of,
    get_subject_answers,
    measured_verdict,
    missing,
)


def contrast_verdict(
    trial: Trial, cache: Cache, problems: Sequence[Problem], asked: Contrast
) -> Verdict:
    """Return the verdict on a contrast.

    It passes if, in every problem, the subject's combination of outputs is 0 within its bounds, and
    the combination of the case's network, as the reference computes it, is beyond 0.
    """
    passed = []
    for problem, claimed in zip(problems, cache.problems(cache.own_formulation()), strict=True):
        if problem.rows != len(asked.rows):
            rows = (
                f"contrast {asked.name} combines {len(asked.rows)} rows, the problem has"
                f" {problem.rows}"
            )
            return failure(trial, Status.BROKEN, f"{rows}, expected one coefficient a row")
        sides = _sides(trial, cache, problem, claimed, asked)
        if isinstance(sides, Missing):
            return missing(trial, sides, "forward")
        claim, example = judge_contrast(*sides)
        shown = example if claim.status is Status.PASS else claim
        position = _columns(problem, asked.head).start + shown.index[1]
        tensor = element(problem, "forward", (0, 0, position)).replace("[row 0, ", "[")
        where = f"{asked.name} of {tensor} ({problem.kind} draw {shown.index[0]})"
        found = replace(
            measured_verdict(trial, shown, where), status=Status.FAIL, budget_used=claim.budget_used
        )
        if Status.FAIL in (claim.status, example.status):
            form = Form.NOT_ZERO if claim.status is Status.FAIL else Form.ZERO
            return with_finding(found, finding_of(found, trial, form, asked.asks))
        why = (
            f"{asked.asks}, {tensor}, is {example.actual:.2g} (±{claim.allowed:.1g}), and"
            f" {example.expected:.5g} for {trial.case.network.sentence()} by"
            f" {trial.reference.title()}"
        )
        passed.append(replace(found, status=Status.PASS, why=why))
    return max(passed, key=lambda verdict: abs(verdict.expected or 0.0))


def _sides(
    trial: Trial, cache: Cache, problem: Problem, claimed: Problem, asked: Contrast
) -> tuple[Bounded, Bounded] | Missing:
    """Return the contrast of the subject and that of the reference, or why an answer is missing.

    The subject answers `problem`, at its own parameters; the reference answers `claimed`, at the
    parameters of the case's network.
    """
    mine = get_subject_answers(trial, cache, problem).answer("forward")
    if isinstance(mine, Missing):
        return replace(mine, why=f"{trial.subject.name} {mine.why}")
    theirs = cache.reference(trial.reference, claimed).answer("forward")
    if isinstance(theirs, Missing):
        return theirs
    columns = _columns(problem, asked.head)

    def of(answer: Array, oracle: dict[str, Bounded]) -> Bounded:
        bound = oracle["forward"]
        side = Side(
            answer[..., columns], Bounded(bound.value[..., columns], bound.error[..., columns])
        )
        return contrast(side, asked.rows, asked.on_logits)

    return (
        of(mine, cache.oracle(problem, trial.subject.contract(trial.dtype))),
        of(theirs, cache.oracle(claimed, trial.reference.contract(), trial.reference)),
    )


def _columns(problem: Problem, head: int | None) -> slice:
    """Return the columns of a head's outputs among the outputs of all heads; all columns if `head`
    is None.
    """
    widths = problem.formulation.network.outputs
    return (
        slice(0, sum(widths))
        if head is None
        else slice(sum(widths[:head]), sum(widths[: head + 1]))
    )
