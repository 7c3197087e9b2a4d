"""Shows that a subject and the case's network compute different families of functions.

The proof is a contrast: a linear combination of outputs that is 0 for the subject (the model that
is judged) and beyond its bounds for the case's network. In shapes, D counts draws (problems of a
stack) and R rows of data.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from harness.claims.own_bounds import find_reference_outside, find_subject_outside
from harness.comparing.combining import contrast
from harness.comparing.judge import Side, judge_contrast
from harness.core.contract import Array, Bounded, Mask
from harness.core.finding import Finding, Form
from harness.core.implementation import Missing
from harness.core.problem import Problem
from harness.core.verdict import Status, Verdict
from harness.judging.cache import Cache
from harness.judging.case import Contrast, Trial
from harness.judging.comparison import (
    Comparison,
    failure,
    finding_of,
    get_subject_answers,
    measured_verdict,
    missing,
    name_reference,
    name_subject,
    title_of,
)
from harness.words.naming import element
from harness.words.wording import with_finding

MOST = 0.5  # of the draws, in which a contrast must be evidence


def contrast_verdict(
    trial: Trial, cache: Cache, problems: Sequence[Problem], combination: Contrast
) -> Verdict:
    """Return the verdict on the claim that `combination` is 0 for the subject and not for the
    case's network.

    It passes if two things hold in every problem. The subject's combination of outputs is 0 within
    its bounds. The combination of the case's network, as the reference computes it, is beyond its
    bounds.
    """
    passed = []
    for problem, claimed in zip(problems, cache.problems(cache.own_formulation()), strict=True):
        if problem.rows != len(combination.rows):
            rows = (
                f"contrast {combination.name} combines {len(combination.rows)} rows,"
                f" the problem has {problem.rows}"
            )
            return failure(trial, Status.BROKEN, f"{rows}, expected one coefficient a row")
        if widths := _describe_other_widths(problem, claimed):
            return failure(trial, Status.BROKEN, f"{trial.subject.name} {widths}")
        sides = _sides(trial, cache, problem, claimed, combination)
        if isinstance(sides, Missing):
            return missing(trial, sides, "forward")
        claim, example = judge_contrast(*sides)
        shown = example if claim.status is Status.PASS else claim
        position = _columns(problem, combination.head).start + shown.index[1]
        tensor = element(problem, "forward", (0, 0, position)).replace("[row 0, ", "[")
        where = f"{combination.name} of {tensor} ({problem.kind} draw {shown.index[0]})"
        failed = replace(
            measured_verdict(trial, shown, where), status=Status.FAIL, budget_used=claim.budget_used
        )
        if Status.FAIL in (claim.status, example.status):
            form = Form.NOT_ZERO if claim.status is Status.FAIL else Form.ZERO
            return with_finding(failed, finding_of(failed, trial, form, combination.asks))
        if reason := _find_objection(trial, cache, problem, claimed, combination, sides):
            finding = Finding(Form.REASON, title_of(trial), reason)
            return with_finding(replace(failed, status=Status.FAIL), finding)
        why = (
            f"{combination.asks}, {tensor}, is {example.actual:.2g} (±{claim.allowed:.1g}), and"
            f" {example.expected:.5g} for {trial.case.network.sentence()} by"
            f" {trial.reference.title()}"
        )
        passed.append(replace(failed, status=Status.PASS, why=why))
    return max(passed, key=lambda verdict: abs(verdict.expected or 0.0))


def _describe_other_widths(problem: Problem, claimed: Problem) -> str:
    """Return a sentence if the subject's network (of `problem`) has other inputs or outputs than
    the case's (of `claimed`), else "".
    """
    mine, theirs = problem.network, claimed.formulation.network
    if (mine.inputs, mine.outputs) == (theirs.inputs, theirs.outputs):
        return ""
    return (
        f"is said to be {mine.sentence()}, expected the inputs and outputs of the case's network,"
        f" {theirs.sentence()}"
    )


def _find_objection(
    trial: Trial,
    cache: Cache,
    problem: Problem,
    claimed: Problem,
    combination: Contrast,
    sides: tuple[Bounded, Bounded],
) -> str:
    """Return why a contrast does not prove a difference of families; "" if it does.

    `problem` is the subject's, `claimed` the same for the case's network, and `sides` has the
    contrasts of subject and reference. Both must be inside the bounds of their own networks. In
    most draws the subject must use its inputs, and the network's contrast must be beyond the
    bounds.
    """
    mine = Comparison(trial, cache, [problem], "forward")
    if outside := find_reference_outside(mine._replace(problems=[claimed])):
        return (
            f"{combination.asks} comes from {title_of(trial)}, which is outside its own bounds:"
            f" {outside}"
        )
    if outside := find_subject_outside(mine):
        sentence = problem.network.sentence()
        return (
            f"{trial.subject.name} is not the network that it is said to be, {sentence}, so its"
            f" {combination.asks} shows nothing: {outside}"
        )
    bound = cache.oracle(problem, trial.contract)["forward"]
    if ignored := _find_ignored(problem, bound, combination):
        return (
            f"{trial.subject.name} does not use {ignored}, so its {combination.asks} is 0 for"
            " nothing: expected a model that uses its inputs"
        )
    one, other = sides
    beyond: Mask = np.any(abs(other.value) > one.error + other.error, axis=1)
    if beyond.mean() < MOST:
        return (
            f"{combination.asks} of the network is beyond the bounds in {beyond.sum()} of"
            f" {claimed.draws} draws, expected half of them: choose other data or parameters"
        )
    return ""


def _find_ignored(problem: Problem, bound: Bounded, combination: Contrast) -> str:
    """Return the inputs that must influence the outputs of the contrast but do not in most draws;
    "" if all do.

    `bound` has the outputs of the subject's network with their bounds. If the rows of the contrast
    differ in several groups of inputs, these must have influence. If they differ in one group, the
    claim is that this group has no influence, so the others must have some. If there is only one
    group, it must have influence itself.
    """
    columns = _columns(problem, combination.head)
    outputs = Bounded(bound.value[..., columns], bound.error[..., columns])
    used = np.flatnonzero(combination.rows)
    within, anywhere = (
        _list_varied_groups(problem, used),
        _list_varied_groups(problem, range(problem.rows)),
    )
    wanted = within if len(within) > 1 else [group for group in anywhere if group not in within]
    for group in wanted or within:
        if _find_moving_draws(problem, outputs, group).mean() < MOST:
            several = len(problem.network.inputs) > 1
            return f"x{group + 1}" if several else "its inputs"
    return ""


def _groups(problem: Problem) -> list[Array]:
    """Return the groups of inputs, an array (draws, rows, width) for each."""
    ends = np.cumsum(problem.network.inputs)[:-1]
    return np.split(problem.inputs, ends, axis=2)


def _list_varied_groups(problem: Problem, rows: Iterable[int]) -> list[int]:
    """Return the numbers of the groups of inputs in which any of these rows differ."""
    chosen, varied = list(rows), []
    for number, group in enumerate(_groups(problem)):
        if np.ptp(group[:, chosen], axis=1).any():
            varied.append(number)
    return varied


def _find_moving_draws(problem: Problem, outputs: Bounded, group: int) -> Mask:
    """Return a mask (draws,) of the draws (single problems) in which a group of inputs influences
    an output.

    It does if an output changes beyond its bounds between two rows that differ in this group of
    inputs and in no other.
    """
    moves = np.zeros(problem.draws, dtype=bool)
    for one, other in combinations(range(problem.rows), 2):
        only_group = np.ones(problem.draws, dtype=bool)
        for number, values in enumerate(_groups(problem)):
            differ = (values[:, one] != values[:, other]).any(axis=1)
            only_group &= differ if number == group else ~differ
        difference = abs(outputs.value[:, one] - outputs.value[:, other])
        allowed = outputs.error[:, one] + outputs.error[:, other]
        moves |= only_group & (difference > allowed).any(axis=1)
    return moves


def _sides(
    trial: Trial, cache: Cache, problem: Problem, claimed: Problem, combination: Contrast
) -> tuple[Bounded, Bounded] | Missing:
    """Return the contrast of the subject and the contrast of the reference, or why an answer is
    missing.

    The subject answers `problem`, at its own parameters; the reference answers `claimed`, at the
    parameters of the case's network.
    """
    mine = get_subject_answers(trial, cache, problem).answer("forward")
    if isinstance(mine, Missing):
        return name_subject(trial, mine)
    theirs = cache.reference(trial.reference, claimed, trial.dtype).answer("forward")
    if isinstance(theirs, Missing):
        return name_reference(trial, theirs)
    columns = _columns(problem, combination.head)

    def of(answer: Array, oracle: dict[str, Bounded]) -> Bounded:
        bound = oracle["forward"]
        side = Side(
            answer[..., columns], Bounded(bound.value[..., columns], bound.error[..., columns])
        )
        return contrast(side, combination.rows, combination.on_logits)

    return (
        of(mine, cache.oracle(problem, trial.contract)),
        of(theirs, cache.oracle(claimed, trial.reference.contract(trial.dtype), trial.reference)),
    )


def _columns(problem: Problem, head: int | None) -> slice:
    """Return the slice of a head's columns among the outputs of all heads; all columns if `head` is
    None.
    """
    widths = problem.network.outputs
    return (
        slice(0, sum(widths))
        if head is None
        else slice(sum(widths[:head]), sum(widths[: head + 1]))
    )
