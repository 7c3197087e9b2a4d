"""The roundoff of one torch operation: of its result, and of the steps inside it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

from harness.arithmetic.rounding import ORACLE_ROUNDOFF
from harness.core.contract import SINGLE, Contract


@dataclass(frozen=True, eq=False)
class Precision:
    """The roundoff of an operation: of its result, and of the steps inside it.

    `stored` is the unit roundoff of the result's dtype. `inside` is that of its sums and steps,
    which are float32 if the dtype is narrower. Both include the roundoff of the float64 in which
    the operation is repeated. `ulp` is the error of exp, tanh and similar functions in units in the
    last place. A result below `tiny` may be flushed to zero, and a step below `tiny_inside`. A
    result beyond `largest` is infinite, and so is a step beyond `largest_inside`.
    """

    dtype: str
    stored: float
    inside: float
    ulp: float
    tiny: float
    tiny_inside: float
    largest: float
    largest_inside: float

    @property
    def narrow(self) -> bool:
        """Is a result rounded to a dtype that is narrower than the dtype of the operation's
        internal steps?
        """
        return self.stored > self.inside

    def stepwise(self) -> Precision:
        """Return the precision of an operation that rounds every intermediate result to the dtype
        of its result.
        """
        ulp = 0.5 + self.ulp * self.inside / self.stored * (1 + self.stored)
        return replace(
            self,
            inside=self.stored,
            ulp=ulp,
            tiny_inside=self.tiny,
            largest_inside=self.largest,
        )

    @property
    def function(self) -> float:
        """The relative error of exp, tanh and similar functions."""
        return 2 * self.ulp * self.inside


@cache
def precision_of(dtype: str) -> Precision:
    """Return the precision of operations with results in a dtype, such as "float32".

    Raises ValueError for a dtype without a contract.
    """
    contract = Contract(dtype)
    wide = contract if contract.bits >= SINGLE else Contract("float32")
    return Precision(
        dtype,
        contract.roundoff + ORACLE_ROUNDOFF,
        wide.roundoff + ORACLE_ROUNDOFF,
        contract.exp_ulp,
        contract.tiny,
        wide.tiny,
        contract.largest,
        wide.largest,
    )
