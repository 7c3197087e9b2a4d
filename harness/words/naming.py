"""Names of quantities and of their elements, and figures, as people read them."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from harness.core.contract import Indices
from harness.core.problem import STEP, Problem

TITLES = {
    "input_gradient": "gradient by the inputs",
    "predictions": "a prediction",
    "value": "the loss on the fitted rows",
    "parameters": "a weight",
}


def title(quantity: str) -> str:
    """Return the name of a quantity for people, such as "loss gradient"."""
    return TITLES.get(quantity, quantity)


def tensors(problem: Problem, quantity: str) -> tuple[list[str], Indices]:
    """Return the names of the tensors that make up a quantity such as the gradient, and for each
    element of one draw (a single problem) the number of its tensor.
    """
    network, own = problem.network, problem.formulation.own
    if quantity == "loss":
        return ["loss"], np.zeros((), dtype=np.intp)
    if quantity in ("gradient", STEP):
        return [block.name for block in own.blocks], own.owners
    letter, widths = ("o", network.outputs) if quantity == "forward" else ("x", network.inputs)
    names = [letter]
    if len(widths) > 1:
        names = [f"{letter}{number + 1}" for number in range(len(widths))]
    return names, _spread(tuple(widths), problem.rows)


@lru_cache(maxsize=256)
def _spread(widths: tuple[int, ...], rows: int) -> Indices:
    """Return for each element (rows, sum of widths) the number of its group of columns."""
    owners = np.repeat(np.arange(len(widths)), widths)
    return np.broadcast_to(owners, (rows, sum(widths)))


def element(problem: Problem, quantity: str, index: tuple[int, ...]) -> str:
    """Return the name of one element of a quantity (outputs, gradient, ...), such as
    `left.weight[3, 2] = W1[3, 2]` or `o2[row 1, 0]`.

    `index` is the position in the array of all problems; its first number, that of the problem, is
    not in the name.
    """
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


def list_names(names: Sequence[str]) -> str:
    """Return names as a list in a sentence: "a, b and c"."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def distinct_digits(a: float, b: float) -> tuple[str, str]:
    """Return two numbers as texts, with the fewest digits (at least five) that show their
    difference.
    """
    digits = 5
    while digits < 17 and f"{a:.{digits}g}" == f"{b:.{digits}g}":
        digits += 1
    return f"{a:.{digits}g}", f"{b:.{digits}g}"


def format_share(budget_used: float) -> str:
    """Return the used share of a bound in percent, as "34 %". It has two digits, or more if two
    would round it up to 100.
    """
    percent = 100 * budget_used
    if 99.5 <= percent < 100:
        return f"{percent:.4g} %"
    return "100 %" if percent == 100 else f"{percent:.2g} %"


def describe_used(budget_used: float, dtype: str) -> str:
    """Return a sentence on the share of the rounding bound that the worst element of answers in a
    dtype used.
    """
    return f"worst element used {format_share(budget_used)} of its {dtype} rounding bound"


def format_factor(budget_used: float) -> str:
    """Return a factor with four significant digits, such as "865,900"; without an exponent from 1e3
    to 1e12.
    """
    rounded = f"{budget_used:.4g}"
    if 1000 <= budget_used <= 1e12:
        return f"{float(rounded):,.0f}"
    return rounded
