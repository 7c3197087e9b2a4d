"""Computes the random numbers of R's runif() without R.

The generator is the Mersenne Twister, seeded as R does it (`set.seed` and `MT_genrand` in R's
RNG.c).
"""

import numpy as np

from reference.r.topology import Array

# RNG.c maps 32 bits to [0, 1]. It then moves 0 and 1 inside, which no seed in use meets.
TO_UNIT = 2.3283064365386963e-10


def runif(seed: int, count: int) -> Array:
    """Return the numbers (count,) of `set.seed(seed); runif(count)` in R."""
    state = seed
    scrambled = []
    for step in range(50 + 625):
        state = (69069 * state + 1) % 2**32
        if step > 50:  # the number of step 50 is a position, which R sets to 624
            scrambled.append(state)
    twister = np.random.MT19937()
    key = np.array(scrambled, dtype=np.uint32)
    twister.state = {"bit_generator": "MT19937", "state": {"key": key, "pos": 624}}
    return np.asarray(twister.random_raw(count) * TO_UNIT, dtype=np.float64)
