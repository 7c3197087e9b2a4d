"""Collects the answers of a function of NumPy arrays to a problem, draw by draw.

In shapes, D counts draws (problems of a stack).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from harness.core.contract import Array
from harness.core.implementation import Missing, Observation
from harness.core.numpy_errors import users
from harness.core.problem import Problem
from harness.core.verdict import Status
from harness.foreign.calling import Call, Slopes, list_heads, read_heads
from harness.model.errors import WrongAnswer, raised, status_of

OVERWRITTEN = (
    "overwrote the outputs of an earlier call when it was called again, expected outputs of its own"
    " from every call"
)
ONCE_MORE = "when it was asked once more, expected the same"
IN_ORDER = "for arrays in Fortran's order, expected the same"
NO_INPUT_GRADIENT = "gives no gradient by the inputs: its slopes may return it last"
Answer = Callable[..., Any]


class Draws:
    """Calls the functions of a model at the draws of a problem, at the model's own parameters.

    `answer` returns outputs; `slopes` returns the loss and its gradients. `dtype` is the dtype of
    their arguments, and the narrowest allowed dtype of their results. A draw is one problem of a
    stack; in shapes, R counts rows and O outputs.
    """

    def __init__(self, answer: Answer, slopes: Answer | None, problem: Problem, dtype: str) -> None:
        self.answer, self.slopes = answer, slopes
        self.problem, self.dtype = problem, dtype
        self.own = problem.formulation.own

    def observe(self) -> Observation:
        """Return the answers at all draws, as far as no function raises an error.

        The error is the reason why later answers are missing.
        """
        values: dict[str, Array] = {}
        others: dict[str, dict[str, Array]] = {}
        missing = None
        try:
            with users(quiet=True):  # saturated draws overflow on the way to a right answer
                values["forward"] = self._ask_outputs()
                others = self._ask_again(values["forward"])
                if self.slopes is not None:
                    missing = self._ask_slopes(self.slopes, values)
        except Exception as error:  # whatever a user's function raises is its answer
            missing = Missing(status_of(error), raised(error) + self._describe_call(error))
        return Observation(values, missing, by_own=True, others=others)

    def _describe_call(self, error: Exception) -> str:
        """Return the names and shapes of the arguments for an error that may come from them, as an
        end of its sentence; else "".
        """
        if not issubclass(type(error), LookupError | ValueError | TypeError):
            return ""
        call = self._call(0)
        shapes = [f"{name} {block.shape}" for name, block in call.blocks.items()]
        inputs = " and ".join(f"x {each.shape}" for each in call.inputs)
        return f"; it was called with {', '.join(shapes)} by name, and {inputs}"

    def _call(self, draw: int, order: str = "C") -> Call:
        return Call.of(self.problem, self.own, draw, self.dtype, order)

    def _read(self, given: Any) -> Array:
        widths = self.problem.network.outputs
        return np.concatenate(read_heads(given, self.problem.rows, widths, self.dtype), axis=1)

    def _ask_outputs(self) -> Array:
        """Return the outputs (D, R, O). Raises WrongAnswer if a call overwrites earlier outputs."""
        outputs: list[Array] = []
        last: Sequence[Any] = ()
        for draw in range(self.problem.draws):
            result = self._call(draw).ask(self.answer)
            outputs.append(self._read(result))
            if last and not np.array_equal(self._read(last), outputs[-2], equal_nan=True):
                raise WrongAnswer(OVERWRITTEN)
            last = list_heads(result)
        return np.stack(outputs)

    def _ask_again(self, first: Array) -> dict[str, dict[str, Array]]:
        """Call the first draw again, as before and with arrays in Fortran order.

        Return outputs that differ from `first` (draws, rows, outputs), by two keys: the end of the
        sentence that reports them, and "forward".
        """
        repeated = {ONCE_MORE: self._read(self._call(0).ask(self.answer))}
        with suppress(Exception):  # a function may take no such arrays
            repeated[IN_ORDER] = self._read(self._call(0, "F").ask(self.answer))
        others: dict[str, dict[str, Array]] = {}
        for when, outputs in repeated.items():
            if not np.array_equal(outputs, first[0], equal_nan=True):
                changed = first.copy()
                changed[0] = outputs
                others[when] = {"forward": changed}
        return others

    def _ask_slopes(self, slopes: Answer, values: dict[str, Array]) -> Missing | None:
        """Add losses (D,) and gradients at all draws to `values`, by quantity.

        Return the reason why the gradient by the inputs is missing, or None.
        """
        slopes_by_draw: list[Slopes] = []
        for draw in range(self.problem.draws):
            call = self._call(draw)
            result = call.ask(slopes, with_targets=True)
            slopes_by_draw.append(Slopes.read(result, call, self.own, self.dtype))
        values["loss"] = np.array([each.loss for each in slopes_by_draw])
        values["gradient"] = np.stack([each.gradient for each in slopes_by_draw])
        by_inputs = [each.by_inputs for each in slopes_by_draw if each.by_inputs is not None]
        if len(by_inputs) == len(slopes_by_draw):
            values["input_gradient"] = np.stack(by_inputs)
            return None
        return Missing(Status.ABSENT, NO_INPUT_GRADIENT)
