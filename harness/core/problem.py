"""What every implementation is asked: a stack of parameters, inputs and targets, and a loss."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from harness.core.contract import Array, Contract
from harness.core.formulation import Formulation
from harness.core.recipe import Recipe

QUANTITIES = ("forward", "loss", "gradient", "input_gradient")  # in order of computation
STEP = "step"  # and of a problem with a recipe: the own parameters after the optimiser's step
ORDER = (*QUANTITIES, STEP)


@dataclass(frozen=True)
class Loss:
    """Squared error summed over all heads, plus decay times the sum of squared parameters (nnet's
    `decay`).

    `reduction` is "sum", or "mean" over the rows and units of each head. No factor one half.
    """

    reduction: str = "sum"
    decay: float = 0.0

    def __post_init__(self) -> None:
        if self.reduction not in ("sum", "mean"):
            raise ValueError(f"reduction {self.reduction!r} is not known, expected 'sum' or 'mean'")

    def shares(self, rows: int, outputs: tuple[int, ...]) -> Array:
        """The weight of each output's squared error (sum of outputs,)."""
        if self.reduction == "sum":
            return np.ones(sum(outputs))
        return np.concatenate([np.full(width, 1 / (rows * width)) for width in outputs])


SUM_OF_SQUARES = Loss()


@dataclass(frozen=True, eq=False)
class Problem:
    """A stack of D questions: own parameters (D, P), inputs (D, R, I), targets (D, R, O); float64,
    read-only.

    Inputs and outputs of several groups stand side by side on the last axis. `kind` says which
    probes these are; `exact` asks the oracle to prove which of its values are exact. With a
    `recipe`, the draws are the states of training runs that went on side by side (all first states,
    all second ones, ...), `runs` of them, and `optimiser_gradients` (D, P) are the gradients that
    the optimiser was given there. `slopes` (D, R, O) are those by the outputs of another loss, from
    which gradients then follow. `caveat` is a sentence on what an answer to it does not prove, for
    the verdict.
    Raises ValueError on wrong shapes and on values that are not finite.
    """

    kind: str
    formulation: Formulation
    own: Array
    inputs: Array
    targets: Array
    loss: Loss = SUM_OF_SQUARES
    exact: bool = False
    recipe: Recipe | None = None
    runs: int = 1
    optimiser_gradients: Array | None = None
    caveat: str = ""
    slopes: Array | None = None

    def __post_init__(self) -> None:
        network = self.formulation.network
        if self.loss.decay and not self.formulation.is_renaming:
            raise ValueError(
                f"{self.kind}: the loss has decay {self.loss.decay:g}, which penalises the"
                " network's parameters; this formulation's own are not those renamed, expected no"
                " decay: judge it without"
            )
        known: dict[str, int] = {}
        inputs, outputs = network.inputs, network.outputs
        self._hold(
            "own",
            "theta",
            known,
            ("draws", self.formulation.own.size),
            "one vector of parameters a draw",
        )
        self._hold(
            "inputs", "inputs", known, ("draws", "rows", sum(inputs)), f"rows of inputs {inputs}"
        )
        self._hold(
            "targets",
            "targets",
            known,
            ("draws", "rows", sum(outputs)),
            f"a target for each output {outputs}",
        )

    def _hold(
        self, name: str, what: str, known: dict[str, int], axes: tuple[str | int, ...], meaning: str
    ) -> None:
        """Keep an array as it should be held, or raise ValueError; axes by name are as long as
        `known` says.
        """
        given = getattr(self, name)
        expected = [known.get(axis, axis) if isinstance(axis, str) else axis for axis in axes]
        fits = all(
            isinstance(want, str) or want == n
            for want, n in zip(expected, np.shape(given), strict=False)
        )
        if np.ndim(given) != len(axes) or not fits or np.size(given) == 0:
            shape = f"({', '.join(map(str, expected))})"
            found = f"{self.kind}: {what} has shape {np.shape(given)}"
            raise ValueError(f"{found}, expected {shape}, no axis empty: {meaning}")
        known |= {
            axis: n for axis, n in zip(axes, np.shape(given), strict=True) if isinstance(axis, str)
        }
        array = given if _is_settled(given) else np.array(given, dtype=np.float64, order="C")
        if not np.isfinite(array).all():
            place = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
            mend = "choose other parameters" if name == "own" else "mend the data, or drop that row"
            raise ValueError(
                f"{self.kind}: {what} holds {array[place]} at {place}, expected finite numbers:"
                f" {mend}"
            )
        array.flags.writeable = False
        object.__setattr__(self, name, array)

    @property
    def draws(self) -> int:
        return int(self.own.shape[0])

    @property
    def rows(self) -> int:
        return int(self.inputs.shape[1])

    @cached_property
    def theta(self) -> Array:
        """The network's parameters (D, T), evaluated in float64: what every reference is given."""
        theta = self.formulation.theta(self.own)
        theta.flags.writeable = False
        return theta

    @cached_property
    def shares(self) -> Array:
        """The weight of each output's squared error in the loss (O,)."""
        return self.loss.shares(self.rows, self.formulation.network.outputs)

    def called(self, draw: int) -> str:
        """What a person calls one of the draws."""
        if self.recipe is None:
            return f"{self.kind} draw {draw}"
        return f"step {draw // self.runs} from start {draw % self.runs}"

    def through(self, outer: Formulation) -> Problem:
        """The same question put to another network, whose parameters are `outer` of this one's."""
        return replace(self, formulation=self.formulation.then(outer))

    def part(self, draws: slice | NDArray[np.bool_]) -> Problem:
        """Some of the draws, without what was recorded between them."""
        own, inputs, targets = self.own[draws], self.inputs[draws], self.targets[draws]
        slopes = None if self.slopes is None else self.slopes[draws]
        return replace(
            self,
            own=own,
            inputs=inputs,
            targets=targets,
            slopes=slopes,
            recipe=None,
            runs=1,
            optimiser_gradients=None,
        )

    def rounded(self, contract: Contract) -> Problem:
        """The same question in numbers that a narrower dtype holds; raises ValueError for what is
        beyond its range.
        """
        held: dict[str, Array] = {}
        for name in ("own", "inputs", "targets"):
            if (most := abs(getattr(self, name)).max()) > contract.largest:
                found = f"{self.kind}: {name} hold {most:g}, beyond the range of {contract.dtype}"
                raise ValueError(
                    f"{found}, expected at most {contract.largest:g}: scale them, or ask in float32"
                )
            held[name] = contract.rounded(getattr(self, name))
        return replace(self, own=held["own"], inputs=held["inputs"], targets=held["targets"])

    def at(self, own: Array, draws: NDArray[np.bool_] | None = None) -> Problem:
        """Other own parameters (D, P) on the same data, all draws of them or some."""
        chosen = np.ones(len(own), dtype=bool) if draws is None else draws
        return replace(self.part(chosen), own=own[chosen], kind="end")

    @cached_property
    def key(self) -> str:
        """Digest of everything that a reference is told: equal keys, equal answers."""
        parts = [self.theta, self.inputs, self.targets, self.shares, np.array(self.loss.decay)]
        parts += (
            []
            if self.optimiser_gradients is None
            else [self.own, self.optimiser_gradients, np.array(self.runs), self.formulation.held]
        )
        digest = sha256()
        for part in parts:
            digest.update(repr(part.shape).encode())
            digest.update(part.tobytes())
        digest.update(repr(self.recipe).encode())
        return digest.hexdigest()


def _is_settled(given: object) -> bool:
    """Is it an array as problems hold it, which nobody else can write to?"""
    if not isinstance(given, np.ndarray) or given.dtype != np.float64:
        return False
    return given.base is None and given.flags.c_contiguous and not given.flags.writeable
