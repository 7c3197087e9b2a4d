"""The question to every implementation: a stack of parameters, inputs and targets, and a loss.

A draw is one problem of a stack. In shapes, D counts draws, R rows of data, I inputs of all groups,
and O outputs of all heads. T counts the network's parameters, which form the vector theta; P counts
own parameters: the model's own tensors, flattened. A formulation is the affine map from own
parameters to theta.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from harness.core.changed import changed
from harness.core.contract import Array, Contract, Mask
from harness.core.formulation import Family, Formulation
from harness.core.loss import SUM_OF_SQUARES, Loss
from harness.core.recipe import Recipe

QUANTITIES = ("forward", "loss", "gradient", "input_gradient")  # in order of computation
STEP = "step"  # and of a problem with a recipe: the own parameters after the optimiser's step
ORDER = (*QUANTITIES, STEP)


@dataclass(frozen=True, eq=False)
class Problem:
    """A stack of D draws with one formulation and one loss; each draw is a problem of its own.

    The arrays are own parameters (D, P), inputs (D, R, I) and targets (D, R, O); they are float64
    and read-only. Inputs of all groups, and outputs of all heads, are joined along the last axis.
    `kind` names the kind of probes. `exact` asks the oracle to prove which of its values are exact.

    With a `recipe`, the draws are states of training runs: the first states of all `runs` runs,
    then all their second states, and so on. `optimiser_gradients` (D, P) are the gradients that the
    optimiser got in these states.

    `slopes` (D, R, O), if given, is the gradient of another loss by the outputs, from which all
    other gradients are computed. `caveat` is a sentence for the verdict on the limits of the
    evidence.

    `own_error` (D, P) and `input_error` (D, R, I), if given, are the largest errors of own
    parameters and inputs in a correct implementation, such as a port that stores and scales them
    itself. `float64_only` problems have numbers that float32 cannot hold: they are skipped in other
    dtypes.

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
    own_error: Array | None = None
    input_error: Array | None = None
    float64_only: bool = False

    def __post_init__(self) -> None:
        network = self.network
        if self.loss.has_decay and not self.formulation.is_renaming:
            decay = self.loss.one_decay
            size = "of single weights" if decay is None else f"{decay:g}"
            raise ValueError(
                f"{self.kind}: the loss has decay {size}, which penalises the network's"
                " parameters; this formulation's own are not those renamed, expected no decay:"
                " judge it without"
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
        self._expect_loss()

    def _expect_loss(self) -> None:
        """Check that the loss has a decay for each parameter and a weight for each row, or none.

        Raises ValueError if their numbers do not fit.
        """
        try:
            self.loss.expect_heads(self.network.outputs)
        except ValueError as error:
            raise ValueError(f"{self.kind}: {error}") from None
        try:
            self.loss.decays(self.network.layout)
        except ValueError as error:
            raise ValueError(f"{self.kind}: decay: {error}") from None
        weights = self.loss.row_weights
        if weights is not None and len(weights) != self.rows:
            raise ValueError(
                f"{self.kind}: the loss has weights for {len(weights)} rows, expected {self.rows}:"
                " one for each row of the data"
            )

    def _hold(
        self, name: str, what: str, known: dict[str, int], axes: tuple[str | int, ...], meaning: str
    ) -> None:
        """Check the array in the field `name`, and store it in float64, read-only.

        `what` is its name in messages, and `meaning` describes the expected numbers there. `axes`
        are the expected lengths. An axis with a name, such as "draws", must have the length in
        `known`; if it has none there, its length is added. Raises ValueError for another shape and
        for numbers that are not finite.
        """
        given = getattr(self, name)
        expected: list[str | int] = []
        for axis in axes:
            expected.append(known.get(axis, axis) if isinstance(axis, str) else axis)
        if np.size(given) == 0 or not _fits(np.shape(given), expected):
            shape = f"({', '.join(map(str, expected))})"
            message = f"{self.kind}: {what} has shape {np.shape(given)}"
            raise ValueError(f"{message}, expected {shape}, no axis empty: {meaning}")
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
        """The network's parameters (draws, T), computed in float64 from own parameters, as every
        reference gets them.
        """
        theta = self.formulation.theta(self.own)
        theta.flags.writeable = False
        return theta

    @property
    def network(self) -> Family:
        """The network whose parameters the formulation gives."""
        return self.formulation.network

    @cached_property
    def shares(self) -> Array:
        """The weight of each output's error in the loss.

        Its shape is (O,) if all rows weigh the same, else (R, O), for R rows and O outputs. It is
        (D, 1, O) for D draws and a mean with class weights, which divides by the weights of its
        rows.
        """
        widths = self.network.outputs
        shares = self.loss.shares(self.rows, widths)
        if self.loss.class_weights is None or self.loss.reduction != "mean":
            return shares
        totals = []
        for head in np.split(self.targets, np.cumsum(widths)[:-1], axis=-1):
            of_rows = (head * np.array(self.loss.class_weights)).sum(axis=-1)
            total = of_rows.sum(axis=-1)[:, None, None]
            totals.append(np.repeat(total, head.shape[-1], axis=-1))
        return np.array(shares * self.rows / np.concatenate(totals, axis=-1))

    @cached_property
    def decays(self) -> Array:
        """The decay of each of the network's parameters (T,)."""
        return self.loss.decays(self.network.layout)

    @cached_property
    def own_decays(self) -> Array:
        """The decay of each own parameter (P,).

        The own parameters of a problem with decay are the network's, possibly in another order.
        """
        return self.formulation.pull_back(self.decays)

    def called(self, draw: int) -> str:
        """Return the name of a draw by its number, as "exact draw 3" or "step 2 from start 0"."""
        if self.recipe is None:
            return f"{self.kind} draw {draw}"
        return f"step {draw // self.runs} from start {draw % self.runs}"

    def through(self, outer: Formulation) -> Problem:
        """Return a copy of the problem for another network; `outer` maps this network's parameters
        to the other's.
        """
        return replace(self, formulation=self.formulation.then(outer))

    def part(self, draws: slice | Mask) -> Problem:
        """Return a copy of the problem with some of the draws only, and without the fields of a
        training: the recipe, its runs and its gradients.
        """
        own, inputs, targets = self.own[draws], self.inputs[draws], self.targets[draws]
        slopes = None if self.slopes is None else self.slopes[draws]
        own_error = None if self.own_error is None else self.own_error[draws]
        input_error = None if self.input_error is None else self.input_error[draws]
        return changed(
            self,
            own=own,
            inputs=inputs,
            targets=targets,
            slopes=slopes,
            own_error=own_error,
            input_error=input_error,
            recipe=None,
            runs=1,
            optimiser_gradients=None,
        )

    def rounded(self, contract: Contract) -> Problem:
        """Return a copy of the problem with numbers rounded to the dtype of a contract (the
        promised arithmetic).

        Raises ValueError for numbers beyond its range.
        """
        rounded: dict[str, Array] = {}
        for name in ("own", "inputs", "targets"):
            if (most := abs(getattr(self, name)).max()) > contract.largest:
                message = f"{self.kind}: {name} hold {most:g}, beyond the range of {contract.dtype}"
                raise ValueError(
                    f"{message}, expected at most {contract.largest:g}: scale them, or ask in"
                    " float32"
                )
            rounded[name] = contract.rounded(getattr(self, name))
        return replace(
            self, own=rounded["own"], inputs=rounded["inputs"], targets=rounded["targets"]
        )

    def at(self, own: Array, draws: Mask | None = None) -> Problem:
        """Return a copy of the problem at other own parameters (D, P), with all draws or only the
        marked ones.
        """
        chosen = np.ones(len(own), dtype=bool) if draws is None else draws
        return replace(self.part(chosen), own=own[chosen], kind="end")

    @cached_property
    def key(self) -> str:
        """A digest of everything that a reference reads: problems with equal keys have equal
        answers.
        """
        parts: list[NDArray[np.generic]] = [self.theta, self.inputs, self.targets, self.shares]
        if self.optimiser_gradients is not None:
            parts += [self.own, self.optimiser_gradients]
            parts += [np.array(self.runs), self.formulation.held]
        digest = blake2b(digest_size=32)
        for part in parts:
            digest.update(repr(part.shape).encode())
            digest.update(part.tobytes())
        for given in (self.loss, self.recipe):  # all their fields, also those of tomorrow
            digest.update(repr(given).encode())
        return digest.hexdigest()


def _fits(shape: tuple[int, ...], expected: Sequence[str | int]) -> bool:
    """Does a shape have the expected lengths? An axis given by name may have any length."""
    if len(shape) != len(expected):
        return False
    for length, want in zip(shape, expected, strict=True):
        if not isinstance(want, str) and length != want:
            return False
    return True


def _is_settled(given: object) -> bool:
    """Is this an array in the form that problems store: float64, contiguous, read-only, and with
    memory of its own?
    """
    if not isinstance(given, np.ndarray) or given.dtype != np.float64:
        return False
    return given.base is None and given.flags.c_contiguous and not given.flags.writeable
