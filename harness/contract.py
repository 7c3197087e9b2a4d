"""What an implementation promises about its arithmetic, and what that entitles it to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

PRECISION = {"float64": 53, "float32": 24}  # significand bits, IEEE 754-2019 table 3.5


@dataclass(frozen=True)
class Contract:
    """The arithmetic that an implementation promises; round to nearest, gradual or flushed underflow.

    `exp_ulp` is the accuracy of exp and tanh in units in the last place. `logistic_clip` is the |z| beyond which the
    logistic returns exactly 0 or 1 (R nnet: 15, `sigmoid` in nnet.c). `relu_at_zero` is the derivative of ReLU at
    exactly 0 (`relu` 0, `clamp(min=0)` 1, `torch.maximum` one half). `stated` is what is not derived but said: by how
    much of the largest output of a head in a draw each of its outputs may be off; `why` is who says so.
    """

    dtype: str = "float64"
    exp_ulp: float = 2.0
    logistic_clip: float | None = None
    relu_at_zero: float = 0.0
    stated: float | None = None
    why: str = ""

    def __post_init__(self) -> None:
        if self.dtype not in PRECISION:
            raise ValueError(f"dtype {self.dtype!r} has no contract, expected one of {', '.join(PRECISION)}")

    @property
    def bits(self) -> int:
        """Significand bits of the dtype, the hidden one included."""
        return PRECISION[self.dtype]

    @property
    def roundoff(self) -> float:
        """Unit roundoff u of the dtype: 2^-53 or 2^-24."""
        return 2.0**-self.bits

    @property
    def tiny(self) -> float:
        """Smallest normal number of the dtype: what an underflow may lose."""
        return float(np.finfo(self.dtype).tiny)

    @property
    def largest(self) -> float:
        """Largest finite number of the dtype."""
        return float(np.finfo(self.dtype).max)

    def sentence(self) -> str:
        """The promise in words, as the report prints it."""
        if self.stated is not None:
            return f"stated, not derived: within {self.stated:g} of a head's largest output in a draw ({self.why})"
        clip = f", logistic exactly 0 or 1 beyond |z| > {self.logistic_clip:g}" if self.logistic_clip else ""
        return (
            f"{self.dtype}, u = 2^-{self.bits}, exp and tanh within {self.exp_ulp:g} ulp{clip}, "
            f"derivative of ReLU at exactly 0 is {self.relu_at_zero:g}"
        )


@dataclass(frozen=True, eq=False)
class Bounded:
    """A value and, element by element, how far a correct implementation may be from the exact result."""

    value: Array
    error: Array
