"""From one trial to its verdict: observe both, judge, and say it in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from harness.case import Contrast, Trial
from harness.contract import Bounded, Contract
from harness.judge import Contrasted, Judgement, Side, contrast, judge, judge_contrast
from harness.memo import Memo
from harness.observation import Missing
from harness.problem import QUANTITIES, Problem
from harness.verdict import Status, Verdict

RELU_CONVENTIONS = {0.0: "relu", 1.0: "clamp(min=0)", 0.5: "torch.maximum"}


def run(trial: Trial, memo: Memo, again: str = "") -> Verdict:
    """The verdict of a trial; `again` is the line that runs it again, for a failure's last line."""
    started = perf_counter()
    verdict = memo.timed(lambda: _verdict(trial, memo))
    if verdict.status.fails and again:
        verdict = replace(verdict, why=f"{verdict.why}\n  again: {again}")
    return replace(verdict, seconds=perf_counter() - started)


def _verdict(trial: Trial, memo: Memo) -> Verdict:
    network = trial.subject.network or trial.case.network
    quantity = trial.check if trial.check in QUANTITIES else "forward"
    absent = trial.reference.absent(network, quantity)
    if absent is None and trial.case.contrast:
        absent = trial.reference.absent(trial.case.network, quantity)
    if absent is not None:
        return _blank(trial, Status.ABSENT, absent)
    try:
        problems = memo.problems(memo.formulation(trial.subject))
        if not problems:
            raise ValueError("its probes made no problem, expected at least one: choose other kinds")
    except (ValueError, TypeError) as error:
        return _blank(trial, Status.BROKEN, f"{_head(trial)}\n{error}")
    if trial.case.contrast:
        return _contrasted(trial, memo, problems, trial.case.contrast)
    sides = _sides(trial, memo, problems, quantity, trial.subject.contract(trial.dtype))
    if isinstance(sides, Missing):
        return _missing(trial, sides, quantity)
    judgement = _judged(sides, problems, quantity, trial.dtype)
    if trial.case.expect == "differs":
        return _differs(trial, problems, quantity, judgement)
    return _equal(trial, memo, problems, quantity, judgement)


def _sides(
    trial: Trial, memo: Memo, problems: Sequence[Problem], quantity: str, contract: Contract
) -> tuple[list[Side], list[Side]] | Missing:
    """Both implementations' answers and bounds for every stack; the gradient is by the subject's own parameters."""
    subjects, references = [], []
    for problem in problems:
        mine = memo.subject(trial.subject, problem, trial.dtype, trial.device).answer(quantity)
        if isinstance(mine, Missing):
            return replace(mine, why=f"{trial.subject.name} {mine.why}")
        theirs = memo.reference(trial.reference, problem).answer(quantity)
        if isinstance(theirs, Missing):
            return theirs
        if quantity == "gradient":
            theirs = problem.formulation.pull_back(theirs)
        subjects.append(Side(mine, memo.oracle(problem, contract)[quantity]))
        bound = memo.oracle(problem, trial.reference.contract(), trial.reference)[quantity]
        references.append(Side(theirs, bound))
    return subjects, references


def _judged(sides: tuple[list[Side], list[Side]], problems: Sequence[Problem], quantity: str, dtype: str) -> Judgement:
    owners = [tensors(problem, quantity)[1] for problem in problems]
    return judge(*sides, owners, Contract(dtype).largest)


def tensors(problem: Problem, quantity: str) -> tuple[list[str], NDArray[np.intp]]:
    """The names of a quantity's tensors, and for each element of one draw the number of its tensor."""
    network, own = problem.formulation.network, problem.formulation.own
    if quantity == "loss":
        return ["loss"], np.zeros((), dtype=np.intp)
    if quantity == "gradient":
        return [block.name for block in own.blocks], own.owners
    letter, widths = ("o", network.outputs) if quantity == "forward" else ("x", network.inputs)
    names = [letter if len(widths) == 1 else f"{letter}{number + 1}" for number in range(len(widths))]
    return names, np.broadcast_to(np.repeat(np.arange(len(widths)), widths), (problem.rows, sum(widths)))


def element(problem: Problem, quantity: str, index: tuple[int, ...]) -> str:
    """What a person calls an element: `W1[3, 2]`, or `o2[row 1, 0]`."""
    if quantity == "gradient":
        return problem.formulation.own.label(index[1])
    names, owners = tensors(problem, quantity)
    if quantity == "loss":
        return names[0]
    row, position = index[1:]
    tensor = int(owners[row, position])
    return f"{names[tensor]}[row {row}, {position - int(np.argmax(owners[row] == tensor))}]"


def _blank(trial: Trial, status: Status, why: str) -> Verdict:
    case = trial.case
    return Verdict(
        id=trial.id,
        case=case.name,
        subject=trial.subject.name,
        reference=trial.reference.name,
        source=trial.reference.source,
        check=trial.check,
        device=trial.device,
        dtype=trial.dtype,
        status=status,
        why=why,
        question=case.question,
        expect=case.expect,
    )


def _head(trial: Trial) -> str:
    against = trial.reference.title()
    return f"{trial.case.name}: {trial.subject.name} ({trial.device}, {trial.dtype}) against {against}"


def _missing(trial: Trial, missing: Missing, quantity: str) -> Verdict:
    if missing.status is Status.ABSENT:
        return _blank(trial, missing.status, missing.why)
    return _blank(trial, missing.status, f"{_head(trial)}\n{_title(quantity)} was not answered: {missing.why}")


def _title(quantity: str) -> str:
    return "gradient by the inputs" if quantity == "input_gradient" else quantity


def _measured(trial: Trial, problems: Sequence[Problem], quantity: str, judgement: Judgement) -> Verdict:
    """The verdict with its numbers, and no sentence yet."""
    problem = problems[judgement.stack]
    return replace(
        _blank(trial, judgement.status, ""),
        budget_used=judgement.budget_used,
        where=f"{element(problem, quantity, judgement.index)} ({problem.kind} draw {judgement.index[0]})",
        actual=judgement.actual,
        expected=judgement.expected,
        allowed=judgement.allowed,
        contract_share=judgement.contract_share,
    )


def _equal(trial: Trial, memo: Memo, problems: Sequence[Problem], quantity: str, judgement: Judgement) -> Verdict:
    verdict = _measured(trial, problems, quantity, judgement)
    names = tensors(problems[0], quantity)[0]
    if judgement.status is Status.UNDEFINED:
        return replace(verdict, why=f"the exact {_title(quantity)} leaves the range of {trial.dtype}: use smaller data")
    if judgement.status is Status.VACUOUS:
        unseen = ", ".join(names[i] for i in judgement.unseen)
        wide = ", ".join(names[i] for i in judgement.too_wide)
        reasons = [f"{unseen} is never other than 0 (not seen)"] if unseen else []
        reasons += [f"the bound of {wide} exceeds a tenth of its largest value in every draw"] if wide else []
        return replace(verdict, why="; ".join(reasons))
    if judgement.status is Status.PASS:
        return replace(verdict, why=f"inside: {judgement.budget_used:.2g} of what {trial.dtype} may differ by")
    return replace(verdict, why="\n".join(_failure(trial, memo, problems, quantity, judgement, verdict, names)))


def _failure(
    trial: Trial,
    memo: Memo,
    problems: Sequence[Problem],
    quantity: str,
    judgement: Judgement,
    verdict: Verdict,
    names: list[str],
) -> list[str]:
    """The sentences of a failure, the worst element and its place in the order of computation."""
    who = trial.reference.title().split()[0]
    if not np.isfinite([judgement.actual, judgement.expected]).all():
        size = f"is not finite where {trial.dtype} should be"
    elif judgement.allowed == 0 or not np.isfinite(judgement.budget_used):
        size = "is outside its rounding: it must be equal here, since nothing on the way to it rounds"
    else:
        size = f"is outside its rounding: {times(judgement.budget_used)} times what {trial.dtype} may differ by"
    got, wanted = apart(judgement.actual, judgement.expected)
    share = judgement.contract_share
    declared = f", of which {share:.2g} is what the contracts declare" if share > judgement.allowed / 2 else ""
    lines = [
        _head(trial),
        f"{_title(quantity)} {size}",
        f"  worst at {verdict.where}: got {got}, {who} says {wanted}, allowed ±{judgement.allowed:.2g}{declared}",
        f"  {_order(trial, memo, problems, quantity, judgement, names)}",
    ]
    if judgement.outside:
        both = {"subject": trial.subject.name, "reference": trial.reference.title()}
        outside = " and ".join(both[one] for one in judgement.outside.split(" and "))
        lines.append(f"  by the derivation of its own bounds, {outside} is the one outside")
    hint = _other_convention(trial, memo, problems, quantity)
    if hint:
        return [*lines, f"  {hint}"]
    observed = [memo.subject(trial.subject, problem, trial.dtype, trial.device).values for problem in problems]
    fault = problems[0].formulation.network.likely(problems, observed, quantity)
    return [*lines, f"  likely: {fault}"] if fault else lines


def _order(
    trial: Trial, memo: Memo, problems: Sequence[Problem], quantity: str, judgement: Judgement, names: list[str]
) -> str:
    """Where in the order of computation the first difference is."""
    inside = []
    for earlier in QUANTITIES[: min(QUANTITIES.index(quantity), 2)]:
        sides = _sides(trial, memo, problems, earlier, trial.subject.contract(trial.dtype))
        if isinstance(sides, Missing):
            continue
        judged = _judged(sides, problems, earlier, trial.dtype)
        if judged.status is Status.FAIL:
            return f"first outside, in order of computation: {earlier} (budget used {judged.budget_used:.3g})"
        inside.append((earlier, judged.budget_used))
    outside = ", ".join(names[i] for i in judgement.tensors_outside)
    first = f"first outside, in order of computation: {_title(quantity)} of {outside}"
    if quantity in ("forward", "loss"):
        first = f"first outside, in order of computation: {outside or quantity}"
    within = sorted(set(names) - {names[i] for i in judgement.tensors_outside})
    if within:
        first += f", not of {', '.join(within)}"
    if not inside:
        return first
    verb = "is" if len(inside) == 1 else "are"
    worst = max(used for _, used in inside)
    return f"{first}; {' and '.join(name for name, _ in inside)} {verb} inside (budget used {worst:.2g})"


def _other_convention(trial: Trial, memo: Memo, problems: Sequence[Problem], quantity: str) -> str:
    """The line to write where the failure vanishes under another derivative of ReLU at exactly 0."""
    if "relu" not in problems[0].formulation.network.activations or quantity in ("forward", "loss"):
        return ""
    for value, spelled in RELU_CONVENTIONS.items():
        if value == trial.subject.relu_at_zero:
            continue
        contract = Contract(trial.dtype, relu_at_zero=value)
        sides = _sides(trial, memo, problems, quantity, contract)
        if not isinstance(sides, Missing) and _judged(sides, problems, quantity, trial.dtype).status is Status.PASS:
            return (
                f"it vanishes if the derivative of ReLU at exactly 0 is {value:g}, as {spelled} has it: "
                f"write Subject({trial.subject.name}, relu_at_zero={value:g})"
            )
    return ""


def times(budget_used: float) -> str:
    """A factor with four digits, written out up to a million million: 865,900."""
    return f"{budget_used:.4g}" if budget_used < 1000 or budget_used > 1e12 else f"{float(f'{budget_used:.4g}'):,.0f}"


def apart(a: float, b: float) -> tuple[str, str]:
    """Two figures with as many digits as it takes to see that they differ, at least five."""
    for digits in range(5, 17):
        if f"{a:.{digits}g}" != f"{b:.{digits}g}":
            return f"{a:.{digits}g}", f"{b:.{digits}g}"
    return f"{a:.17g}", f"{b:.17g}"


def _differs(trial: Trial, problems: Sequence[Problem], quantity: str, judgement: Judgement) -> Verdict:
    """A claimed difference passes with a counterexample: two finite numbers further apart than both bounds."""
    verdict = _measured(trial, problems, quantity, judgement)
    found = judgement.budget_used > 1 and np.isfinite([judgement.actual, judgement.expected]).all()
    if not found:
        return replace(
            verdict,
            status=Status.FAIL,
            why=f"{_head(trial)}\n{quantity} was claimed to differ, and no counterexample was found: the nearest is "
            f"{verdict.where}, {judgement.budget_used:.2g} of the allowed ±{judgement.allowed:.2g}",
        )
    got, wanted = apart(judgement.actual, judgement.expected)
    why = (
        f"{verdict.where}: {trial.subject.name} gives {got}, {trial.reference.title()} {wanted} "
        f"at the same parameters (allowed ±{judgement.allowed:.1e})"
    )
    return replace(verdict, status=Status.PASS, why=why)


def _contrasted(trial: Trial, memo: Memo, problems: Sequence[Problem], asked: Contrast) -> Verdict:
    """The contrast of the subject against 0, and of the case's own network, as the reference computes it, beyond 0."""
    passed = []
    for problem, claimed in zip(problems, memo.problems(memo.claimed()), strict=True):
        sides = _contrast_sides(trial, memo, problem, claimed, asked)
        if isinstance(sides, Missing):
            return _missing(trial, sides, "forward")
        claim, example = judge_contrast(*sides)
        first = _head_columns(problem, asked.head).start
        shown = example if claim.status is Status.PASS else claim
        tensor = element(problem, "forward", (0, 0, first + shown.index[1])).replace("[row 0, ", "[")
        place = f"{asked.name} of {tensor} ({problem.kind} draw {shown.index[0]})"
        if claim.status is Status.FAIL:
            why = (
                f"was claimed to be 0 for {trial.subject.name}, and is {claim.actual:.5g}, allowed ±{claim.allowed:.2g}"
            )
        elif example.status is Status.FAIL:
            why = "was claimed to be other than 0 for the equations, and is nowhere beyond the bounds"
        else:
            why = (
                f"{asked.asks}, {tensor}, is {example.actual:.2g} (±{claim.allowed:.1g}), and {example.expected:.5g} "
                f"for {trial.case.network.sentence()} by {trial.reference.title()}"
            )
            measured = replace(_blank(trial, Status.PASS, why), budget_used=claim.budget_used, where=place)
            passed.append(replace(measured, actual=example.actual, expected=example.expected, allowed=example.allowed))
            continue
        why = f"{_head(trial)}\n{asked.asks} {why}\n  at {place}"
        return replace(_blank(trial, Status.FAIL, why), budget_used=claim.budget_used, where=place)
    return max(passed, key=lambda verdict: abs(verdict.expected or 0.0))


def _contrast_sides(
    trial: Trial, memo: Memo, problem: Problem, claimed: Problem, asked: Contrast
) -> tuple[Contrasted, Contrasted] | Missing:
    """The contrast of both: the subject at its own parameters, the reference at those of the case's network."""
    mine = memo.subject(trial.subject, problem, trial.dtype, trial.device).answer("forward")
    if isinstance(mine, Missing):
        return replace(mine, why=f"{trial.subject.name} {mine.why}")
    theirs = memo.reference(trial.reference, claimed).answer("forward")
    if isinstance(theirs, Missing):
        return theirs
    columns = _head_columns(problem, asked.head)
    bounds = (
        memo.oracle(problem, trial.subject.contract(trial.dtype))["forward"],
        memo.oracle(claimed, trial.reference.contract(), trial.reference)["forward"],
    )
    pair = [
        Side(answer[..., columns], Bounded(bound.value[..., columns], bound.error[..., columns]))
        for answer, bound in zip((mine, theirs), bounds, strict=True)
    ]
    return contrast(pair[0], asked.rows, asked.on_logits), contrast(pair[1], asked.rows, asked.on_logits)


def _head_columns(problem: Problem, head: int | None) -> slice:
    """Where a head's outputs stand among all outputs."""
    widths = problem.formulation.network.outputs
    if head is None:
        return slice(0, sum(widths))
    return slice(sum(widths[:head]), sum(widths[: head + 1]))
