"""Proposes a limit for good fits, from the final losses of training."""

from collections.abc import Sequence

import numpy as np

from harness.fits.losses import Losses

OUTER = 0.1  # share of the losses at each end, between which no limit is looked for
WIDE = 1.5  # a gap between neighbouring losses that is worth a limit


def propose_quality(sides: Sequence[Losses]) -> str:
    """Return a clause that proposes a limit for good fits, in the widest gap between the losses of
    all trainers; "" if there is no wide gap.

    The limit does not depend on which trainer reached which loss. So comparing shares at this limit
    stays an honest test. It lies below every loss before training.
    """
    ends = np.concatenate([side.ends for side in sides])
    before = min(float(side.starts.min()) for side in sides)
    losses = np.sort(ends[(ends > 0) & (ends < before)])
    outer = int(OUTER * len(losses))
    inner = losses[outer : len(losses) - outer]
    if len(inner) < 2:
        return ""
    gaps = inner[1:] / inner[:-1]
    widest = int(np.argmax(gaps))
    if gaps[widest] < WIDE:
        return ""
    limit = float(np.sqrt(inner[widest] * inner[widest + 1]))
    below = int(np.count_nonzero(ends <= limit))
    return (
        f"; a quality of {limit:.2g} lies in the widest gap between these losses: {below} of"
        f" {len(ends)} are below"
    )
