"""Lines that a person pastes into a shell: they do what they say, whatever paths and names hold."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from harness.pytorch.parameters import spell
from harness.text.harmless import printable
from harness.text.python import Code, called, literal, quoted, raw
from harness.text.shell import path_word, rerun_line, shell_line
from tests.conftest import Approved, Mine

WORDS = [
    "plain",
    "two words",
    'it\'s "quoted" \\',
    "$(touch PWNED) `touch PWNED` ; touch PWNED #",
    "a\nb\tc\x1b[31m\u2028\u202e",
    "##[group]x",
    "~/x *?[a]{b,c}!",
    "%s {} 名前",
    "\udcff",
    "",
]


@pytest.mark.skipif(not Path("/bin/bash").exists(), reason="bash is not here")
def test_a_shell_reads_the_words_again(tmp_path: Path) -> None:
    """As they were, from a line that a terminal shows whole."""
    command = [sys.executable, "-c", "import sys; print(ascii(sys.argv[1:]), end='')", *WORDS]
    line = shell_line(*command)
    assert printable(line) == line
    assert "\n" not in line
    done = subprocess.run(
        ["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == ascii(WORDS)
    assert not list(tmp_path.iterdir())


FOLDERS = [".", "plain", "two words", "-x", "@args", "d[1]", "a::b", "it's", "-x/d[1]"]


@pytest.mark.parametrize("folder", FOLDERS)
def test_pytest_runs_the_test_again(
    pytester: pytest.Pytester, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That test alone, whatever its folder and its name hold."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    place = pytester.path / folder
    place.mkdir(parents=True, exist_ok=True)
    names = ["a::b", "c[d]", "x]", "it's", "--flag", "$HOME `id`"]
    text = (
        f"import pytest\n\n@pytest.mark.parametrize('name', {names!r}, ids=str)\ndef"
        " test_it(name):\n    pass\n"
    )
    (place / "test_mine.py").write_text(text, encoding="utf-8")
    for name in names:
        line = rerun_line(place / "test_mine.py", pytester.path, f"test_it[{name}]")
        first, _, second = line.partition(" && ") if line.startswith("cd ") else ("", "", line)
        if first:
            os.chdir(shlex.split(first)[1])
        program, *words = shlex.split(second)
        assert program == "pytest"
        result = pytester.runpytest_inprocess(*words, "-p", "no:cacheprovider")
        result.assert_outcomes(passed=1)
        os.chdir(pytester.path)


def test_a_trial_of_a_hostile_name_runs_again(mine: Mine) -> None:
    """By the line that its failure ends with."""
    name = "-k '名前' [a::b] $(x) \"é\""
    mine.write_sine(
        "return 2 * self.output(torch.sigmoid(self.hidden(x)))",
        subjects=f"[Subject(SineNet, {name!r}), Subject(SineNet, 'other')]",
        dtypes='["float64"]',
        checks='["forward"]',
    )
    [line] = [
        line
        for line in mine.pytest().outlines
        if line.startswith("  rerun: ") and "other" not in line
    ]
    program, *words = shlex.split(line.removeprefix("  rerun: "))
    assert program == "pytest"
    mine.pytest(*words).assert_outcomes(failed=1)


def test_a_file_that_pytest_takes_no_name_after_is_run_with_its_folder() -> None:
    """Where the file's own name holds what pytest splits at."""
    path = Path("/here/some/test_[a].py")
    assert rerun_line(path, Path("/here"), "test_it") == "cd some && pytest"


@pytest.mark.parametrize(
    ("path", "word"), [("-x", "./-x"), ("@x", "./@x"), ("x", "x"), ("/-x", "/-x")]
)
def test_a_path_is_no_option(path: str, word: str) -> None:
    """Nor a file of arguments."""
    assert path_word(path) == word


VALUES = [
    None,
    True,
    -3,
    2.5,
    float("inf"),
    'it\'s "é" \u2028 \ud800 \\',
    [1, ["x"]],
    ("x",),
    (),
    [],
]


def test_a_literal_is_ascii_and_gives_the_value_again() -> None:
    """In single and in double quotes."""
    for value in VALUES:
        text = literal(value)
        assert text.isascii()
        assert text.isprintable()
        assert eval(text) == value
    for text in ('it\'s "é" \u2028 \U0001f600 \\', "plain", '"'):
        assert quoted(text).isascii()
        assert eval(quoted(text)) == text
    assert quoted("W1") == '"W1"'


def test_only_what_is_plain_has_a_literal(approved: Approved) -> None:
    """The repr of anything else may be any text; code stands as it is."""

    class Text(str):
        __slots__ = ()

        def __repr__(self) -> str:
            return "print('PWNED')"

    for value in (Text("x"), [Text("x")], object(), b"x", 1j):
        with approved.raises(TypeError):
            literal(value)
    assert literal(Code("print()")) == "print()"


def test_what_parameters_mean_is_pasted_as_it_is() -> None:
    """Whatever they are called."""
    words = {
        "W1": "a\"b' + print() + '",
        "b": ["it's", "\u2028"],
        "b_w": np.array([0.5]),
        "W\n2": 0,
    }
    written = spell(words)
    assert written.isascii()
    assert written.isprintable()
    assert eval(written) == words | {"b_w": [0.5]}


@pytest.mark.parametrize(
    "text", ["x <- 1\n", 'a"""\nb', 'ends in "', "ends in \\", "é\n", "\x0c", "\r\n", ""]
)
def test_a_raw_string_ends_where_its_text_does(text: str) -> None:
    """It is read again as it was, with a line break in front where people read it."""
    written = raw(text)
    assert written.isascii()
    assert eval(written).removeprefix("\n") == text


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("MyNet", "MyNet"),
        ("Réseau", "Réseau"),
        ("my net", "..."),
        ("x), print(", "..."),
        ("", "..."),
    ],
)
def test_a_name_stands_for_a_class_where_it_can(name: str, shown: str) -> None:
    """In a line of Python to be pasted; anything else is left out of it."""
    assert called(name) == shown
