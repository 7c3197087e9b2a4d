"""Writes a short script that fails as a trial did, and needs only torch and NumPy, or R.

The script has one failing problem, made small by reduce.py. A witness is the part of the script
that computes the reference's answer, in NumPy or R.
"""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.comparing.judge import Judgement
from harness.core.contract import Array
from harness.core.formulation import Formulation
from harness.core.problem import QUANTITIES, Problem
from harness.core.report import MARK
from harness.core.verdict import Status
from harness.foreign.computed import Computed
from harness.judging.cache import Cache
from harness.judging.case import Trial
from harness.judging.comparison import Comparison, heading
from harness.judging.store import Key
from harness.model.devices import held_in, kind_of
from harness.model.errors import raised
from harness.model.tensors import split_columns
from harness.pytorch.subject import Subject
from harness.reproduce.losses import write_arguments, write_loss
from harness.reproduce.model_source import copy_source, describe_framework, import_file
from harness.reproduce.names import choose_name
from harness.reproduce.programs import SCRIPTS, run_unfinished
from harness.reproduce.reduce import Reduced, shrink
from harness.reproduce.typed import Unwritten
from harness.text.harmless import exact, one_line
from harness.text.python import Code, is_name
from harness.words.naming import element, tensors, title
from harness.words.template import fill_template

MANY = 200  # numbers of a tensor; if most of a larger one are 0, only the others are written


@dataclass(frozen=True)
class Script(Key[tuple[str, str]]):
    """Cache key for the script of a failure: its path, and the reason if there is none."""

    subject: str
    reference: str
    device: str
    dtype: str
    quantity: str


def reproduce(trial: Trial, cache: Cache, folder: Path, start: Path) -> tuple[str, str]:
    """Write a script that fails as the trial does; return its path, and the reason if there is
    none.

    The path lies in `folder`. A relative `folder` is relative to `start`, since a model may have
    changed the working folder. Path and reason are both "" if there are no scripts for this kind of
    trial: trainers, steps, and claims other than "equal". Raises nothing but KeyboardInterrupt; any
    other error becomes the reason.
    """
    if (
        not isinstance(trial.subject, Subject | Computed)
        or trial.check not in QUANTITIES
        or trial.case.expect != "equal"
    ):
        return "", ""
    key = Script(trial.subject.name, exact(trial.against), trial.device, trial.dtype, trial.check)
    return cache.get_or_make(key, lambda: _reproduce(trial, cache, folder, start))


def _reproduce(trial: Trial, cache: Cache, folder: Path, start: Path) -> tuple[str, str]:
    try:
        with warnings.catch_warnings(action="ignore"):  # a user's pytest may make them errors
            return _write(trial, cache, folder / choose_name(trial, cache), start)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a model may raise anything, SystemExit too
        return "", one_line(f"no script of it, writing one {raised(error)}")


def _write(trial: Trial, cache: Cache, shown: Path, start: Path) -> tuple[str, str]:
    """Write scripts to the path `shown`, relative to `start`, until one fails.

    Returns the path and the reason why there is no script; one of the two is "".
    """
    comparison = Comparison(trial, cache, cache.stacks(trial), trial.check)
    judgement = comparison.judged(trial.check)
    if not isinstance(judgement, Judgement) or judgement.status is not Status.FAIL:
        return "", ""
    SCRIPTS.prepare()
    small = shrink(comparison, judgement)
    if small is None:
        return "", "it does not fail on its own, only together with what was asked before it"
    path = start / shown
    why = "no script of it fails again"
    try:
        for text, file in scripts(trial, small, _is_flat(trial, cache, small.problem)):
            ended = run_unfinished(path, text, file)
            if ended.fails_again:
                return str(shown), ""
            if ended.why:
                name = Path(file).name
                why = one_line(f"no script of it: {name}, run a second time for it, {ended.why}")
    except Unwritten as reason:
        why = one_line(f"no script of it: {reason}")
    return "", why


def _is_flat(trial: Trial, cache: Cache, problem: Problem) -> bool:
    """Does a trial's model return one number for each row, (R,) instead of (R, 1)?

    R counts rows.
    """
    import torch

    model = cache.model(trial)
    if model is None or problem.network.outputs != (1,) or trial.subject.shapes:
        return False
    inputs = torch.tensor(problem.inputs[0], dtype=held_in(trial.dtype), device=trial.device)
    with torch.no_grad():
        return model.heads(problem, split_columns(inputs, problem.network.inputs)).flat


def scripts(trial: Trial, small: Reduced, flat: bool = False) -> Iterator[tuple[str, str]]:
    """Yield texts of scripts, the best first, each with the path of the user's file that it runs,
    or "".

    `flat` says that the model returns one number for each row, (R,). A script that computes the
    reference's answer comes before one that only holds its number. A script with a copy of the
    model's source comes before one that imports the model's file. Raises Unwritten, with the first
    reason, if there is none.
    """
    reason: Exception | None = None
    is_written = False
    written = getattr(trial.reference, "script", lambda problem: None)(small.problem)
    for witness in [written, None] if written else [None]:
        for source in (copy_source, import_file):
            try:
                model = source(trial.subject, trial.case)
                arguments = write_arguments(small.problem, flat)
                model |= {"flat": flat, "arguments": arguments, **describe_framework(trial, model)}
                text = _script(trial, small, model, witness)
            except (Unwritten, TypeError, OSError) as error:  # of no file, or it cannot be copied
                reason = reason or error
                continue
            is_written = True
            yield text, model["file"]
    if not is_written:
        raise Unwritten(str(reason))


def _script(
    trial: Trial, small: Reduced, model: dict[str, Any], witness: tuple[str, str] | None
) -> str:
    """Return the text of a script.

    `model` has the template's variables on the model. `witness` has the language ("NumPy" or "R")
    and the text of the part that computes the reference's answer; None if the script only holds the
    reference's number.
    """
    problem, judgement = small
    quantity, index = trial.check, judgement.index[1:]
    formulation = problem.formulation
    language, written = witness or ("", "")
    where = title(quantity)
    if quantity != "loss":
        where += f" at {element(problem, quantity, judgement.index)}"
    tensor, at = _locate(problem, quantity, index)
    shapes, blocks = trial.subject.shapes, formulation.network.layout.blocks
    if language == "NumPy" and not all(is_name(block.name) for block in blocks):
        raise Unwritten("a block of the network has a name that is no variable's")
    numbers = _Numbers()
    given = model | {
        "title": f"{heading(trial)}: {one_line(where)}",
        "place": one_line(f"{trial.subject.name}: {where}"),
        "who": one_line(trial.reference.title()),
        "mark": Code(MARK),
        "precision": kind_of(trial.device).precision_lines(trial.dtype),
        "names": None if shapes is None else list(map(exact, shapes)),
        **write_loss(problem),
        "inputs": _groups(problem.inputs, formulation.network.inputs, numbers),
        "targets": _groups(problem.targets, formulation.network.outputs, numbers),
        "numbers": numbers,
        "at": Code(", ".join(map(str, at)) or "()"),
        "enters": _enters(formulation, index[0]) if quantity == "gradient" else [],
        "picked": Code(_pick(trial, problem, index) if language == "R" else ""),
        "trial": trial,
        "problem": problem,
        "judgement": judgement,
        "quantity": quantity,
        "tensor": tensor,
    }
    return fill_template("reproduce/script.py.j2", str, language=language, written=written, **given)


def _locate(problem: Problem, quantity: str, index: tuple[int, ...]) -> tuple[int, list[int]]:
    """Return the place of an element of a quantity: the number of its tensor, and its index in this
    tensor.

    `index` is the index of the element in the quantity, without the number of the draw (a single
    problem).
    """
    owners = tensors(problem, quantity)[1]
    tensor = int(owners[index])
    first = np.argwhere(owners == tensor).min(axis=0)
    at: list[int] = np.subtract(index, first).astype(int).tolist()
    if quantity == "gradient":
        shape = problem.formulation.own.blocks[tensor].places.shape
        at = [int(place) for place in np.unravel_index(at[0], shape)]
    return tensor, at


def _pick(trial: Trial, problem: Problem, index: tuple[int, ...]) -> str:
    """Return a Python expression for an element of a quantity, from the numbers `answer` that R
    prints.

    `answer` has the loss, then its gradient by the weights, then the outputs, column by column.
    """
    formulation = trial.reference.as_evaluated(problem).formulation
    if trial.check == "loss":
        return "answer[0]"
    if trial.check == "forward":
        first = 1 + formulation.network.layout.size
        return f"answer[{first + index[1] * problem.rows + index[0]}]"
    terms = []
    for place, factor in _enters(formulation, index[0]):
        terms.append(f"{factor} * answer[{1 + place}]")
    return " + ".join(terms) or "0.0"


def _enters(formulation: Formulation, own: int) -> list[tuple[int, float]]:
    """Return the entries of theta that depend on one of the model's own parameters, each as (index,
    factor).

    theta is the vector of the network's parameters in nnet's order, and `own` the position of the
    parameter in the vector of own parameters. The factor is the derivative of the entry by the
    parameter.
    """
    back = formulation.matrix.transpose.matrix[[own]]
    return list(zip(back.indices.tolist(), back.data.tolist(), strict=True))


def _groups(whole: Array, widths: tuple[int, ...], numbers: Callable[[Array], Code]) -> Code:
    """Return the text of a list with one array for each group of inputs or outputs.

    `whole` (1, R, W) is a single draw (one problem of a stack): R rows, and the W columns of all
    groups. `widths` are the numbers of columns of the groups; `numbers` writes an array as code.
    """
    parts = np.split(whole, np.cumsum(widths)[:-1], axis=-1)
    return Code(f"[{', '.join(numbers(part[0]) for part in parts)}]")


class _Numbers:
    """Writes arrays as code; `are_sparse` says whether it has written a call of `zeros_but`."""

    def __init__(self) -> None:
        self.are_sparse = False

    def __call__(self, array: Array) -> Code:
        """Return the code of an array: nested lists, or a call of `zeros_but` if it is large and
        mostly 0.

        The call has only the nonzero numbers, each with its index in the array.
        """
        if array.size <= MANY or 4 * np.count_nonzero(array) > array.size:
            return Code(array.tolist())
        self.are_sparse = True
        others = {}
        for place in map(tuple, np.argwhere(array).tolist()):
            others[place] = float(array[place])
        return Code(f"zeros_but({array.shape}, {others})")
