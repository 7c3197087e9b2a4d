"""The question to every implementation: a stack of parameters, inputs and targets, and a loss."""

from __future__ import annotations

from collections.abc import Sequence
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
        expected: list[str | int] = []
        for axis in axes:
            expected.append(known.get(axis, axis) if isinstance(axis, str) else axis)
        if np.size(given) == 0 or not _fits(np.shape(given), expected):
            shape = f"({', '.join(map(str, expected))})"
            found = f"{self.kind}: {what} has shape {np.shape(given)}"
            raise ValueError(f"{found}, expected {shape}, no axis empty: {meaning}")
        for axis, length in zip(axes, np.shape(given), strict=True):
            if isinstance(axis, str):
                known[axis] = length
        array = given if _is_settled(given) else np.array(given, dtype=np.float64, order="C")
        if not np.isfinite(array).all():
            place = tuple(np.argwhere(~np.isfinite(array))[0].tolist())
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
        """The network's parameters (D, T), evaluated in float64, as every reference gets them."""
        theta = self.formulation.theta(self.own)
        theta.flags.writeable = False
        return theta

    @cached_property
    def shares(self) -> Array:
        """The weight of each output's squared error in the loss (O,)."""
        return self.loss.shares(self.rows, self.formulation.network.outputs)

    def called(self, draw: int) -> str:
        """Return the name of a draw for a person."""
        if self.recipe is None:
            return f"{self.kind} draw {draw}"
        return f"step {draw // self.runs} from start {draw % self.runs}"

    def through(self, outer: Formulation) -> Problem:
        """Return the problem for another network, whose parameters are `outer` of this one's."""
        return replace(self, formulation=self.formulation.then(outer))

    def part(self, draws: slice | NDArray[np.bool_]) -> Problem:
        """Return some of the draws, without a recipe and its record."""
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
        """Return the problem in numbers that a narrower dtype holds. Raises ValueError for numbers
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
        """Return the problem with other own parameters (D, P), of all draws or some."""
        chosen = np.ones(len(own), dtype=bool) if draws is None else draws
        return replace(self.part(chosen), own=own[chosen], kind="end")

    @cached_property
    def key(self) -> str:
        """Digest of everything that a reference reads: equal keys give equal answers."""
        parts = [self.theta, self.inputs, self.targets, self.shares, np.array(self.loss.decay)]
        if self.optimiser_gradients is not None:
            parts += [self.own, self.optimiser_gradients]
            parts += [np.array(self.runs), self.formulation.held]
        digest = sha256()
        for part in parts:
            digest.update(repr(part.shape).encode())
            digest.update(part.tobytes())
        digest.update(repr(self.recipe).encode())
        return digest.hexdigest()


def _fits(shape: tuple[int, ...], expected: Sequence[str | int]) -> bool:
    """Is a shape as expected? An axis by name may have any length."""
    if len(shape) != len(expected):
        return False
    for length, want in zip(shape, expected, strict=True):
        if not isinstance(want, str) and length != want:
            return False
    return True


def _is_settled(given: object) -> bool:
    """Is it an array as problems hold it, to which nobody else can write?"""
    if not isinstance(given, np.ndarray) or given.dtype != np.float64:
        return False
    return given.base is None and given.flags.c_contiguous and not given.flags.writeable
