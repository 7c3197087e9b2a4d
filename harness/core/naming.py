"""What a person calls a quantity, a place in it, and a figure."""

import numpy as np
from numpy.typing import NDArray

from harness.core.problem import STEP, Problem


def title(quantity: str) -> str:
    """What a person calls a quantity."""
    return "gradient by the inputs" if quantity == "input_gradient" else quantity


def tensors(problem: Problem, quantity: str) -> tuple[list[str], NDArray[np.intp]]:
    """The names of a quantity's tensors, and for each element of one draw the number of its
    tensor.
    """
    network, own = problem.formulation.network, problem.formulation.own
    if quantity == "loss":
        return ["loss"], np.zeros((), dtype=np.intp)
    if quantity in ("gradient", STEP):
        return [block.name for block in own.blocks], own.owners
    letter, widths = ("o", network.outputs) if quantity == "forward" else ("x", network.inputs)
    names = [
        letter if len(widths) == 1 else f"{letter}{number + 1}" for number in range(len(widths))
    ]
    return names, np.broadcast_to(
        np.repeat(np.arange(len(widths)), widths), (problem.rows, sum(widths))
    )


def element(problem: Problem, quantity: str, index: tuple[int, ...]) -> str:
    """What a person calls an element: `left.weight[3, 2] = W1[3, 2]`, or `o2[row 1, 0]`."""
    if quantity in ("gradient", STEP):
        formulation = problem.formulation
        own, meant = formulation.own.label(index[1]), formulation.reaches(index[1])
        return own if meant in ("", own) else f"{own} = {meant}"
    names, owners = tensors(problem, quantity)
    if quantity == "loss":
        return names[0]
    row, position = index[1:]
    tensor = int(owners[row, position])
    return f"{names[tensor]}[row {row}, {position - int(np.argmax(owners[row] == tensor))}]"


def distinct_digits(a: float, b: float) -> tuple[str, str]:
    """Two figures with as many digits as it takes to see that they differ, at least five."""
    digits = next((some for some in range(5, 17) if f"{a:.{some}g}" != f"{b:.{some}g}"), 17)
    return f"{a:.{digits}g}", f"{b:.{digits}g}"


def format_factor(budget_used: float) -> str:
    """A factor with four digits, written out up to a million million: 865,900."""
    return (
        f"{budget_used:.4g}"
        if budget_used < 1000 or budget_used > 1e12
        else f"{float(f'{budget_used:.4g}'):,.0f}"
    )
