"""Compiled templates are kept, and made anew when anything that makes them changes."""

from __future__ import annotations

from pathlib import Path

import jinja2
import pytest

from harness.text import compiled_templates
from harness.text.compiled_templates import CompiledTemplates
from harness.words import template


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of compiled templates."""
    monkeypatch.setattr(compiled_templates, "__file__", str(tmp_path / "module.py"))
    monkeypatch.setattr("sys.dont_write_bytecode", False)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "code.py").write_text("one")
    return tmp_path / "__pycache__"


def render(text: str, code: Path) -> str:
    """A template, in an environment of its own."""
    loader, cache = jinja2.DictLoader({"it": text}), CompiledTemplates([code])
    environment = jinja2.Environment(loader=loader, bytecode_cache=cache, autoescape=True)
    return environment.get_template("it").render(word="<word>")


def test_a_template_is_compiled_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second process reads what the first has compiled."""
    code = folder.parent / "code.py"
    assert render("a {{ word }}", code) == "a &lt;word&gt;"
    monkeypatch.setattr(jinja2.Environment, "_generate", None)
    assert render("a {{ word }}", code) == "a &lt;word&gt;"


@pytest.mark.parametrize("change", ["the template", "the code", "the file"])
def test_a_change_compiles_it_anew(folder: Path, change: str) -> None:
    """Of the template, of the code that compiles it, or of the compiled file; one file is left."""
    code, text = folder.parent / "code.py", "a {{ word }}"
    render(text, code)
    [before] = folder.iterdir()
    if change == "the template":
        text = "b {{ word }}"
    elif change == "the code":
        code.write_text("two")
    else:
        before.write_bytes(before.read_bytes()[:-20])
    assert render(text, code) == f"{text[0]} &lt;word&gt;"
    [after] = folder.iterdir()
    assert (after == before) is (change != "the code")


@pytest.mark.parametrize("size", [0, 3, 12, 20, 60])
def test_half_a_compiled_file_is_not_read(folder: Path, size: int) -> None:
    """However much of it is left, the template is compiled anew."""
    code = folder.parent / "code.py"
    render("a {{ word }}", code)
    [compiled] = folder.iterdir()
    whole = compiled.read_bytes()
    compiled.write_bytes(whole[:size])
    assert render("a {{ word }}", code) == "a &lt;word&gt;"
    assert compiled.read_bytes() == whole


def test_where_nothing_can_be_written_it_is_compiled_each_time(folder: Path) -> None:
    """The package may be read-only."""
    folder.rmdir()
    folder.write_text("no folder")
    assert render("a {{ word }}", folder.parent / "code.py") == "a &lt;word&gt;"


def test_words_of_a_template_are_made_harmless_when_it_is_filled(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the function that is given; what it made of them is not kept."""
    monkeypatch.setattr(template, "__file__", str(folder / "template.py"))
    (folder.parent / "it.md.j2").write_text("{{ 'one' }} {{ word }}")
    assert template.fill_template("it.md.j2", str.upper, word="two") == "ONE TWO"
    assert len(list(folder.iterdir())) == 1
    assert template.fill_template("it.md.j2", str.title, word="two") == "One Two"
