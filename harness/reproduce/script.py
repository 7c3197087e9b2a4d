"""Writes a short script that fails as a trial did, and needs only torch and NumPy, or R."""

import re
import runpy
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from inspect import getfile
from pathlib import Path
from typing import Any

import numpy as np

from harness.core.contract import Array
from harness.core.formulation import Formulation
from harness.core.judge import Judgement
from harness.core.naming import element, tensors, title
from harness.core.problem import QUANTITIES, Problem
from harness.core.report import MARK
from harness.core.template import filled
from harness.core.verdict import Status
from harness.judging.cache import Cache
from harness.judging.case import Case, Trial
from harness.judging.comparison import Comparison, heading
from harness.judging.store import Key
from harness.judging.verification import reading
from harness.pytorch.devices import held_in, kind_of
from harness.pytorch.errors import raised
from harness.pytorch.settings import settings_lines
from harness.pytorch.subject import Subject
from harness.reproduce.programs import SCRIPTS
from harness.reproduce.reduce import Reduced, shrink
from harness.reproduce.source import Source, Unwritten
from harness.text.files import replace_whole
from harness.text.harmless import exact, one_line
from harness.text.python import Code, is_name

MOST_LETTERS = 80  # of a file's name
MANY = 200  # numbers of a tensor; if most of a larger one are 0, only the others are written


@dataclass(frozen=True)
class Script(Key[tuple[str, str]]):
    """The script of a failure against a reference, and what is said of it."""

    subject: str
    reference: str
    device: str
    dtype: str
    quantity: str


def reproduce(trial: Trial, cache: Cache, folder: Path, start: Path) -> tuple[str, str]:
    """The path, in `folder`, of a script that fails as the trial does, or why there is none; both
    are "" if none is looked for.

    A relative `folder` is one in `start`: a model may have changed the working folder. Raises
    nothing but KeyboardInterrupt; an error is a reason why there is no script.
    """
    if (
        not isinstance(trial.subject, Subject)
        or trial.check not in QUANTITIES
        or trial.case.expect != "equal"
    ):
        return "", ""
    key = Script(
        trial.subject.name,
        exact(trial.reference.name),
        trial.device,
        trial.dtype,
        trial.check,
    )
    return cache.get_or_make(key, lambda: _reproduce(trial, cache, folder, start))


def _reproduce(trial: Trial, cache: Cache, folder: Path, start: Path) -> tuple[str, str]:
    try:
        with warnings.catch_warnings(action="ignore"):  # a user's pytest may make them errors
            return _write(trial, cache, folder / file_name(trial), start)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a model may raise anything, SystemExit too
        return "", one_line(f"no script of it, writing one {raised(error)}")


def _write(trial: Trial, cache: Cache, shown: Path, start: Path) -> tuple[str, str]:
    """Write the first script that fails to the path `shown`, which is relative to `start`."""
    comparison = Comparison(trial, cache, cache.stacks(trial), trial.check)
    judgement = comparison.judged(trial.check)
    if not isinstance(judgement, Judgement) or judgement.status is not Status.FAIL:
        return "", ""
    SCRIPTS.prepare()
    small = shrink(comparison, judgement)
    if small is None:
        return "", "it does not fail on its own, only together with what was asked before it"
    path = start / shown
    path.parent.mkdir(parents=True, exist_ok=True)
    for text in scripts(trial, small):
        replace_whole({path: text})
        if fails(path):
            return str(shown), ""
    path.unlink()
    return "", "no script of it fails again"


def file_name(trial: Trial) -> str:
    """A file name for a trial's script, safe for any names of the case and the subject, and of no
    other trial.

    It names the reference, unless that is the first of its case.
    """
    subject, reference = trial.subject.name, exact(trial.reference.name)
    parts = [trial.case.name, subject, trial.device, trial.dtype, trial.check]
    dashes = "-" in subject
    if reference != trial.case.references[0].name:
        parts.append(reference)
        dashes = dashes or "-" in reference
    whole = "-".join(parts)
    plain = re.sub(r"[^A-Za-z0-9_]+", "-", whole).strip("-")
    if plain == whole and len(plain) <= MOST_LETTERS and not dashes:
        return f"{plain}.py"
    digest = sha256("\n".join(parts).encode(errors="surrogatepass")).hexdigest()[:8]
    return f"{plain[:MOST_LETTERS]}-{digest}.py"


def fails(path: Path) -> bool:
    """Run a script: does it print that it fails again, and exit with 1?"""
    code, said = SCRIPTS.run(path)
    return code == 1 and said.endswith("\nfails again\n")


def scripts(trial: Trial, small: Reduced) -> Iterator[str]:
    """Yield texts of scripts, the best first: with the reference or else with its number, and with
    the model's source or else with its file.
    """
    written = getattr(trial.reference, "script", lambda problem: None)(small.problem)
    for witness in [written, None] if written else [None]:
        for source in (_own_source, _own_file):
            try:
                yield _script(trial, small, source(trial.subject, trial.case), witness)
            except (Unwritten, TypeError, OSError):  # it is of no file, or cannot be copied
                continue


def _own_source(subject: Subject, case: Case) -> dict[str, Any]:
    """The template's variables for a model whose source is copied into the script."""
    source = Source()
    build = source.expression(subject.build)
    loss = None if subject.loss is None else source.expression(subject.loss)
    names = " and ".join(ascii(Path(file).name) for file in source.files)
    origin = f"The model, from {names}." if names else "The model."
    return _model(build, loss, source.text(), origin, lazy=_is_lazy(subject))


def _is_lazy(subject: Subject) -> bool:
    """Does the model, as it is built, have parameters whose shapes its first call decides?"""
    if subject.shapes is not None:
        return False
    from torch.nn.parameter import is_lazy

    return any(map(is_lazy, subject.build().parameters()))


def _model(build: str, loss: str | None, source: str, origin: str, lazy: bool) -> dict[str, Any]:
    """The template's variables on a model; all but `lazy` are marked as code."""
    return {
        "build": Code(build),
        "loss": None if loss is None else Code(loss),
        "source": Code(source),
        "origin": Code(origin),
        "lazy": lazy,
    }


def _own_file(subject: Subject, case: Case) -> dict[str, Any]:
    """The template's variables for a model whose file the script imports."""
    file = getfile(subject.build)
    source = f"""\
sys.path[:0] = {[str(Path(file).parent), str(Path(__file__).parents[2])]!a}
from harness.reproduce.script import find_subject

SUBJECT = find_subject({file!a}, {case.name!a}, {subject.name!a})"""
    loss = None if subject.loss is None else "SUBJECT.loss"
    origin = (
        "The model, in its author's file, which it cannot do without: that needs nnet-parity too."
    )
    return _model("SUBJECT.build", loss, source, origin, lazy=True)  # its file may change


def find_subject(file: str, case: str, name: str) -> Subject:
    """Find the subject of this name in a file: in the case of that name, or else in any variable.

    Raises LookupError if there is none.
    """
    with reading():
        things = list(runpy.run_path(file).values())
    subjects: list[Any] = []
    for thing in things:
        found = getattr(thing, "case", thing)
        if isinstance(found, Case) and found.name == case:
            subjects += found.subjects
    for thing in [*subjects, *things]:
        thing_name = getattr(thing, "name", getattr(thing, "__name__", ""))
        if callable(getattr(thing, "build", thing)) and thing_name == name:
            return Subject.of(thing)
    raise LookupError(f"{file} has no subject called {name}")


def _script(
    trial: Trial, small: Reduced, model: dict[str, Any], witness: tuple[str, str] | None
) -> str:
    """The text of a script.

    `model` has the template's variables for the model; `witness` is the language and the text of
    the reference's part, None if the script holds the reference's number.
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
        "dtype": held_in(trial.dtype),
        "precision": kind_of(trial.device).precision_lines(trial.dtype),
        "names": None if shapes is None else list(map(exact, shapes)),
        "decay": float(problem.loss.decay),
        "settings": Code("\n".join(settings_lines(trial.case.settings))),
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
    return filled("reproduce/script.py.j2", str, language=language, written=written, **given)


def _locate(problem: Problem, quantity: str, index: tuple[int, ...]) -> tuple[int, list[int]]:
    """The number of the tensor that an element of a quantity is in, and its index there."""
    owners = tensors(problem, quantity)[1]
    tensor = int(owners[index])
    first = np.argwhere(owners == tensor).min(axis=0)
    at: list[int] = np.subtract(index, first).astype(int).tolist()
    if quantity == "gradient":
        shape = problem.formulation.own.blocks[tensor].places.shape
        at = [int(place) for place in np.unravel_index(at[0], shape)]
    return tensor, at


def _pick(trial: Trial, problem: Problem, index: tuple[int, ...]) -> str:
    """An expression for the element in R's `answer`, which holds the loss, its gradient by the
    weights, and the outputs, column by column.
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
    """The entries of theta that an own parameter enters, each with its factor."""
    back = formulation.matrix.transpose.matrix[[own]]
    return list(zip(back.indices.tolist(), back.data.tolist(), strict=True))


def _groups(whole: Array, widths: tuple[int, ...], numbers: Callable[[Array], Code]) -> Code:
    """The one draw of an array (1, R, W) as a list with the numbers of each group."""
    parts = np.split(whole, np.cumsum(widths)[:-1], axis=-1)
    return Code(f"[{', '.join(numbers(part[0]) for part in parts)}]")


class _Numbers:
    """Writes arrays; `are_sparse` says whether one was written by its numbers other than 0."""

    def __init__(self) -> None:
        self.are_sparse = False

    def __call__(self, array: Array) -> Code:
        """An array as nested lists; a large one of mostly zeros as a call of `zeros_but`, which has
        the others by place.
        """
        if array.size <= MANY or 4 * np.count_nonzero(array) > array.size:
            return Code(array.tolist())
        self.are_sparse = True
        others = {}
        for place in map(tuple, np.argwhere(array).tolist()):
            others[place] = float(array[place])
        return Code(f"zeros_but({array.shape}, {others})")
