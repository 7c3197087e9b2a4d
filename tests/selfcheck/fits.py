"""Shares of good fits and paired losses on public regression sets: which of them decides?

`python -m tests.selfcheck.fits [starts]` takes twelve data sets of R's package datasets and asks
two questions of each: does SciPy's BFGS fit it as well as nnet, and do 20 iterations of nnet fit it
less well than 10,000? Each is asked by shares of fits that explain 90 % of the variance, and by
losses; at last by the losses on all sets together. It prints a line for each question, and how many
are decided.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness import Case, Loss, Status, Verdict
from harness.core.contract import Array
from harness.fits.ends import get_ends, get_losses_at_start
from harness.fits.losses import Losses, Ratios
from harness.judging.cache import STARTS, Cache
from harness.judging.store import Store
from harness.running.trial import run
from harness.training.trainer import Population
from reference import Network, nnet_fit, scipy_bfgs
from reference.r.nnet_reference import LIVE

SETS = {  # R's name of a data set, and the column that is predicted
    "datasets::rock": "perm",
    "datasets::mtcars": "mpg",
    "datasets::cars": "dist",
    "datasets::faithful": "waiting",
    "datasets::airquality": "Ozone",
    "datasets::swiss": "Fertility",
    "datasets::trees": "Volume",
    "datasets::stackloss": "stack.loss",
    "datasets::attitude": "rating",
    "datasets::LifeCycleSavings": "sr",
    "datasets::quakes": "stations",
    "datasets::iris[, -5]": "Sepal.Length",
}
HIDDEN, DECAY = 3, 1e-3
EXPLAINED = 0.9  # share of the variance that a good fit explains: what a user would ask for
NNET = nnet_fit()
SHORT = nnet_fit(maxit=20, name="nnet_maxit_20", says="nnet, maxit = 20")
QUESTIONS = {
    "SciPy's BFGS as well as nnet": (scipy_bfgs, "equal"),
    "20 iterations less well": (SHORT, "differs"),
}


@dataclass(frozen=True)
class Answer:
    """The verdicts on a question by shares of good fits, and by losses; the ratios of losses."""

    name: str
    question: str
    by_shares: Verdict
    by_losses: Verdict
    ratios: Ratios


def read(name: str, target: str) -> tuple[Array, Array]:
    """Return the inputs (R, I) and the target (R, 1) of a data set, each column scaled to mean 0
    and variance 1; rows with missing numbers are left out.
    """
    code = f"""
        d <- na.omit({name})
        x <- scale(as.matrix(d[, setdiff(names(d), "{target}")]))
        c(nrow(x), t(cbind(x, scale(d[["{target}"]]))))
    """
    rows, *numbers = np.asarray(LIVE.eval_text(code))
    table = np.reshape(numbers, (int(rows), -1))
    return table[:, :-1], table[:, -1:]


def ask(name: str, target: str, starts: int) -> list[Answer]:
    """Return the answers to both questions on a data set."""
    x, y = read(name, target)

    def data(count: int) -> tuple[Array, Array]:
        return np.tile(x, (count, 1, 1)), np.tile(y, (count, 1, 1))

    good = (1 - EXPLAINED) * len(y)
    network = Network(x.shape[1], HIDDEN, 1, "logistic")
    fits, answers = Store(), []
    for question, (trainer, expect) in QUESTIONS.items():
        verdicts = []
        for quality in (good, None):
            population = Population(data, quality, x[:2], loss=Loss(decay=DECAY))
            how: dict[str, Any] = {"checks": ["fit"], "dtypes": ["float64"]}
            case = Case(name, network, [trainer], [NNET], population, expect, **how)
            cache = Cache(case, starts, across_cases=fits)
            verdicts.append(run(case.trials()[0], cache))
        losses = [list_losses(cache, trainer.name), list_losses(cache, NNET.name)]
        ratios = Ratios.of(losses[0], losses[1], population.ratio)
        answers.append(Answer(name, question, verdicts[0], verdicts[1], ratios))
    return answers


def list_losses(cache: Cache, trainer: str) -> Losses:
    """Return the losses of a trainer of a case, from all its starts."""
    ended = next(each for each in get_ends(cache) if each.trainer.name == trainer)
    return Losses(ended.losses, ended.errors, get_losses_at_start(cache, ended))


def count_decided(verdicts: list[Verdict]) -> str:
    """Return how many verdicts are decided, either way."""
    decided = [verdict.status for verdict in verdicts if verdict.status.judges]
    passed = decided.count(Status.PASS)
    return f"{len(decided)} of {len(verdicts)} decided, {passed} for the claim"


def main(arguments: list[str]) -> None:
    """Ask all questions and print the answers."""
    starts = int(arguments[0]) if arguments else STARTS
    answers: list[Answer] = []
    for name, target in SETS.items():
        for answer in ask(name, target, starts):
            answers.append(answer)
            told = f"{answer.name}: {answer.question}: by shares {answer.by_shares.status}"
            print(f"{told}, by losses {answer.by_losses.status}: {describe(answer.ratios)}")
    print(f"by shares {count_decided([answer.by_shares for answer in answers])}")
    print(f"by losses {count_decided([answer.by_losses for answer in answers])}")
    for question in QUESTIONS:
        pooled = Ratios.pool([each.ratios for each in answers if each.question == question])
        print(f"{question}, all sets together: {describe(pooled)}")


def describe(ratios: Ratios) -> str:
    """Return the counts, the typical ratio and the p-values of ratios of losses."""
    low, high = ratios.interval
    return (
        f"of {ratios.n} starts {ratios.higher} higher and {ratios.lower} lower, typical ratio"
        f" {ratios.typical:.4g} ({low:.4g} to {high:.4g}), alike p = {ratios.p_of_alike(0.25):.2g},"
        f" different p = {ratios.pairs.p:.2g}"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
