"""R's runif() without R: the Mersenne Twister as R seeds it (`set.seed` and `MT_genrand` in R's
RNG.c).
"""

import numpy as np

from reference.r.topology import Array

# RNG.c: [0, 1] from 32 bits, then kept off both ends, which no seed below reaches
TO_UNIT = 2.3283064365386963e-10


def runif(seed: int, count: int) -> Array:
    """What `set.seed(seed); runif(count)` gives, (count,)."""
    state = seed
    scrambled = []
    for step in range(50 + 625):
        state = (69069 * state + 1) % 2**32
        scrambled += [state] if step > 50 else []  # the first is a position, which R sets to 624
    twister = np.random.MT19937()
    key = np.array(scrambled, dtype=np.uint32)
    twister.state = {"bit_generator": "MT19937", "state": {"key": key, "pos": 624}}
    return np.asarray(twister.random_raw(count) * TO_UNIT, dtype=np.float64)
