"""Calls a function of NumPy arrays at a draw, and reads its outputs, loss and gradients.

A draw is one problem of a stack: parameters, inputs and targets for one call. In shapes, R counts
rows, I inputs of a group, and O outputs of a head (one output array). A block is one named
parameter array; P counts the numbers of all blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.core.contract import Array
from harness.core.layout import Layout
from harness.core.problem import Problem
from harness.model.errors import WrongAnswer
from harness.text.harmless import shown

Numbers = NDArray[Any]
REFUSED = "cUS"  # kinds of arrays that NumPy would cut, or read, in silence
IN_JAX = "; JAX computes in float64 after jax.config.update('jax_enable_x64', True)"


@dataclass(frozen=True, eq=False)
class Call:
    """The arguments at one draw.

    `blocks` has the parameter arrays by name, `inputs` an array (R, I) for each group of inputs,
    and `targets` an array (R, O) for each head.
    """

    blocks: Mapping[str, Numbers]
    inputs: Sequence[Numbers]
    targets: Sequence[Numbers]

    @classmethod
    def of(cls, problem: Problem, own: Layout, draw: int, dtype: str, order: Any = "C") -> Call:
        """Return the arguments at one draw of a problem as new arrays of a dtype.

        `own` is the layout of the model's parameters, and `draw` the position in the stack. `order`
        is the order of the arrays' numbers in memory, "C" or "F".
        """
        network = problem.network
        blocks = {}
        for block in own.blocks:
            if not block.left_out:
                blocks[block.name] = np.array(block.of(problem.own[draw]), dtype, order=order)
        inputs = _split(problem.inputs[draw], network.inputs, dtype, order)
        targets = _split(problem.targets[draw], network.outputs, dtype, order)
        return cls(blocks, inputs, targets)

    def ask(self, answer: Callable[..., Any], with_targets: bool = False) -> Any:
        """Call the function `answer` with the blocks and the inputs, and return its result.

        With `with_targets` it gets the targets too. Raises WrongAnswer if it changes its arguments.
        """
        targets = self.targets if with_targets else []
        before = [each.copy() for each in (*self.blocks.values(), *self.inputs, *targets)]
        result = answer(dict(self.blocks), *self.inputs, *targets)
        after = (*self.blocks.values(), *self.inputs, *targets)
        for now, earlier in zip(after, before, strict=True):
            if not np.array_equal(now, earlier):
                raise WrongAnswer(
                    "changed its arguments when it was called, expected it to leave them as they"
                    " are"
                )
        return result


def _split(whole: Array, widths: tuple[int, ...], dtype: str, order: Any) -> list[Numbers]:
    """Split the columns of an array into groups of these widths, each with memory of its own."""
    parts = np.split(whole, np.cumsum(widths)[:-1], axis=1)
    return [np.array(part, dtype, order=order) for part in parts]


def list_heads(given: Any) -> list[Any]:
    """Return outputs as a list of arrays, from one array, a sequence of arrays, or arrays
    by name.
    """
    if isinstance(given, Mapping):
        return list(given.values())
    return list(given) if isinstance(given, tuple | list) else [given]


def read_heads(given: Any, rows: int, widths: tuple[int, ...], dtype: str = "") -> list[Array]:
    """Return copies of outputs in float64, an array (R, O) for each head.

    `widths` are the numbers of outputs of the heads. A single column (R,) becomes (R, 1). Raises
    WrongAnswer for other shapes, and for numbers narrower than `dtype`.
    """
    heads = [read_numbers(head, "outputs", dtype) for head in list_heads(given)]
    if widths == (1,) and len(heads) == 1 and heads[0].shape == (rows,):
        heads = [heads[0][:, None]]
    shapes = [str(head.shape) for head in heads]
    expected = [str((rows, width)) for width in widths]
    if shapes != expected:
        message = f"{' and '.join(shapes) or 'none'}, expected {' and '.join(expected)}"
        raise WrongAnswer(f"gave outputs of shapes {message}")
    return heads


def read_numbers(given: Any, what: str, dtype: str = "") -> Array:
    """Return a float64 copy of numbers, since a function may change its array later.

    `what` is their name in messages. Raises WrongAnswer for numbers that are not real and, with a
    `dtype`, for numbers of a narrower dtype.
    """
    array = np.asarray(given)
    if not dtype and array.dtype.kind in REFUSED:
        raise WrongAnswer(f"gave {what} of {array.dtype}, expected real numbers")
    if dtype:
        _expect_dtype(given, array, what, np.dtype(dtype))
    return np.array(array, dtype=np.float64)


def _expect_dtype(given: Any, array: Numbers, what: str, wanted: np.dtype[Any]) -> None:
    if array.dtype.kind == "f" and array.dtype.itemsize >= wanted.itemsize:
        return
    of_jax = type(given).__module__.partition(".")[0] in ("jax", "jaxlib")
    advice = IN_JAX if of_jax and array.dtype == np.float32 else ""
    inside = f"something inside is of that dtype{advice}"
    raise WrongAnswer(f"gave {what} of {array.dtype}, expected {wanted}: {inside}")


@dataclass(frozen=True, eq=False)
class Slopes:
    """The loss, its gradient by the model's parameters (P,), and its gradient by the inputs (R, I
    of all groups) or None if not given.
    """

    loss: float
    gradient: Array
    by_inputs: Array | None

    @classmethod
    def read(cls, given: Any, call: Call, own: Layout, dtype: str) -> Slopes:
        """Read the result of a `slopes` function.

        It is the loss and a dict of gradients by block or, instead of the dict, a tuple of the dict
        and a gradient for each group of inputs. Raises WrongAnswer for other shapes, and for
        numbers narrower than `dtype`.
        """
        if not isinstance(given, tuple | list) or len(given) != 2:
            raise WrongAnswer(
                f"gave {shown(given, 40)} as its slopes, expected the loss and its gradients"
            )
        loss, gradients = given
        number = read_numbers(loss, "a loss", dtype)
        if number.shape != ():
            raise WrongAnswer(f"gave a loss of shape {number.shape}, expected a number")
        by_inputs: Sequence[Any] = ()
        if isinstance(gradients, tuple | list):
            gradients, *by_inputs = gradients
        if not isinstance(gradients, Mapping):
            raise WrongAnswer(
                f"gave {shown(gradients, 40)} as its gradients, expected a dict of them by block"
            )
        return cls(
            float(number),
            _read_gradients(gradients, call, own, dtype),
            _read_by_inputs(by_inputs, call, dtype),
        )


def _read_gradients(given: Mapping[str, Any], call: Call, own: Layout, dtype: str) -> Array:
    """Return the gradient by the model's parameters (P,), from gradients by block.

    It is 0 for a bias that the model does not have.
    """
    gradients: dict[str, Array] = {}
    for block in own.blocks:
        if block.left_out:
            gradients[block.name] = np.zeros(block.places.shape)
            continue
        if block.name not in given:
            names = ", ".join(map(str, given)) or "nothing"
            raise WrongAnswer(f"gave no gradient of {block.name}, only of {names}")
        gradient = read_numbers(given[block.name], f"a gradient of {block.name}", dtype)
        expected = call.blocks[block.name].shape
        if gradient.shape != expected:
            raise WrongAnswer(
                f"gave a gradient of {block.name} of shape {gradient.shape}, expected {expected}"
            )
        gradients[block.name] = gradient
    return own.join(gradients)


def _read_by_inputs(given: Sequence[Any], call: Call, dtype: str) -> Array | None:
    """Return the gradient by the inputs of all groups (R, I of all groups), from one for each
    group; None if there is none.
    """
    if not given:
        return None
    parts = [read_numbers(part, "a gradient by its inputs", dtype) for part in given]
    shapes = [part.shape for part in parts]
    expected = [x.shape for x in call.inputs]
    if shapes != expected:
        message = " and ".join(map(str, shapes))
        raise WrongAnswer(
            f"gave gradients by its inputs of shapes {message}, expected"
            f" {' and '.join(map(str, expected))}"
        )
    return np.concatenate(parts, axis=1)
