"""An implementation's promise about its arithmetic (its contract), and the bounds on its numbers.

A bound is the largest error that a correct implementation may make. A draw is one problem of a
stack of problems that are evaluated together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from numbers import Real
from operator import attrgetter
from typing import Literal, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from harness.text.harmless import shown

Array = NDArray[np.float64]
Indices = NDArray[np.intp]
Mask = NDArray[np.bool_]
Dtype = Literal["float64", "float32", "tf32", "bfloat16", "float16"]
Number = TypeVar("Number", bound=np.generic)  # of an array of any dtype

# Significand bits of a number, of the factors of a product of matrices, and NumPy's dtype of the
# same range: IEEE 754-2019, table 3.5; bfloat16 and TF32 are float32 with fewer bits, the latter in
# factors only.
PRECISION: dict[str, tuple[int, int, str]] = {
    "float64": (53, 53, "float64"),
    "float32": (24, 24, "float32"),
    "tf32": (24, 11, "float32"),
    "bfloat16": (8, 8, "float32"),
    "float16": (11, 11, "float16"),
}
DTYPES: tuple[Dtype, ...] = ("float64", "float32")  # the dtypes of a case that names none
LOSS_ROUNDINGS = 6  # of a loss of one's own, beyond those of a constant
SINGLE = 24  # sums of narrower numbers are kept in float32
NNET_FLOOR, NNET_LOST = 1e-80, 1000.0  # of probabilities in nnet's losses (EPS and fpass in nnet.c)
BCE_LEAST = -100.0  # of logarithms in torch's binary_cross_entropy
NNET_CLIP = 15.0  # |z| beyond which R nnet's logistic is exactly 0 or 1 (sigmoid in nnet.c)


@dataclass(frozen=True)
class Contract:
    """The arithmetic that an implementation promises: its dtype, and how exactly it computes
    functions.

    Every operation rounds to nearest; underflow may be gradual or flushed to zero. `dtype` is
    float64, float32, bfloat16, float16 or tf32; tf32 is float32 whose matrix products round their
    factors to 11 bits. In a dtype of fewer than 24 bits, sums are kept in float32 and rounded when
    they are stored.

    `exp_ulp` is the largest error of exp and tanh, in units in the last place. `logistic_clip` is
    the |z| beyond which the logistic returns exactly 0 or 1 (R nnet: 15, `sigmoid` in nnet.c); None
    if it never does. `relu_at_zero` is the derivative of ReLU at exactly 0: 0 for `relu`, 1 for
    `clamp(min=0)`, one half for `torch.maximum`. `own_loss` says that the user's own code computes
    the loss and its gradient by the outputs: its constants and a square root may be rounded.

    `from_probabilities` says that losses of logits are computed from probabilities, as nnet does;
    else they are fused, as torch's cross_entropy. With it, the logarithm of a probability p is
    log(p + `log_floor`) in the errors "entropy" and "bce" (nnet: 1e-80, `EPS` in nnet.c), and at
    least `log_least` (torch's binary_cross_entropy: -100). An error "softmax" or "censored" is
    `log_lost` if its probability is exactly 0 (nnet: 1000), infinite if `log_lost` is None.
    `unfused_slope` says that the gradient of a loss of probabilities is computed through them, as
    autograd does: it is lost where they round to 0 or 1.

    `absolute_activations` says that tanh and the logistic have a small absolute error, but not a
    small relative one. For example, 2 sigmoid(2 z) - 1 loses digits where tanh is small.

    `stated` is an error that is stated and not derived: the largest error of each output, as a
    share of the largest output of its head in the same draw. `why` names the source of this
    statement.
    """

    dtype: str = "float64"
    exp_ulp: float = 2.0
    logistic_clip: float | None = None
    relu_at_zero: float = 0.0
    own_loss: bool = False
    absolute_activations: bool = False
    from_probabilities: bool = False
    log_floor: float = 0.0
    log_least: float | None = None
    log_lost: float | None = None
    unfused_slope: bool = False
    stated: float | None = None
    why: str = ""

    def __post_init__(self) -> None:
        if self.dtype not in PRECISION:
            raise ValueError(
                f"dtype {self.dtype!r} has no contract, expected one of {', '.join(PRECISION)}"
            )
        if not _is_number(self.relu_at_zero) or not 0 <= self.relu_at_zero <= 1:
            raise ValueError(
                f"relu_at_zero is {shown(self.relu_at_zero, 40)}, expected a number from 0 to 1"
            )
        clip = self.logistic_clip
        if clip is not None and (not _is_number(clip) or not 0 < clip < np.inf):
            raise ValueError(
                f"logistic_clip is {shown(clip, 40)}, expected a number above 0, as R nnet's"
                f" {NNET_CLIP:g}"
            )

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash(_read_promises(self))

    def through_probabilities(self) -> Contract:
        """Return a copy of the contract for a loss that is computed from probabilities, as by
        BCELoss of a sigmoid.
        """
        return replace(self, from_probabilities=True, unfused_slope=True, log_least=BCE_LEAST)

    @cached_property
    def without_clip(self) -> Contract:
        """The contract with a logistic that is never clipped."""
        return self if self.logistic_clip is None else replace(self, logistic_clip=None)

    @cached_property
    def without_probabilities(self) -> Contract:
        """A copy of the contract for squares and fused losses: its promises on losses of
        probabilities are set to their defaults.
        """
        return replace(
            self,
            from_probabilities=False,
            unfused_slope=False,
            log_floor=0.0,
            log_least=None,
            log_lost=None,
        )

    @property
    def bits(self) -> int:
        """The number of significand bits of the dtype, the hidden bit included."""
        return PRECISION[self.dtype][0]

    @property
    def factor_bits(self) -> int:
        """The number of significand bits to which the factors of a matrix product are rounded."""
        return PRECISION[self.dtype][1]

    @property
    def roundoff(self) -> float:
        """The unit roundoff u of the dtype: 2^-53, 2^-24, 2^-11 or 2^-8."""
        return 2.0**-self.bits

    @cached_property
    def loss_slack(self) -> float:
        """The relative error of a weight in a user's own loss, beyond the error of one constant
        (see `scale` of an arithmetic).

        Such a loss may be written as mean() * numel(), as the same over each chunk of rows, or as
        norm() ** 2. Its roundings are counted as follows.

        Constants: two constants act between a square and the loss, and again between the loss and
        its gradient by an output. Each may be rounded, and a product and a quotient with it round:
        6 roundings. (Alternatively, four constants that are whole numbers act, with one operation
        each.)

        Root: the root rounds once, its square doubles this error and rounds itself: 3 roundings. On
        the way back, the product with twice the root, the quotient by the root and the product with
        the difference round: 3 roundings too. The error of the sum under the root is halved and
        doubled again, or cancels.

        This makes 9 roundings. `scale` counts 3 of them already, as roundings of a constant. The
        other n = 6 add up to at most n u / (1 - n u) (Higham, lemma 3.1).
        """
        if not self.own_loss:
            return 0.0
        return LOSS_ROUNDINGS * self.roundoff / (1 - LOSS_ROUNDINGS * self.roundoff)

    @property
    def narrow(self) -> bool:
        """Does the dtype, or a factor of its matrix products, have fewer bits than float32?

        A model in such a dtype is judged layer by layer.
        """
        return self.factor_bits < SINGLE

    @cached_property
    def tiny(self) -> float:
        """The smallest normal number of the dtype; the error of an underflow is at most this."""
        return float(np.finfo(PRECISION[self.dtype][2]).tiny)

    @cached_property
    def largest(self) -> float:
        """The largest finite number of the dtype."""
        return float(np.ldexp(1 - self.roundoff, np.finfo(PRECISION[self.dtype][2]).maxexp))

    def rounded(self, x: Array) -> Array:
        """Return x with each number rounded to the nearest number of the dtype."""
        near = np.asarray(x, PRECISION[self.dtype][2]).astype(float)
        if self.dtype != "bfloat16":
            return near
        fraction, exponent = np.frexp(near)
        return np.asarray(np.ldexp(np.rint(fraction * 2.0**self.bits), exponent - self.bits))

    def sentence(self) -> str:
        """Return the promise in words, as the report prints it."""
        if self.stated is not None:
            return (
                f"stated, not derived: within {self.stated:g} of a head's largest output in a draw"
                f" ({self.why})"
            )
        parts = [f"{self.dtype}, u = 2^-{self.bits}"]
        if self.bits < SINGLE:
            parts.append("sums in float32")
        if self.factor_bits < self.bits:
            parts.append(f"factors of products of {self.factor_bits} bits")
        parts.append(f"exp and tanh within {self.exp_ulp:g} ulp")
        if self.logistic_clip:
            parts.append(f"logistic exactly 0 or 1 beyond |z| > {self.logistic_clip:g}")
        parts.append(f"derivative of ReLU at exactly 0 is {self.relu_at_zero:g}")
        if self.absolute_activations:
            parts.append("small values of tanh and the logistic to a few roundings of 1")
        if self.own_loss:
            parts.append("a loss of its own within 9 roundings of the case's")
        if self.from_probabilities:
            parts.append("losses of logits through probabilities")
        if self.log_floor:
            parts.append(f"logarithms of a probability + {self.log_floor:g}")
        if self.log_lost:
            parts.append(f"an error of {self.log_lost:g} where a probability is 0")
        return ", ".join(parts)


_read_promises = attrgetter(*(each.name for each in fields(Contract)))


def _is_number(given: object) -> bool:
    return isinstance(given, Real) and not isinstance(given, bool)


@dataclass(frozen=True, eq=False)
class Bounded:
    """A value and, for each of its elements, the largest error that a correct implementation may
    make.
    """

    value: Array
    error: Array

    @classmethod
    def make_acting(cls, value: Array, error: Array) -> Self:
        """Return numbers whose errors are all above 0. `is_exact` and `all_act` follow from that,
        and are not computed.
        """
        made = cls(value, error)
        vars(made).update(is_exact=False, all_act=True)
        return made

    @cached_property
    def is_exact(self) -> bool:
        """Is every error 0?"""
        return not self.error.any()

    @cached_property
    def size(self) -> Array:
        """The absolute values."""
        return abs(self.value)

    @cached_property
    def most(self) -> Array:
        """The largest absolute values within the errors."""
        return self.size if self.is_exact else self.size + self.error

    @cached_property
    def all_act(self) -> bool:
        """Is no element exactly 0, or may none be?"""
        return bool(self.most.all())

    def reshaped(self, shape: Callable[[Array], Array]) -> Bounded:
        """Return the numbers after `shape`, a function that reshapes or reorders them, or sets some
        to an exact 0.

        What is known of the numbers is kept. A 0 that came later then counts as a number that may
        underflow, which makes bounds wider and never narrower.
        """
        changed = Bounded(shape(self.value), shape(self.error))
        known = vars(self)
        for name in ("size", "most"):
            if name in known:
                vars(changed)[name] = shape(known[name])
        if changed.value.size == self.value.size:
            for name in ("is_exact", "all_act"):
                if name in known:
                    vars(changed)[name] = known[name]
        return changed


class Bounds(dict[str, Bounded]):
    """The bound of every quantity of a problem, by the quantity's name, under one contract.

    `clip` is the contract's `logistic_clip`. `reach` has one number for each part of the stack
    (draws that are evaluated together): the largest |z| at which a logistic may be evaluated there.
    """

    def __init__(
        self, bounds: Mapping[str, Bounded], clip: float | None, reach: Sequence[float]
    ) -> None:
        super().__init__(bounds)
        self.clip, self.reach = clip, reach

    def unclipped(self, clip: float | None) -> list[bool]:
        """Return, for each part of the stack, whether another contract gives exactly the same
        bounds.

        The other contract differs only in its `logistic_clip`, which is `clip`. Its bounds are the
        same in a part in which no |z| goes beyond either of the two clips.
        """
        clips = [each for each in (self.clip, clip) if each is not None]
        least = min(clips, default=np.inf)
        return [reach <= least for reach in self.reach]  # false for NaN
