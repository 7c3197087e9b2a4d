"""Approved messages: a reworded one is seen, and every sentence that a user can see is approved."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import FIGURE
from tests.project.sentences import (
    FOLDERS,
    ROOT,
    Sentence,
    find_all,
    find_in_python,
    find_in_r,
    find_in_template,
    read_approved,
)

# The mechanism, in a process of its own: syrupy keeps its session in a global of its module.

CONFTEST = (ROOT / "tests/conftest.py").read_text(encoding="utf-8")
SAYS = "def test_it(approved):\n    approved({said!r})\n"


@pytest.fixture
def theirs(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A folder with our fixture, and nothing approved yet."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeconftest(CONFTEST)
    return pytester


def run(theirs: pytest.Pytester, said: str, *arguments: str) -> pytest.RunResult:
    """pytest on one test that approves what is said."""
    theirs.makepyfile(test_mine=SAYS.format(said=said))
    return theirs.runpytest_subprocess("-p", "syrupy", "-p", "no:cacheprovider", *arguments)


def test_a_reworded_sentence_is_seen(theirs: pytest.Pytester) -> None:
    """It fails until the file is renewed, which then has the new words and no others."""
    assert run(theirs, "one and two", "--snapshot-update").ret == 0
    assert run(theirs, "one and three").ret == 1
    assert run(theirs, "one and three", "--snapshot-update").ret == 0
    approved = read_approved(theirs.path / "__snapshots__")
    assert ("one and three" in approved, "one and two" in approved) == (True, False)


def test_a_sentence_that_nobody_approved_is_seen(theirs: pytest.Pytester) -> None:
    """Without a file, and without its text in one."""
    assert run(theirs, "one and two").ret == 1
    assert not (theirs.path / "__snapshots__").exists()


@pytest.mark.parametrize("processes", [[], ["-p", "xdist", "-n", "2", "--dist", "worksteal"]])
def test_a_sentence_that_is_not_said_any_more_is_seen(
    theirs: pytest.Pytester, processes: list[str]
) -> None:
    """Its test has gone, its text has not; also where two processes share the tests, as run.py has
    them do.
    """
    two = "def test_it(approved): approved('one')\ndef test_other(approved): approved('two')\n"
    arguments = ("-p", "syrupy", "-p", "no:cacheprovider", *processes)
    theirs.makepyfile(test_mine=two)
    theirs.runpytest_subprocess("-p", "syrupy", "-p", "no:cacheprovider", "--snapshot-update")
    result = theirs.runpytest_subprocess(*arguments)
    result.assert_outcomes(passed=2)
    assert result.ret == 0
    theirs.makepyfile(test_mine=two.replace("approved('two')", "pass"))
    result = theirs.runpytest_subprocess(*arguments)
    result.assert_outcomes(passed=2)
    assert result.ret == 1


# The wall: what a user can see stands in an approved file.

CODE = "it is code: it runs, and no user reads it"
CUDA = "it takes a CUDA device"
COPIED = "it is why a script is not written so: it is written otherwise, and nothing is said"
UNAPPROVED = {
    "harness/model/devices.py": {
        "CUDA devices, 'cuda": CUDA,
        "float32 products are rounded to TF32, though the switch is off": CUDA,
    },
    "harness/running/runner.py": {"cannot be used any more after an error in": CUDA},
    "harness/diagnosis/accuracy.py": {
        "and small values of its tanh or logistic to a few roundings of 1": (
            "said of functions that are coarse in both ways, where ONNX Runtime is installed"
        ),
    },
    "harness/foreign/jax_models.py": {
        "inputs and targets do not fit the model's outputs": "said where JAX is installed"
    },
    "harness/rules/registry.py": {"has a rule already": "said to whoever writes a rule twice"},
    "harness/reproduce/model_source.py": {
        "is not a file any more": COPIED,
        "from harness.reproduce.users_file import find_subject SUBJECT = find_subject(": CODE,
    },
    "harness/reproduce/script.py": {
        "a block of the network has a name that is no variable's": COPIED,
    },
    "harness/reproduce/script.py.j2": {"[each.requires_grad_() for each in x]": CODE},
    "harness/reproduce/source.py": {
        "a lambda is not found in": COPIED,
        "it needs two things that are called": COPIED,
        "is given by no statement of": COPIED,
        "is no name of a variable": COPIED,
    },
    "reference/commands/doctor.py": {
        "from nnet_parity.names import *; print(*filter(None, map(explain_shadowing, OURS)), "
        "sep='; ')": CODE
    },
    "reference/r/preflight.py": {
        "No module named 'rpy2": "it is looked for in what R's worker says"
    },
    "reference/r/process.py": {
        "R's doubles are not ours": "it takes an R with doubles of another kind"
    },
}
# files that hold nothing but lines of scripts, or names of operations
OF_CODE = (
    "harness/reproduce/losses.py",
    "harness/rules/schemas.py",
    "reference/notation/written.py",
)


def is_approved(sentence: Sentence, texts: str) -> bool:
    """Return whether all parts of a sentence stand in the approved texts, their figures masked or
    not.
    """
    masked = [FIGURE.sub(lambda found: found["name"] or "#", part) for part in sentence.parts]
    return all(
        part in texts or hidden in texts
        for part, hidden in zip(sentence.parts, masked, strict=True)
    )


@pytest.fixture(scope="module")
def missing() -> dict[str, dict[str, int]]:
    """The sentences that no approved file holds, by file and text, with their lines."""
    texts, found = read_approved(), dict[str, dict[str, int]]()
    for sentence in find_all():
        if not is_approved(sentence, texts):
            found.setdefault(sentence.file, {})[sentence.longest] = sentence.line
    return found


def test_every_sentence_is_approved(missing: dict[str, dict[str, int]]) -> None:
    """But for those with a reason."""
    unknown = {
        f"{file}:{line}": text
        for file, texts in missing.items()
        for text, line in texts.items()
        if file not in OF_CODE and text not in UNAPPROVED.get(file, {})
    }
    assert not unknown, "let a test say `approved(...)` where it is said, or give a reason here"


def test_every_reason_is_needed(missing: dict[str, dict[str, int]]) -> None:
    """What is approved, or said no more, has none."""
    needless = [
        f"{file}: {text}"
        for file, texts in UNAPPROVED.items()
        for text in texts
        if text not in missing.get(file, {})
    ]
    assert not needless


def test_sentences_are_found_in_every_folder() -> None:
    """And in the launcher: the wall stands around something."""
    assert {sentence.file.partition("/")[0] for sentence in find_all()} == {*FOLDERS, "run.py"}


FOUND = {
    "a string": ("x = 'one two three four'", ["one two three four"]),
    "fewer words": ("x = 'one two three'", []),
    "a docstring": ("def f():\n    'one two three four'", []),
    "a verb's docstring": (
        "def f(p: ArgumentParser):\n    'one two three four'",
        ["one two three four"],
    ),
    "a docstring that is printed": ("'one two three four'\nprint(__doc__)", ["one two three four"]),
    "a type": ("x: 'one two three four' = 1", []),
    "a comment": ("x = 1  # one two three four", []),
    "two strings in one": ("x = ('one two '\n 'three four')", ["one two three four"]),
    "an f-string": ("x = f'one {a!r} two three {b:.2g} four'", ["two three"]),
    "a string in an f-string": (
        "x = f'{\"one two three four\" if a else 1} five'",
        ["one two three four"],
    ),
    "str.format": ("x = 'one {} two three four'.format(1)", ["two three four"]),
    "markup": (
        "x = '<p class=\"one two three four\">one two three four</p>'",
        ["one two three four"],
    ),
    "lines": ("x = 'one two\\n    three four'", ["one two three four"]),
}


@pytest.mark.parametrize(("source", "texts"), FOUND.values(), ids=FOUND)
def test_what_is_found_in_python(source: str, texts: list[str]) -> None:
    """The wall can fail: sentences are found however they are written, and only they."""
    assert [sentence.longest for sentence in find_in_python("mine.py", source)] == texts


def test_what_is_found_in_templates_and_r() -> None:
    """Texts between tags, strings in brackets over several lines, comments of a script; strings of
    R.
    """
    page = '<p>one two {{ a }} three four</p>\n{% set x = {1: "one two\n three four"} %}<i>five</i>'
    found = find_in_template("page.html.j2", page + '{# one "two three four five" #}')
    assert [(s.line, s.longest) for s in found] == [(2, "one two three four"), (1, "three four")]
    script = "one = two(three, four, five)  # one two three four {{ a }} five"
    assert [s.longest for s in find_in_template("script.py.j2", script)] == ["one two three four"]
    assert [
        s.longest
        for s in find_in_r("nnet.R", 'stop("one two three four") # "five six seven eight"')
    ] == ["one two three four"]


def test_a_sentence_is_approved_or_not(tmp_path: Path) -> None:
    """All of it, folded or not, in either kind of quotes; with its figures, or where they are
    masked.
    """
    one, two = "  'it\\'s \"at\" most'", "  '''\n  'one' # and\n      two\n  '''"
    (tmp_path / "test_mine.ambr").write_text(
        f"# name: test_one\n{one}\n# ---\n# name: test_two\n{two}\n# ---\n"
    )
    texts = read_approved(tmp_path)
    for parts, approved in (
        (['it\'s "at" most'], True),
        (["'one' 3 and", "two"], True),
        (["one", "three"], False),
    ):
        assert is_approved(Sentence("mine.py", 1, tuple(parts)), texts) is approved
