"""What training came to, judged: what each claims by what its weights give, and shares of good fits by statistics."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from harness.asked import blank, heading, missing
from harness.case import Trial
from harness.contract import Array, Bounded
from harness.judge import Judgement, Side, judge
from harness.memo import Memo
from harness.observation import Missing
from harness.pairs import CONVINCING, Pairs, interval
from harness.report import Fit, Row
from harness.trainer import Ended, Population
from harness.verdict import Status, Verdict

CLAIMS = "Is the loss that each fit claims, and what it predicts, what its final weights give?"
CURVE, WEIGHTS = 200, 64  # points of a curve and weights of a network that a report holds at most


def ended(trial: Trial, memo: Memo) -> Verdict:
    """The verdict of a `final` or `fit` check."""
    sides: list[Ended] = []
    for trainer, device in ((trial.subject, trial.device), (trial.reference, "cpu")):
        if why := trainer.absent(trial.case.network, trial.check):
            return blank(trial, Status.ABSENT, why)
        try:
            found = memo.ended(trainer, trial.dtype, device)
        except (ValueError, TypeError) as error:
            return blank(trial, Status.BROKEN, f"{heading(trial)}\n{error}")
        if isinstance(found, Missing):
            return missing(trial, replace(found, why=f"{trainer.title()} {found.why}"), trial.check)
        if found.fitted.end is None:
            lost = f"{trainer.title()}: from every start the loss or the weights are {found.fitted.ended[0]}"
            return blank(trial, Status.FAIL, f"{heading(trial)}\n{lost}")
        sides.append(found)
    population = trial.case.population
    assert population is not None
    if trial.check == "final":
        return _final(trial, memo, sides, population)
    return _compared(trial, *sides, population)


class _Claim(NamedTuple):
    """One thing that a trainer says of its final weights, and what these give."""

    who: str
    what: str
    side: Side


def _final(trial: Trial, memo: Memo, sides: list[Ended], population: Population) -> Verdict:
    """Claimed losses and predictions against the oracle's at the final weights; losses against their floor."""
    claims: list[_Claim] = []
    for ended in sides:
        who, end = ended.trainer.title(), ended.fitted.end
        assert end is not None
        contract = ended.trainer.contract(ended.dtype)
        claims.append(_Claim(who, "claims a loss of", Side(ended.fitted.claimed, memo.oracle(end, contract)["loss"])))
        predicted = predictions(memo, ended)
        if isinstance(predicted, Missing):
            return missing(trial, replace(predicted, why=f"{who} {predicted.why}"), trial.check)
        claims.append(_Claim(who, "predicts", predicted))
    own = replace(blank(trial, Status.PASS, ""), question=CLAIMS, expect="equal")
    exact = [Side(c.side.oracle.value, Bounded(c.side.oracle.value, 0 * c.side.oracle.error)) for c in claims]
    owners = [np.full(claim.side.answer.shape[1:], number) for number, claim in enumerate(claims)]
    judged = judge([claim.side for claim in claims], exact, owners, trial.subject.contract(trial.dtype).largest)
    claim = claims[judged.stack]
    measured = replace(
        own,
        status=judged.status,
        budget_used=judged.budget_used,
        where=f"{claim.who} {claim.what} (start {judged.index[0]})",
        actual=judged.actual,
        expected=judged.expected,
        allowed=judged.allowed,
        why=_said(judged, claim, trial),
    )
    below = _below_floor(sides[0], memo)
    return replace(measured, status=Status.FAIL, why=f"{heading(trial)}\n{below}") if below else measured


def _said(judged: Judgement, claim: _Claim, trial: Trial) -> str:
    if judged.status is Status.PASS:
        return f"inside: {judged.budget_used:.2g} of what {trial.dtype} may differ by"
    if judged.status is Status.FAIL:
        gives = f"its final weights give {judged.expected:.9g}, allowed ±{judged.allowed:.2g}"
        return f"{heading(trial)}\n{claim.who} {claim.what} {judged.actual:.9g}, {gives} (start {judged.index[0]})"
    return f"what {claim.who} {claim.what} is too near to 0, or too large, to be judged by rounding: choose other data"


def predictions(memo: Memo, ended: Ended) -> Side | Missing:
    """What a trainer's own implementation predicts at the marks and on the grid, with the oracle's bounds."""
    population, end = memo.case.population, ended.fitted.end
    assert population is not None
    assert end is not None
    problem = memo.once(("told", id(ended)), lambda: population.told(end, ended.dtype))
    observed = memo.once(
        ("predicted", id(ended)), lambda: ended.trainer.answers(problem, ended.dtype, ended.device).answer("forward")
    )
    bound = memo.oracle(problem, ended.trainer.contract(ended.dtype))["forward"]
    return observed if isinstance(observed, Missing) else Side(observed, bound)


def _below_floor(ended: Ended, memo: Memo) -> str:
    """A loss below what no fit can be below: then the floor is wrong, or the data are not what was said."""
    end = ended.fitted.end
    if ended.trainer.floor is None or end is None:
        return ""
    floor, loss = ended.trainer.floor(end.inputs, end.targets), memo.oracle(end, ended.trainer.contract(ended.dtype))["loss"]
    under = loss.value + loss.error < floor.value - floor.error
    if not under.any():
        return ""
    worst = int(np.argmax(under))
    return (
        f"{ended.trainer.title()} ends at a loss of {loss.value[worst]:.9g}, below the floor of {floor.value[worst]:.9g} "
        "that was stated for it: the floor, or the network, is not what it is said to be"
    )


def _compared(trial: Trial, mine: Ended, theirs: Ended, population: Population) -> Verdict:
    """Do as many starts end well, or claimedly not?"""
    count = min(len(mine.losses), len(theirs.losses))
    good = [side.losses[:count] <= population.quality for side in (mine, theirs)]
    pairs, n = Pairs.of(*good), count
    shares = [_share(int(some.sum()), n) for some in good]
    told = (
        f"{shares[0]} end at a sum of squares of at most {population.quality:g}, with {theirs.trainer.title()} {shares[1]}"
    )
    low, high = pairs.difference
    used, power = pairs.margin_used(population.margin), pairs.power(population.margin)
    same, other = used <= 1, pairs.p < CONVINCING
    difference = f"the share is {low:+.2f} to {high:+.2f} of the other's (90 %)"
    if same:
        why = f"{told}; {difference}, equivalent within ±{population.margin:g} (power {power:.2f})"
    elif other:
        why = f"{told}; so uneven by chance with p = {pairs.p:.1g}"
    else:
        why = (
            f"{told}: {n} starts cannot tell; {difference}, the margin is ±{population.margin:g}, power {power:.2f}, "
            f"p = {pairs.p:.1g}: ask for more with --starts"
        )
    holds, fails = (same, other) if trial.case.expect == "equal" else (other and not same, same)
    status = Status.PASS if holds else Status.FAIL if fails else Status.VACUOUS
    mine.compared.append(why)
    if status is Status.FAIL:
        claim = "was claimed to fit as well, and does not" if other else "was claimed not to fit as well, and does"
        why = f"{heading(trial)}\n{trial.subject.title()} {claim}: {why}"
    return replace(blank(trial, status, why), budget_used=used if trial.case.expect == "equal" else None)


def _share(good: int, of: int) -> str:
    low, high = interval(good, of)
    return f"{good} of {of} starts ({low:.0%} to {high:.0%})"


def fit(memo: Memo, ended: Ended) -> Fit:
    """A trainer's fits as the report holds them."""
    population = memo.case.population
    assert population is not None
    n, best = len(ended.losses), int(np.argmin(ended.losses))
    good = int((ended.losses <= population.quality).sum())
    low, high = interval(good, n)
    finite = np.sort(ended.losses[np.isfinite(ended.losses)])
    floor = ended.trainer.floor and ended.trainer.floor(ended.start.inputs, ended.start.targets).value[0]
    curve, scale = ended.fitted.curve, population.scale(ended.start.rows)
    some = np.unique(np.geomspace(1, max(len(curve), 1), CURVE).round().astype(int) - 1)[: len(curve)]
    return Fit(
        memo.case.name,
        ended.trainer.title(),
        ended.trainer.source,
        n,
        curve=[(curve[i][0], _finite(curve[i][1] * scale)) for i in some] or None,
        **_best(memo, ended, best),
        ended=dict(Counter(ended.fitted.ended)),
        compared="; ".join(ended.compared) or None,
        best=_finite(ended.losses[best]),
        median=_finite(float(np.median(ended.losses))),
        floor=None if floor is None or not finite.size else float(floor) * scale,
        quality=population.quality,
        share=good / n,
        share_low=low,
        share_high=high,
        seconds=ended.fitted.seconds,
    )


def _best(memo: Memo, ended: Ended, best: int) -> dict[str, dict[str, list[float | None]] | dict[str, float] | None]:
    """Predictions and weights of the best start; nothing where none is finite or there are too many to be shown."""
    population, end = memo.case.population, ended.fitted.end
    assert population is not None
    predicted = None if end is None else predictions(memo, ended)
    if end is None or predicted is None or isinstance(predicted, Missing):
        return {}
    draw = int(np.count_nonzero(ended.fitted.finite[:best]))
    answer: Array = predicted.answer[draw]
    marks, layout = len(population.marks), end.formulation.network.layout
    one = population.grid.shape[1] == answer.shape[1] == 1
    plot = {"x": population.grid[:, 0].tolist(), "y": [_finite(y) for y in answer[marks:, 0]]} if one else None
    at = {name: _finite(y) for name, y in zip(population.marks, answer[:, 0], strict=False)} if one else None
    weights = {layout.label(i): float(weight) for i, weight in enumerate(end.theta[draw])}
    return {"plot": plot, "at": at, "weights": weights if len(weights) <= WEIGHTS else None}


def table(memo: Memo) -> list[Row]:
    """A case's trainers as rows of the table of changes, the references last."""
    population = memo.case.population
    if population is None or not population.table:
        return []
    references = [reference.name for reference in memo.case.references]
    rows = []
    for ended in sorted(memo.fits.values(), key=lambda ended: ended.trainer.name in references):
        low, middle, high = (_finite(float(np.quantile(ended.losses, q, method="nearest"))) for q in (0, 0.5, 1))
        rows.append(Row(population.table, ended.trainer.title(), len(ended.losses), middle, low, high))
    return rows


def answer(memo: Memo, rows: list[Row]) -> str:
    """What a case makes of its rows, where all its trainers ended."""
    asked = {trainer.name for trainer in (*memo.case.subjects, *memo.case.references) if memo.case.answer}
    complete = asked and asked <= {ended.trainer.name for ended in memo.fits.values()}
    return memo.case.answer(rows) if complete and memo.case.answer else ""


def points(memo: Memo) -> dict[str, list[float]] | None:
    """The first data that a case's trainers are given, where they can be drawn."""
    population = memo.case.population
    assert population is not None
    x, y = (part[0] for part in population.data(1))
    return {"x": x[:, 0].tolist(), "y": y[:, 0].tolist()} if x.shape[1] == y.shape[1] == 1 else None


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
