"""Runs a user's file once more for a script that needs it, and finds a subject in it."""

import sys
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.foreign.computed import Computed
from harness.judging.case import Case
from harness.judging.verification import Reached, reading
from harness.pytorch.subject import Subject

MODULE = "<run_path>"  # the name of a user's file that is run again, as runpy calls it
_LOADED: dict[str, list[Any]] = {}  # the values of all variables of a file that was run


def load_file(file: str) -> None:
    """Run a user's file, in which `find_subject` then looks for subjects.

    It is run up to the first `check`, with a name other than `__main__`.
    """
    module = ModuleType(MODULE)
    module.__file__ = file
    sys.modules[MODULE] = module  # a dataclass looks there for what its annotations name
    code = compile(Path(file).read_bytes(), file, "exec")
    arguments, sys.argv = sys.argv, [file]
    try:
        with reading(), suppress(Reached):
            exec(code, vars(module))
    finally:
        sys.argv = arguments
    _LOADED[file] = list(vars(module).values())


def find_subject(file: str, case: str, name: str) -> Subject | Computed:
    """Return the subject called `name` in a file.

    It is looked for in the case called `case`, then in all variables of the file. Raises
    LookupError if there is none.
    """
    if file not in _LOADED:
        load_file(file)
    things = _LOADED[file]
    subjects: list[Any] = []
    for thing in things:
        found = getattr(thing, "case", thing)
        if isinstance(found, Case) and found.name == case:
            subjects += found.subjects
    for thing in [*subjects, *things]:
        thing_name = getattr(thing, "name", getattr(thing, "__name__", ""))
        can_answer = isinstance(thing, Computed) or callable(getattr(thing, "build", thing))
        if can_answer and thing_name == name:
            return Subject.of(thing)
    raise LookupError(f"{file} has no subject called {name}")
