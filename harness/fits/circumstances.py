"""Describes the circumstances of a comparison of trainers: evaluations of the loss, restarts and
penalties.
"""

from collections.abc import Sequence

import numpy as np

from harness.fits.starts import has_one_data_set
from harness.training.trained import Trained
from harness.training.trainer import Ended, Population


def describe_effort(sides: Sequence[Ended]) -> str:
    """Return a sentence on how much the trainers compute; "" if there is nothing to report.

    It has their evaluations of the loss and their restarts: a trainer may end lower only because it
    tries more often. It also says if a trainer ends at the same weights from every start.
    """
    parts = []
    if any(len(side.fitted.evaluations) for side in sides):
        counts = [f"{side.trainer.title()} {_describe_count(side)}" for side in sides]
        parts.append(f"evaluations of the loss, median of a start: {', '.join(counts)}")
    for side in sides:
        if any(side.fitted.restarts):
            most = max(side.fitted.restarts)
            parts.append(f"{side.trainer.title()} begins anew up to {most} times from a start")
        if _ignores_starts(side):
            parts.append(f"{side.trainer.title()} ends at the same weights from every start")
    return "; ".join(parts)


def _ignores_starts(side: Ended) -> bool:
    """Does a trainer end at exactly the same weights from different starts?"""
    start, ends = side.start.part(side.fitted.finite), side.end
    if np.ptp(start.theta, axis=0).max() == 0 or not has_one_data_set(start):
        return False
    return bool(np.ptp(ends.own, axis=0).max() == 0)


def median_count(counts: Sequence[int]) -> int | None:
    """Return the median of counts; each is the count of one start. Return None if there are
    none.
    """
    return int(np.median(counts)) if len(counts) else None


def _describe_count(side: Ended) -> str:
    count = median_count(side.fitted.evaluations)
    return "does not tell" if count is None else f"{count:,}"


def describe_penalties(sides: Sequence[Ended], population: Population) -> str:
    """Return sentences on trainers that penalise their weights twice: in the optimiser and in the
    loss.

    It is "" if there are none.
    """
    sentences = []
    for ended in sides:
        if isinstance(ended.trainer, Trained):
            sentences.append(ended.trainer.describe_penalties(population.loss))
    return "; ".join(filter(None, sentences))
