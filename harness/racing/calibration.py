"""How many evaluations a turn of a race needs to be timed."""

import math
from collections.abc import Callable

TURN = 0.0015  # seconds that a turn takes about: a thousand times what reading a clock takes
TRIES = 3  # measurements; the shortest one counts, since other work only makes them longer
MOST = 1 << 20  # evaluations in a turn


def calibrate(measure: Callable[[int], float], seconds: float = TURN) -> int:
    """Return the number of evaluations in a turn that takes about `seconds`, at least one.

    `measure(count)` makes `count` evaluations in a row, and returns the seconds that they took. The
    number is doubled until the shortest of several measurements takes half of `seconds`, so that
    neither a slow first evaluation nor the resolution of the clock decides.
    """
    count = 1
    while count < MOST:
        took = min(measure(count) for _ in range(TRIES))
        if took >= seconds / 2:
            return math.ceil(count * (seconds / took))
        count *= 2
    return count
