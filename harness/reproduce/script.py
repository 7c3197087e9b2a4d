"""A failure on its own: a script of a few lines that fails as a trial did, and needs torch and
NumPy, or R, alone.
"""

import re
import runpy
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from inspect import getfile
from pathlib import Path
from typing import Any

import numpy as np

from harness.core.contract import Array
from harness.core.files import replace_whole
from harness.core.formulation import Formulation
from harness.core.judge import Judgement
from harness.core.naming import element, tensors, title
from harness.core.problem import QUANTITIES, Problem
from harness.core.python_text import Code, is_name
from harness.core.report import MARK
from harness.core.template import filled
from harness.core.text import exact, one_line
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

MOST_LETTERS = 80  # of a file's name
MANY = 200  # numbers of a tensor: where most are 0, they are not written out
HERE = Path()  # the working folder


@dataclass(frozen=True)
class Script(Key[tuple[str, str]]):
    """The script of a failure, whatever the reference, and what is said of it."""

    subject: str
    device: str
    dtype: str
    quantity: str


def reproduce(trial: Trial, cache: Cache, folder: Path, start: Path = HERE) -> tuple[str, str]:
    """The path, in `folder`, of a script that fails as the trial does, or why there is none; both
    are "" if none is looked for.

    `folder` is told as it is; where it is relative, it is one of `start`, wherever a model has gone
    meanwhile.

    A failure that cannot be had on its own, or told, is only that: nothing that happens here is
    raised.
    """
    if (
        not isinstance(trial.subject, Subject)
        or trial.check not in QUANTITIES
        or trial.case.expect != "equal"
    ):
        return "", ""
    key = Script(trial.subject.name, trial.device, trial.dtype, trial.check)
    return cache.get_or_make(key, lambda: _reproduce(trial, cache, folder, start))


def _reproduce(trial: Trial, cache: Cache, folder: Path, start: Path) -> tuple[str, str]:
    try:
        with warnings.catch_warnings(action="ignore"):  # a user's pytest may make them errors
            return _written(trial, cache, folder / file_name(trial), start)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a model may raise anything, SystemExit too
        return "", one_line(f"no script of it, writing one {raised(error)}")


def _written(trial: Trial, cache: Cache, told: Path, start: Path) -> tuple[str, str]:
    asked = Comparison(trial, cache, cache.stacks(trial), trial.check)
    judgement = asked.judged(trial.check)
    if not isinstance(judgement, Judgement) or judgement.status is not Status.FAIL:
        return "", ""
    SCRIPTS.prepare()
    if (small := shrink(asked, judgement)) is None:
        return "", "it does not fail on its own, only together with what was asked before it"
    path = start / told
    path.parent.mkdir(parents=True, exist_ok=True)
    for text in scripts(trial, small):
        replace_whole({path: text})
        if fails(path):
            return str(told), ""
    path.unlink()
    return "", "no script of it fails again"


def file_name(trial: Trial) -> str:
    """A name that is safe whatever the case and the subject are called, and no other trial's."""
    parts = [trial.case.name, trial.subject.name, trial.device, trial.dtype, trial.check]
    whole = "-".join(parts)
    plain = re.sub(r"[^A-Za-z0-9_]+", "-", whole).strip("-")
    if plain == whole and len(plain) <= MOST_LETTERS and "-" not in trial.subject.name:
        return f"{plain}.py"
    digest = sha256("\n".join(parts).encode(errors="surrogatepass")).hexdigest()[:8]
    return f"{plain[:MOST_LETTERS]}-{digest}.py"


def fails(path: Path) -> bool:
    """Does a script, run as a program of its own, say that it fails again, and exit with 1?"""
    code, said = SCRIPTS.run(path)
    return code == 1 and said.endswith("\nfails again\n")


def scripts(trial: Trial, small: Reduced) -> Iterator[str]:
    """Texts that may fail again, the best first: with the model's source or file, by the reference
    or its number.
    """
    written = getattr(trial.reference, "script", lambda problem: None)(small.problem)
    for witness in [written, None] if written else [None]:
        for source in (_own_source, _own_file):
            try:
                yield _script(trial, small, source(trial.subject, trial.case), witness)
            except (Unwritten, TypeError, OSError):  # what is of no file, or not to be copied
                continue


def _own_source(subject: Subject, case: Case) -> dict[str, Any]:
    """What the template says of a model: the statements that it needs, copied."""
    source = Source()
    build, loss = (
        None if each is None else source.expression(each) for each in (subject.build, subject.loss)
    )
    names = " and ".join(ascii(Path(file).name) for file in source.files)
    origin = f"The model, from {names}." if names else "The model."
    return _model(build, loss, source.text(), origin)


def _model(build: str | None, loss: str | None, source: str, origin: str) -> dict[str, Any]:
    """What is no name but code."""
    parts = {"build": build, "loss": loss, "source": source, "origin": origin}
    return {name: None if part is None else Code(part) for name, part in parts.items()}


def _own_file(subject: Subject, case: Case) -> dict[str, Any]:
    """The same: its author's file, imported."""
    file = getfile(subject.build)
    source = f"""\
sys.path[:0] = {[str(Path(file).parent), str(Path(__file__).parents[2])]!a}
from harness.reproduce.script import find_subject

SUBJECT = find_subject({file!a}, {case.name!a}, {subject.name!a})"""
    loss = None if subject.loss is None else "SUBJECT.loss"
    origin = (
        "The model, in its author's file, which it cannot do without: that needs nnet-parity too."
    )
    return _model("SUBJECT.build", loss, source, origin)


def find_subject(file: str, case: str, name: str) -> Subject:
    """The subject of this name in a file: of the case of that name, else of anything that the file
    holds.

    Raises LookupError where it is not there any more.
    """
    with reading():
        things = list(runpy.run_path(file).values())
    cases = [
        each
        for each in (getattr(thing, "case", thing) for thing in things)
        if isinstance(each, Case)
    ]
    for thing in [*(each for one in cases if one.name == case for each in one.subjects), *things]:
        if (
            callable(getattr(thing, "build", thing))
            and getattr(thing, "name", getattr(thing, "__name__", "")) == name
        ):
            return Subject.of(thing)
    raise LookupError(f"{file} has no subject called {name}")


def _script(
    trial: Trial, small: Reduced, model: dict[str, Any], witness: tuple[str, str] | None
) -> str:
    """The text of a script."""
    (problem, judgement), quantity = small, trial.check
    formulation, (language, written) = problem.formulation, witness or ("", "")
    where = title(quantity) + (
        "" if quantity == "loss" else f" at {element(problem, quantity, judgement.index)}"
    )
    owners, index = tensors(problem, quantity)[1], judgement.index[1:]
    tensor = int(owners[index])
    at = np.subtract(index, np.argwhere(owners == tensor).min(axis=0)).astype(int).tolist()
    if quantity == "gradient":
        at = [int(i) for i in np.unravel_index(at[0], formulation.own.blocks[tensor].places.shape)]
    shapes, blocks = trial.subject.shapes, formulation.network.layout.blocks
    if language == "NumPy" and not all(is_name(block.name) for block in blocks):
        raise Unwritten("a block of the network has a name that is no variable's")
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
        "inputs": _groups(problem.inputs, formulation.network.inputs),
        "targets": _groups(problem.targets, formulation.network.outputs),
        "numbers": _numbers,
        "at": Code(", ".join(map(str, at)) or "()"),
        "enters": _enters(formulation, index[0]) if quantity == "gradient" else [],
        "picked": Code(_picked(trial, problem, index) if language == "R" else ""),
    }
    given |= {
        "trial": trial,
        "problem": problem,
        "judgement": judgement,
        "quantity": quantity,
        "tensor": tensor,
    }
    return filled("reproduce/script.py.j2", str, language=language, written=written, **given)


def _picked(trial: Trial, problem: Problem, index: tuple[int, ...]) -> str:
    """The element, in R's answer: the loss, its gradient by the weights, and the outputs, column by
    column.
    """
    formulation = trial.reference.as_evaluated(problem).formulation
    if trial.check == "loss":
        return "answer[0]"
    if trial.check == "forward":
        return f"answer[{1 + formulation.network.layout.size + index[1] * problem.rows + index[0]}]"
    return (
        " + ".join(
            f"{factor} * answer[{1 + place}]" for place, factor in _enters(formulation, index[0])
        )
        or "0.0"
    )


def _enters(formulation: Formulation, own: int) -> list[tuple[int, float]]:
    """The entries of theta that an own parameter enters, each with its factor."""
    back = formulation.matrix.transpose.matrix[[own]]
    return list(zip(back.indices.tolist(), back.data.tolist(), strict=True))


def _groups(whole: Array, widths: tuple[int, ...]) -> Code:
    parts = np.split(whole, np.cumsum(widths)[:-1], axis=-1)
    return Code(f"[{', '.join(_numbers(part[0]) for part in parts)}]")


def _numbers(array: Array) -> Code:
    """Nested lists as they are written; where there are many, and most are 0, by the others and
    their places.
    """
    if array.size <= MANY or 4 * np.count_nonzero(array) > array.size:
        return Code(array.tolist())
    others = {tuple(place): float(array[tuple(place)]) for place in np.argwhere(array).tolist()}
    return Code(f"zeros_but({array.shape}, {others})")
