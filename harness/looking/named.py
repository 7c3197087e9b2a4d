"""Loads the class or function that a command line names: "model.py:Net"."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from threading import Timer
from typing import Any

from harness.core.numpy_errors import users
from harness.evaluating.given import is_module_class, list_needed
from harness.looking.mistaken import describe_mistake
from harness.model.errors import raised
from harness.text.harmless import one_line
from harness.waiting.progress import Say

LONG = 5.0  # seconds after which we say that an import takes long
MOST_NAMED = 5  # models of a file that a sentence lists


@dataclass(frozen=True)
class Named:
    """A class or function (`thing`) in a file.

    `module` is the name under which a test beside the file imports it. `folder` is where Python
    looks for this module.
    """

    thing: Any
    name: str
    module: str
    file: Path
    folder: Path


def load_named(text: str, say: Say) -> Named:
    """Import the file in a text like "model.py:Net", and return the class or function.

    `say` gets a message if the import takes long. Raises ValueError, with a sentence that gives
    advice, if there is no such file or name, or the file cannot be imported.
    """
    path, name = _split(text)
    if sentence := describe_mistake(path, name):
        raise ValueError(sentence)
    file = Path(path).absolute()
    folder, module = _find_module(file)
    imported = _import(module, file, folder, say)
    models = _list_models(imported)
    if not name:
        raise ValueError(f"{path} is a file, expected a model in it: {_propose(path, models)}")
    if not hasattr(imported, name):
        near = get_close_matches(name, [*models, *vars(imported)], 1, 0.6)
        raise ValueError(f"{path} has no {name}, expected {_propose(path, near or models)}")
    return Named(getattr(imported, name), name, module, file, folder)


def load_file(path: Path, say: Say) -> Any:
    """Import a file under the name under which a test beside it imports it; return its module.

    Raises ValueError, with a sentence, if it cannot be imported.
    """
    folder, module = _find_module(path.absolute())
    return _import(module, path.absolute(), folder, say)


def load_model(text: str, say: Say) -> Named:
    """Load a class of models, or a function that builds one.

    Raises ValueError, with a sentence, for anything else, such as a class that needs arguments.
    """
    named = load_named(text, say)
    file, name, thing = named.file.name, named.name, named.thing
    if not callable(thing) or (hasattr(thing, "named_parameters") and not isinstance(thing, type)):
        found = "a model that is built already" if callable(thing) else f"a {type(thing).__name__}"
        raise ValueError(
            f"{name} in {file} is {found}, expected the class of a model, or a function that builds"
            f" one: def make(): return Net(), given as {file}:make"
        )
    if needed := list_needed(thing):
        what = f"{name} needs {' and '.join(needed)}"
        if not is_module_class(thing):
            raise ValueError(
                f"{what}: expected the class of a model, or a function without arguments that"
                " builds one; a function of arrays is judged by Computed(...), see docs/foreign.md"
            )
        call = f"{name}({', '.join(f'{each}=...' for each in needed)})"
        raise ValueError(
            f"{what}: write a function into {file} that builds it, def make(): return {call}, and"
            f" give {file}:make"
        )
    return named


def _split(text: str) -> tuple[str, str]:
    """Split "model.py:Net" into path and name; the name is "" if there is none."""
    path, colon, name = text.rpartition(":")
    if not colon or not (name.isidentifier() or not name):
        return text, ""
    return path, name


def _find_module(file: Path) -> tuple[Path, str]:
    """Return the folder from which a file is imported, and the name of its module.

    A file in a package is imported from the folder above all packages, as pytest does.
    """
    parts, folder = [file.stem], file.parent
    while (folder / "__init__.py").is_file() and folder != folder.parent:
        parts.insert(0, folder.name)
        folder = folder.parent
    return folder, ".".join(parts)


def _import(module: str, file: Path, folder: Path, say: Say) -> Any:
    """Import a file as the module of this name; `folder` is where Python looks for it.

    Raises ValueError, in a sentence, if this fails.
    """
    before = sys.modules.get(module)
    if before is not None and not _is_file_of(before, file):
        raise ValueError(
            f"{file.name} has the name of the module {module}, which Python has loaded already:"
            " give the file another name"
        )
    sys.path.insert(0, str(folder))
    try:
        with _as_script(file, say), users():
            return importlib.import_module(module)
    except SystemExit:
        raise ValueError(
            f"{file.name} ends Python when it is imported: put what it does as a script below"
            ' `if __name__ == "__main__":`'
        ) from None
    except Exception as error:  # a user's file may raise anything
        raise ValueError(f"{file.name} {raised(error)} when it was imported") from error


def _is_file_of(module: Any, file: Path) -> bool:
    found = getattr(module, "__file__", None) or ""
    return os.path.exists(found) and os.path.samefile(found, file)


@contextmanager
def _as_script(file: Path, say: Say) -> Iterator[None]:
    """Hide the harness's command-line arguments from a file while it is imported.

    `say` gets a message if the import takes long.
    """
    told = (
        f"{file.name} is still running, since Python runs a file to import it: put what trains"
        ' below `if __name__ == "__main__":`'
    )
    timer = Timer(LONG, say, [told])
    timer.daemon = True
    arguments, sys.argv = sys.argv, [str(file)]
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        sys.argv = arguments


def _list_models(module: Any) -> list[str]:
    """Return the names of the classes of models that a file defines."""
    found = []
    for name, thing in vars(module).items():
        if is_module_class(thing) and inspect.getmodule(thing) is module:
            found.append(name)
    return found


def _propose(path: str, names: list[str]) -> str:
    if not names:
        return f"the name of a class of models, as {one_line(path)}:Net"
    return " or ".join(f"{path}:{name}" for name in names[:MOST_NAMED])
