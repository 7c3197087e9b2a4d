"""docs/python.md is true: each cell is run in IPython's shell, and shows what stands there."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.core.finding import Finding, Form
from tests.project.test_tutorials import ran, shows

ROOT = Path(__file__).parents[2]
# the sentence before a block, if there is one, its language and its text
BLOCK = re.compile(r"(?:([^\n]*)\n\n)?```(\w+)\n(.*?)```\n", re.DOTALL)
# runs cells as a notebook does, and writes what each of them prints
SHELL = """\
import json, sys
from contextlib import redirect_stdout
from io import StringIO
from IPython.core.interactiveshell import InteractiveShell

shell, shown = InteractiveShell.instance(), []
for cell in json.load(open("cells.json")):
    with redirect_stdout(StringIO()) as out:
        shell.run_cell(cell, store_history=True).raise_error()
    shown.append(out.getvalue())
json.dump(shown, open("shown.json", "w"))
"""


@pytest.fixture
def programs(warm_python: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the program that the page calls, by the Python that has imported torch."""
    folder = tmp_path_factory.mktemp("programs")
    (folder / "python").write_text(f'#!/bin/sh\nexec {warm_python} "$@"\n')
    (folder / "python").chmod(0o755)
    return folder


@pytest.mark.skipif(
    not shutil.which("R"), reason="R is not on the path: apt-get install r-base-core"
)
def test_the_page_says_what_cells_and_commands_show(
    tmp_path: Path, programs: Path, live_r: None
) -> None:
    """Every block: cells in their order, then files and commands."""
    pytest.importorskip("IPython")
    cells: list[str] = []
    expected: dict[int, str] = {}  # what a cell shows, by its number
    commands: list[tuple[str, str]] = []
    page = (ROOT / "docs/python.md").read_text(encoding="utf-8")
    for before, language, text in BLOCK.findall(page):
        if language == "console":
            command, _, screen = text.partition("\n")
            commands.append((command.removeprefix("$ "), screen))
        elif language == "text":
            expected[len(cells) - 1] = text
        elif before.endswith(".py`:"):
            (tmp_path / before.strip("`:")).write_text(text)
        else:
            cells.append(text)
    (tmp_path / "cells.json").write_text(json.dumps(cells))
    environment = os.environ | {"PYTHONPATH": str(ROOT), "IPYTHONDIR": str(tmp_path / "ipython")}
    subprocess.run(
        [programs / "python", "-c", SHELL], cwd=tmp_path, env=environment, check=True, timeout=300
    )
    shown = json.loads((tmp_path / "shown.json").read_text())
    assert [number for number, screen in enumerate(shown) if screen] == list(expected)
    for number, screen in expected.items():
        assert shows(shown[number], screen), f"{cells[number]}\n{shown[number]}"
    assert len(commands) == 2
    for command, screen in commands:
        found = ran(command, tmp_path, programs)
        assert shows(found, screen), f"{command}\n{found}"


@pytest.mark.parametrize("form", Form)
def test_the_loop_over_findings_runs_on_every_kind(
    form: Form, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also on one that has a reason, and no figures, place or hints."""
    page = (ROOT / "docs/python.md").read_text(encoding="utf-8")
    (loop,) = [text for *_, text in BLOCK.findall(page) if "in result.findings" in text]
    found = Finding(form, "NumPy", "Net raised ValueError")
    exec(loop, {"result": SimpleNamespace(findings=[found])})
    assert capsys.readouterr().out == "Net raised ValueError at None\n"
