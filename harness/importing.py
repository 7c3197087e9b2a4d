"""Which test file has told torch what, so that what one file tells it holds for no other."""

import sys
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from harness.settings import Settings, read_settings
from harness.source import is_own


class TestFiles:
    """The test files that pytest imports, one after the other, and what each has changed of torch's settings.

    `shared` holds for every file: what torch is told at first, and what a conftest.py has told it.
    """

    __test__ = False  # pytest looks for tests in what is called so

    def __init__(self) -> None:
        self.shared = self.left = self.before = read_settings()
        self.changes: list[tuple[Set[str], Settings]] = []

    @contextmanager
    def importing(self, file: Path) -> Iterator[None]:
        """While a test file is imported."""
        loaded, self.before = set(sys.modules), read_settings()
        self.shared = {**self.shared, **_changed(self.left, self.before)}  # between test files come conftest files
        _being_imported.append(self)
        try:
            yield
        finally:
            _being_imported.pop()
            self.left = read_settings()
            new = {name for name in set(sys.modules) - loaded if _may_tell(sys.modules[name], file)}
            self.changes.append((new, _changed(self.before, self.left)))

    def settings(self, names: Mapping[str, Any]) -> Settings:
        """What the file that is being imported, and uses these names, tells torch, by itself or by what it imports.

        What it imports may have been imported by a file before it, and have told torch then.
        """
        used = {module for thing in names.values() for module in _packages(_module_of(thing))}
        found = dict(self.shared)
        for modules, told in self.changes:
            found |= told if modules & used else {}
        return {**found, **_changed(self.before, read_settings())}


_being_imported: list[TestFiles] = []


def settings_of_file(names: Mapping[str, Any]) -> Settings:
    """What torch is told for the cases of a file with these names; what it is told now where pytest imports none."""
    return _being_imported[-1].settings(names) if _being_imported else read_settings()


def _changed(before: Settings, now: Settings) -> Settings:
    return {name: value for name, value in now.items() if value != before[name]}


def _may_tell(module: Any, file: Path) -> bool:
    """Is it a user's own module, other than the packages that the test file itself is in?"""
    if not isinstance(module, ModuleType) or "__file__" not in vars(module) or not is_own(module):
        return False
    return "__path__" not in vars(module) or Path(str(module.__file__)).parent not in file.parents


def _module_of(thing: Any) -> str:
    """The name of a module, else of the one in which a class, a function, or the class of an object was written."""
    kind = type(thing)
    if issubclass(kind, ModuleType):
        name = vars(thing).get("__name__")
    elif issubclass(kind, FunctionType):
        name = thing.__module__
    else:
        name = vars(thing if issubclass(kind, type) else kind).get("__module__")
    return name if isinstance(name, str) else ""


def _packages(name: str) -> set[str]:
    """A module's name and those of the packages that it is in."""
    parts = name.split(".")
    return {".".join(parts[: count + 1]) for count in range(len(parts))}
