"""Probes on a user's own data."""

from dataclasses import dataclass, replace

import numpy as np

from harness.core.contract import Array
from harness.core.formulation import Formulation
from harness.core.loss import SUM_OF_SQUARES, Loss
from harness.core.numpy_errors import ours
from harness.core.problem import Problem
from harness.pytorch.checkpoint import Checkpoint, weights
from reference.probes.draws import Draw
from reference.probes.targets import encode_targets

OWN_WEIGHTS = (
    "With own weights this checks the formula at these weights, not that they are the ones R fitted"
)


@dataclass(frozen=True, eq=False)
class OnData:
    """A user's data, inputs (R, I) and targets (R, O), at random parameters.

    The targets of one head may be labels (R,), numbers of classes from 0, if its error is
    "entropy", "bce" or "softmax". R counts rows of data, I inputs of all groups, and O outputs of
    all heads. Data and weights are used as they are, in float64: a subject of another dtype rounds
    them, and its bounds allow for this. `weights` is a checkpoint (see
    `harness.pytorch.checkpoint.weights`) whose parameters are used instead of random ones. This
    checks the formula at these weights; it does not check that they were fitted.

    Raises ValueError for data or weights that do not fit the network.
    """

    inputs: Array
    targets: Array
    seed: int = 0
    draws: int = 4
    loss: Loss = SUM_OF_SQUARES
    weights: Checkpoint | None = None

    @ours()
    def __call__(self, formulation: Formulation) -> list[Problem]:
        rows = len(self.inputs)
        self._expect("inputs", np.asarray(self.inputs), formulation.network.inputs)
        self._expect("targets", self._encode_targets(formulation), formulation.network.outputs)
        if self.weights is None:
            draw = Draw(f"{rows} points", formulation, [self.seed], self.draws, rows, self.loss)
            return [draw.problem(draw.random_own(1.5), *self._data(formulation, self.draws))]
        kind = f"{rows} points, own weights"
        own = weights(self.weights, formulation)[None]
        problem = Problem(kind, formulation, own, *self._data(formulation, 1), self.loss)
        return [replace(problem, caveat=OWN_WEIGHTS)]

    def _encode_targets(self, formulation: Formulation) -> Array:
        """Return the targets as numbers (R, O), even if labels were given.

        R counts rows and O outputs.
        """
        return encode_targets(self.loss, formulation.network.outputs, self.targets)

    def _data(self, formulation: Formulation, draws: int) -> tuple[Array, Array]:
        """Return inputs (D, R, I) and targets (D, R, O) that are the same in all D draws (problems
        of a stack).

        R counts rows, I inputs and O outputs.
        """
        inputs = np.asarray(self.inputs, dtype=np.float64)
        targets = self._encode_targets(formulation)
        return (
            np.broadcast_to(inputs, (draws, *inputs.shape)),
            np.broadcast_to(targets, (draws, *targets.shape)),
        )

    def _expect(self, name: str, part: Array, widths: tuple[int, ...]) -> None:
        """Raise ValueError for inputs or targets (`name` says which) that are not (R, sum of
        `widths`) finite numbers.
        """
        message = f"{name} of shape {np.shape(part)} were given"
        if np.ndim(part) == 1 and name == "targets" and self.loss.is_squares and sum(widths) > 1:
            raise ValueError(
                f"{message}, expected (rows, width): if they are numbers of classes, give the loss"
                ' of classes, as loss=Loss("mean", error="softmax", from_logits=True)'
            )
        if np.ndim(part) != 2:
            raise ValueError(
                f"{message}, expected (rows, width): for one column write {name}[:, None]"
            )
        expected = len(self.inputs), sum(widths)
        if np.shape(part) != expected:
            raise ValueError(
                f"{message}, expected {expected}: rows of the inputs, width of the network's {name}"
            )
        if not np.isfinite(part).all():
            row, column = (int(i) for i in np.argwhere(~np.isfinite(part))[0])
            value = np.asarray(part)[row, column]
            raise ValueError(
                f"{name} hold {value} in row {row}, column {column}: mend the data, or drop"
                " that row"
            )
