"""Writes the part of a script with the model: a copy of its source, or an import of its file."""

from inspect import getfile
from pathlib import Path
from typing import Any

from harness.foreign.computed import Computed
from harness.judging.case import Case, Trial
from harness.model.devices import held_in
from harness.model.settings import settings_lines
from harness.pytorch.exported import is_exported
from harness.pytorch.subject import Subject
from harness.reproduce.source import Source
from harness.reproduce.typed import Unwritten
from harness.text.python import Code


def describe_framework(trial: Trial, model: dict[str, Any]) -> dict[str, Any]:
    """Return the variables of the script's template that depend on the framework: torch, or
    functions of NumPy arrays.

    `model` has the variables on the model, by name.
    """
    if not isinstance(trial.subject, Computed):
        settings = Code("\n".join(settings_lines(trial.case.settings)))
        dtype = held_in(trial.dtype)
        return {"computed": False, "needs_torch": True, "dtype": dtype, "settings": settings}
    code = " ".join(str(model[name]) for name in ("source", "build", "loss"))
    needs_torch = "torch" in code
    return {"computed": True, "needs_torch": needs_torch, "dtype": None, "settings": Code("")}


def _functions(subject: Subject | Computed) -> tuple[Any, Any]:
    """Return the two functions that a script calls: the model and its loss or, for functions of
    arrays, the outputs and the derivatives.
    """
    if isinstance(subject, Computed):
        return subject.answer, subject.slopes
    return subject.build, subject.loss


def copy_source(subject: Subject | Computed, case: Case) -> dict[str, Any]:
    """Return the variables of a script's template, by name, for a script with a copy of the model's
    source.
    """
    source = Source()
    function, own_loss = _functions(subject)
    build = source.expression(function)
    loss = None if own_loss is None else source.expression(own_loss)
    names = " and ".join(source.origins)
    origin = f"The model, from {names}." if names else "The model."
    model = _model(build, loss, source.text(), origin, lazy=_is_lazy(subject))
    return model | {"exported": _is_exported(subject)}


def _is_exported(subject: Subject | Computed) -> bool:
    """Does a subject's factory return programs of torch.export?"""
    if isinstance(subject, Computed) or subject.shapes is not None:
        return False
    return not isinstance(subject.build, type) and is_exported(subject.build())


def _is_lazy(subject: Subject | Computed) -> bool:
    """Does a newly built model have parameters whose shapes are set by its first call?"""
    if isinstance(subject, Computed) or subject.shapes is not None:
        return False
    from torch.nn.parameter import is_lazy

    return any(map(is_lazy, subject.build().parameters()))


def _model(build: str, loss: str | None, source: str, origin: str, lazy: bool) -> dict[str, Any]:
    """Return the variables of a script's template on a model, by name; most of them are marked as
    code.

    `build` is the expression that builds the model, and `loss` that of its own loss. `source` is
    the copied source, and `origin` names the place from which it comes. `lazy` says that the first
    call sets the shapes of parameters.
    """
    return {
        "build": Code(build),
        "loss": None if loss is None else Code(loss),
        "source": Code(source),
        "origin": Code(origin),
        "lazy": lazy,
        "file": "",
        "exported": False,
    }


def import_file(subject: Subject | Computed, case: Case) -> dict[str, Any]:
    """Return the variables of a script's template, by name, for a script that imports the model's
    file or, for functions of NumPy arrays, the file of their case.
    """
    is_computed = isinstance(subject, Computed)
    file = case.file if is_computed and case.file else getfile(_functions(subject)[0])
    if not Path(file).is_file():
        raise Unwritten(f"{file} is not a file any more")
    source = f"""\
sys.path[:0] = {[str(Path(file).parent), str(Path(__file__).parents[2])]!a}
from harness.reproduce.users_file import find_subject

SUBJECT = find_subject({file!a}, {case.name!a}, {subject.name!a})"""
    build, own_loss = "SUBJECT.build", "SUBJECT.loss"
    if is_computed:
        build, own_loss = "SUBJECT.answer", "SUBJECT.slopes"
    loss = None if _functions(subject)[1] is None else own_loss
    origin = (
        "The model, in its author's file, which it cannot do without: that needs nnet-parity too."
    )
    model = _model(build, loss, source, origin, lazy=True)  # its file may change
    if is_computed:  # JAX cannot be used in a fork of a process that has used it
        return model
    return model | {"file": file}
