"""The NumPy reference: the network's equations in NumPy's ordinary arithmetic."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from harness.arithmetic.plain import Plain
from harness.core.contract import Contract
from harness.core.formulation import Family
from harness.core.implementation import Observation
from harness.core.problem import STEP, Problem
from reference.mathematics.equations import evaluate
from reference.mathematics.optimisers import steps
from reference.mathematics.questions import at_theta, split


@dataclass(frozen=True)
class NumpyNet:
    """NumPy as a reference, in the given dtype; it supports every network.

    With `logistic_clip` its logistic function is exactly 0 or 1 beyond this |z|, as nnet's is.
    `declare_clip=False` leaves the clip out of its contract (its declared properties), to
    demonstrate the mismatch that this causes.
    """

    dtype: str = "float64"
    relu_at_zero: float = 0.0
    logistic_clip: float | None = None
    declare_clip: bool = True
    source: str = "computed"

    @property
    def name(self) -> str:
        precision = "" if self.dtype == "float64" else f"_{self.dtype}"
        clip = (
            "" if self.logistic_clip is None else "_clipped" if self.declare_clip else "_undeclared"
        )
        return f"numpy_net{precision}{clip}"

    def title(self) -> str:
        return f"NumPy {np.__version__} ({self.dtype})"

    def cannot_answer(
        self, network: Family, quantity: str, dtype: str = "float64", device: str = "cpu"
    ) -> str | None:
        return None

    def contract(self, dtype: str = "float64") -> Contract:
        """Return its contract: its dtype and other properties of its arithmetic, whatever the
        trial's dtype.
        """
        return self._contract

    @cached_property
    def _contract(self) -> Contract:
        clip = self.logistic_clip if self.declare_clip else None
        return Contract(self.dtype, relu_at_zero=self.relu_at_zero, logistic_clip=clip)

    def real_contract(self) -> Contract:
        """Return the contract (properties of its arithmetic) with the logistic's clip, even if
        `contract` leaves the clip out.
        """
        return replace(self.contract(), logistic_clip=self.logistic_clip)

    def as_evaluated(self, problem: Problem) -> Problem:
        return problem

    def script(self, problem: Problem) -> tuple[str, str] | None:
        """Return "NumPy" and the text of the network's script in NumPy.

        Return None if the network has no script, if this reference clips its logistic function, or
        if its derivative of ReLU at 0 is not 0: the script supports neither.
        """
        written = getattr(problem.network, "script", None)
        return (
            ("NumPy", written())
            if written and not self.relu_at_zero and self.logistic_clip is None
            else None
        )

    def observe(self, problem: Problem, dtype: str = "float64", device: str = "cpu") -> Observation:
        arithmetic = Plain(self.real_contract())
        question = at_theta(problem)
        with np.errstate(all="ignore"):
            parts = [evaluate(arithmetic, part) for part in split(question)]
            answers = {name: arithmetic.stack([part[name] for part in parts]) for name in parts[0]}
            if problem.recipe is not None:
                answers[STEP] = steps(arithmetic, problem)
        return Observation(
            {name: np.asarray(answer, dtype=np.float64) for name, answer in answers.items()}
        )


numpy_net = NumpyNet()
