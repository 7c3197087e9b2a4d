"""The verbs that name a model of a user, run in a folder of their own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from harness import cli as command
from tests.commands.models import MODELS

Verb = Callable[..., tuple[int, str]]


@pytest.fixture
def verb(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Verb]:
    """Runs `nnet-parity` in a folder with model.py; gives its exit code and what it prints."""
    entries = []
    for name in ("check", "init"):
        entries.append(EntryPoint(name, f"reference.commands.{name}:{name}", command.GROUP))
    monkeypatch.setattr(command, "entry_points", lambda group: entries)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("NNET_PARITY_DEVICES", "cpu")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.py").write_text(MODELS)
    before = set(sys.modules)

    def run(*arguments: str) -> tuple[int, str]:
        try:
            code = command.main(arguments)
        except SystemExit as left:
            code = int(left.code or 0)
        said = capsys.readouterr()
        return code, said.out + said.err

    yield run
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None) or ""
        if file.startswith(str(tmp_path)):
            del sys.modules[name]
