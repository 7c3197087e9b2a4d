"""A net as lists of connections, in the form of nnet's C engine, and the engine's results.

In shapes, D counts draws (parameter vectors), R rows, O outputs, and T weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from harness.core.loss import Error
from harness.text.harmless import shown
from reference.notation.activations import Output

Array = NDArray[np.float64]
# the errors that nnet has, and what VR_set_net takes for each: entropy, softmax, censored
FLAGS = {"squares": (0, 0, 0), "entropy": (1, 0, 0), "softmax": (0, 1, 0), "censored": (0, 1, 1)}


@dataclass(frozen=True)
class Topology:
    """A feed-forward net in the form of nnet's C engine (VR_set_net in nnet.c); hidden units are
    logistic.

    `connections` has an entry for each hidden unit, and then for each output. An entry lists the
    unit's sources in the order of their weights: 0 is the bias, 1..inputs are the inputs, and the
    hidden units follow. theta, the vector of all weights, has the same order, unit after unit.

    `error` is "squares", "entropy", "softmax" or "censored", as the arguments of nnet(). Entropy
    needs logistic outputs. The last two use the softmax of two or more linear outputs, which is
    then the output of the net.
    """

    inputs: int
    hidden: int
    outputs: int
    connections: tuple[tuple[int, ...], ...]
    linear_outputs: bool
    error: Error = "squares"

    def __post_init__(self) -> None:
        units, first_output = self.hidden + self.outputs, 1 + self.inputs + self.hidden
        if self.inputs < 1 or self.hidden < 0 or self.outputs < 1 or len(self.connections) != units:
            found = (
                f"{self.inputs}-{self.hidden}-{self.outputs} units, connections of"
                f" {len(self.connections)}"
            )
            raise ValueError(
                f"found {found}; expected an input, an output, and connections of all {units} units"
            )
        for unit, sources in enumerate(self.connections, start=1 + self.inputs):
            # The engine computes units in order, and its gradient is wrong if an output feeds
            # another.
            last = min(unit, first_output) - 1
            if not all(0 <= source <= last for source in sources):
                raise ValueError(f"unit {unit} has sources {sources}, expected 0..{last}")
        self._expect_error()

    def _expect_error(self) -> None:
        """Raise ValueError unless nnet's engine can compute the error of this net."""
        if self.error not in FLAGS:
            known = ", ".join(map(repr, FLAGS))
            raise ValueError(f"error is {shown(self.error, 40)}, expected one of {known}")
        if self.error == "entropy" and self.linear_outputs:
            raise ValueError("error 'entropy' has linear outputs, expected logistic ones")
        if self.output != "softmax":
            return
        if not self.linear_outputs or self.outputs < 2:
            raise ValueError(
                f"error {self.error!r} has {self.outputs}"
                f" {'linear' if self.linear_outputs else 'logistic'} outputs, expected two linear"
                " ones or more"
            )
        if self.n_weights < self.units:  # as many numbers has Probs in nnet.c, for all units
            raise ValueError(
                f"error {self.error!r} has {self.n_weights} weights for {self.units} units,"
                " expected as many weights as units: nnet writes beyond its memory for less"
            )

    @classmethod
    def dense(
        cls,
        inputs: int,
        hidden: int,
        outputs: int,
        linear_outputs: bool,
        skip: bool = False,
        error: Error = "squares",
    ) -> Topology:
        """Return the net of nnet(size=hidden, skip=skip).

        Each hidden unit has all inputs as sources, and each output has all hidden units, followed
        by all inputs with `skip`.
        """
        into_hidden = tuple(range(1 + inputs))
        into_outputs = (0, *range(1 + inputs, 1 + inputs + hidden))
        if skip:
            into_outputs += tuple(range(1, 1 + inputs))
        connections = (into_hidden,) * hidden + (into_outputs,) * outputs
        return cls(inputs, hidden, outputs, connections, linear_outputs, error)

    @property
    def has_skip(self) -> bool:
        """Does an output have an input as a source?"""
        for sources in self.connections[self.hidden :]:
            if any(1 <= source <= self.inputs for source in sources):
                return True
        return False

    @property
    def is_dense(self) -> bool:
        """Is this a net that nnet() builds, with its connections in the same order?"""
        sizes = self.inputs, self.hidden, self.outputs
        built = self.dense(*sizes, self.linear_outputs, self.has_skip, self.error)
        return (self.hidden > 0 or self.has_skip) and self == built

    @property
    def n_weights(self) -> int:
        return sum(map(len, self.connections))

    @property
    def units(self) -> int:
        """The number of units, including the bias."""
        return 1 + self.inputs + self.hidden + self.outputs

    @property
    def output(self) -> Output:
        """The activation of the outputs: identity, logistic or softmax."""
        if FLAGS[self.error][1]:
            return "softmax"
        return "identity" if self.linear_outputs else "logistic"

    @property
    def engine(self) -> tuple[Sequence[int], ...]:
        """n, nconn, conn, nsunits and flags, the arguments of VR_set_net.

        n counts inputs, hidden units and outputs. nconn holds for each unit the position of its
        first weight, and conn the source of each weight. Units from number nsunits on are linear.
        flags are those of entropy, softmax and censored.
        """
        nconn = [0] * (1 + self.inputs) + list(accumulate(map(len, self.connections), initial=0))
        conn: list[int] = []
        for sources in self.connections:
            conn += sources
        nsunits = 1 + self.inputs + self.hidden
        if not self.linear_outputs:
            nsunits += self.outputs
        return (self.inputs, self.hidden, self.outputs), nconn, conn, (nsunits,), FLAGS[self.error]


@dataclass(frozen=True)
class Evaluation:
    """nnet's own numbers at D draws (parameter vectors): value of the loss (D,), outputs (D, R, O),
    gradient of the value by the weights (D, T).

    R counts rows, O outputs and T weights.
    """

    value: Array
    outputs: Array
    gradient: Array


@dataclass(frozen=True)
class Fit:
    """The result of a fit: final weights (T,), value of the loss, outputs (R, O), convergence (0,
    or 1 if maxit was reached), and the CPU seconds that the fit took in R.

    R counts rows and O outputs.
    """

    weights: Array
    value: float
    outputs: Array
    convergence: int
    seconds: float
