"""The walls: who imports whom, room by room, and what an import loads; each can fail."""

import ast
import inspect
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from tests.project.tree import BEGIN, DOCUMENT, ROOMS, draw_tree, replace_tree

ROOT = Path(__file__).parents[2]
OURS = ("harness", "reference", "cases", "tests")
FORBIDDEN = {  # tests may look at everything
    "harness": {"reference", "cases", "tests"},
    "reference": {"cases", "tests", "torch"},
    "cases": {"tests"},
}
LOADS_NOT = {
    "harness": ("torch", "rpy2", "pytest", "jinja2", "matplotlib", "scipy.stats"),
    "reference": ("torch", "rpy2", "scipy.stats"),
}


def sources(folder: str) -> list[Path]:
    """The Python files of one of our folders."""
    found = sorted((ROOT / folder).rglob("*.py"))
    assert found, folder
    return found


def imported(source: str) -> set[str]:
    """The top-level packages that a file imports, anywhere in it; those named as strings to
    `import_module` too.
    """
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add("." if node.level else node.module or "")
        elif isinstance(node, ast.Call) and "import" in ast.unparse(node.func):
            names |= {str(arg.value) for arg in node.args if isinstance(arg, ast.Constant)}
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize(
    "source",
    [
        "import cases.sine",
        "from cases import sine",
        "def late():\n    from cases.sine import TanhSine",
        "if TYPE_CHECKING:\n    import cases",
        "importlib.import_module('cases.sine')",
        "__import__('cases')",
    ],
)
def test_an_import_is_seen_however_it_is_written(source: str) -> None:
    """The wall can fail: no spelling climbs over it."""
    assert imported(source) & FORBIDDEN["harness"] == {"cases"}


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_no_folder_imports_what_stands_on_it(folder: str) -> None:
    """cases -> reference -> harness; neither of the two knows the cases or the tests, and the
    mathematics no torch.
    """
    for path in sources(folder):
        found = imported(path.read_text(encoding="utf-8"))
        assert not found & FORBIDDEN[folder], path
        assert "" not in found, f"{path} imports relatively, which this test cannot follow"


def imported_modules(source: str) -> set[str]:
    """The modules of our packages that a file imports, anywhere in it, with all their dots."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.partition(".")[0] in ROOMS}


def find_upward(module: str, source: str) -> list[str]:
    """What a module imports of a room above its own, or of no room: the package is the way in."""
    package, room, *_ = module.split(".")
    rooms = ROOMS[package]
    upward = []
    for name in sorted(imported_modules(source)):
        other, _, rest = name.partition(".")
        target = rest.partition(".")[0]
        if other == package and (target not in rooms or rooms.index(target) < rooms.index(room)):
            upward.append(name)
    return upward


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from harness.judging.case import Case", ["harness.judging.case.Case"]),
        ("def late():\n    import harness.cli", ["harness.cli"]),
        ("from harness import Case", ["harness.Case"]),
        ("from harness.core.layout import Block", []),
        ("from harness.arithmetic import plain", []),
    ],
)
def test_a_way_up_is_seen(source: str, found: list[str]) -> None:
    """The wall can fail: an import of a higher room, however late it is, or of the whole house."""
    assert find_upward("harness.arithmetic.plain", source) == found


def modules_in_rooms(package: str) -> Iterator[tuple[str, str]]:
    """The name and text of each module but the package itself."""
    for path in sources(package):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts != (package, "__init__"):
            yield ".".join(parts).removesuffix(".__init__"), path.read_text(encoding="utf-8")


@pytest.mark.parametrize("package", ROOMS)
def test_rooms_import_downwards(package: str) -> None:
    """No module imports from a room above its own."""
    upward = {name: find_upward(name, text) for name, text in modules_in_rooms(package)}
    assert {name: found for name, found in upward.items() if found} == {}


@pytest.mark.parametrize("package", ROOMS)
def test_every_room_says_what_it_is(package: str) -> None:
    """The folders are the rooms that ARCHITECTURE.md draws, and each has a sentence of its own."""
    folders = {path.parent.name for path in (ROOT / package).glob("*/__init__.py")}
    files = {path.stem for path in (ROOT / package).glob("*.py")} - {"__init__"}
    assert folders | files == set(ROOMS[package])


def find_circle(imports: Mapping[str, Iterable[str]]) -> list[str]:
    """Modules that import one another in a circle; none where there is no circle."""
    finished: set[str] = set()
    path: list[str] = []

    def visit(name: str) -> list[str]:
        if name in path:
            return path[path.index(name) :]
        if name in finished or name not in imports:
            return []
        path.append(name)
        for other in imports[name]:
            if circle := visit(other):
                return circle
        path.pop()
        finished.add(name)
        return []

    for name in imports:
        if circle := visit(name):
            return circle
    return []


def test_a_circle_is_seen() -> None:
    """The wall can fail: three modules, of which the last imports the first."""
    assert find_circle({"a": ["b"], "b": ["c", "d"], "c": [], "d": ["b"]}) == ["b", "d"]
    assert find_circle({"a": ["b", "c"], "b": ["c"], "c": []}) == []


def test_no_modules_import_in_a_circle() -> None:
    """Not even late ones, in functions."""
    texts = dict(pair for package in ROOMS for pair in modules_in_rooms(package))
    imports = {}
    for name, text in texts.items():
        found = imported_modules(text)
        modules = found | {each.rpartition(".")[0] for each in found}
        imports[name] = sorted(modules & texts.keys())
    assert find_circle(imports) == []


def loaded(statement: str, names: tuple[str, ...]) -> list[str]:
    """Which of the packages are loaded after a statement, in a Python of its own."""
    script = f"{statement}; import sys; print(*(name for name in {names} if name in sys.modules))"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", script]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True
    ).stdout.split()


@pytest.mark.parametrize("package", LOADS_NOT)
def test_importing_is_light(package: str) -> None:
    """What a package does not need to be imported, it loads where it is first used."""
    assert loaded(f"import {package}", LOADS_NOT[package]) == []


def test_a_heavy_import_is_seen() -> None:
    """The wall can fail: a package that is loaded on the way is found."""
    assert loaded("import harness.plugin.plugin, scipy.stats", LOADS_NOT["harness"]) == [
        "pytest",
        "scipy.stats",
    ]


def modules(package: str) -> Iterator[ModuleType]:
    for path in sources(package):
        yield import_module(
            ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        )


def undocumented(module: ModuleType) -> list[str]:
    """The public classes and functions that a module defines without a docstring of their own."""
    return [
        f"{module.__name__}.{name}"
        for name, thing in vars(module).items()
        if not name.startswith(("_", "pytest_"))  # what a hook does, pytest says
        and (inspect.isclass(thing) or inspect.isfunction(thing))
        and thing.__module__ == module.__name__
        # a dataclass without one writes its signature
        and (not thing.__doc__ or thing.__doc__.startswith(f"{name}("))
    ]


def test_a_missing_docstring_is_seen() -> None:
    """The wall can fail: a function without one, and a dataclass, which writes itself one."""
    module = ModuleType("made_up")
    source = (
        "import dataclasses\ndef f(): pass\n@dataclasses.dataclass\nclass D:\n    x: int\ndef _g():"
        " pass"
    )
    sys.modules["made_up"] = module
    try:
        exec(source, vars(module))
    finally:
        del sys.modules["made_up"]
    assert undocumented(module) == ["made_up.f", "made_up.D"]


@pytest.mark.parametrize("package", ["harness", "reference"])
def test_what_is_public_says_what_it_does(package: str) -> None:
    """Every module, class and function."""
    everything = list(modules(package))
    assert [module.__name__ for module in everything if not module.__doc__] == []
    assert [name for module in everything for name in undocumented(module)] == []


def test_the_tree_in_the_document_is_the_one_in_the_house() -> None:
    """Each room, its sentence and modules; `python -m tests.project.tree --write` renews it."""
    text = DOCUMENT.read_text(encoding="utf-8")
    assert replace_tree(text, draw_tree()) == text


def test_a_document_without_a_tree_is_refused() -> None:
    """The test of the document can fail: nothing is compared with nothing."""
    with pytest.raises(ValueError, match=BEGIN):
        replace_tree("no tree", draw_tree())
